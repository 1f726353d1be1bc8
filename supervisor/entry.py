"""An entry of the log: its members as one line, in JSON or for people. Pure."""

import json
import time

LINE_MAX = 4096  # bytes with the line feed: what a pipe takes without mixing it with others' (PIPE_BUF)
CUT = "... (cut)"
COLOURS = {"DEBUG": 2, "INFO": 32, "NOTICE": 36, "WARNING": 33}  # SGR; red for whatever is worse
BEGINNING = b'{"severity":"'


def now(seconds=None):
    """RFC 3339, with milliseconds."""
    seconds = time.time() if seconds is None else seconds
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{date}.{int(seconds * 1000) % 1000:03d}Z"


def to_json(entry):
    """One line, in ASCII: everything that is not printable, and bidirectional controls, are escaped.
    Long members are cut, visibly, until the line is short enough."""
    line, longest = dump(entry), 2048
    while len(line) > LINE_MAX:
        line = dump({name: cut(value, longest) for name, value in entry.items()})
        longest //= 2
    return line


def dump(entry):
    text = json.dumps(entry, separators=(",", ":")).replace("\x7f", "\\u007f")
    return text.encode() + b"\n"


def cut(value, longest):
    is_long = isinstance(value, str) and len(value) > longest
    return value[:longest] + CUT if is_long else value


def printable(text):
    """On one line, and nothing that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def to_text(entry, colour):
    """One line for people: time, severity, component, message, and what else matters."""
    severity = str(entry.get("severity", "DEFAULT"))
    shown = f"{severity:8}"
    if colour:
        shown = f"\x1b[{COLOURS.get(severity, 31)}m{shown}\x1b[0m"
    parts = [clock(entry), shown, f"{entry.get('component', '-')!s:10}", message(entry)]
    return " ".join(parts).encode() + b"\n"


def clock(entry):
    """The time of day, with milliseconds. Lines of requests have those in another member."""
    time_of_day = str(entry.get("time", ""))[11:23]
    if isinstance(entry.get("ended"), float):
        time_of_day = f"{time_of_day[:8]}{entry['ended'] % 1:.3f}".replace("0.", ".", 1)
    return printable(time_of_day)


def message(entry):
    """With line feeds kept, as in a traceback: each further line is indented."""
    text = str(entry.get("message", ""))
    if "status" in entry:
        text += f" {entry.get('duration')} s {entry.get('bytes')} B {entry.get('cache') or '-'}"
    if "request" in entry:
        text += f" ({entry['request']})"
    lines = [printable(line) for line in text.split("\n")]
    shown = "\n    ".join(lines)
    return shown if len(shown) <= LINE_MAX else shown[:LINE_MAX] + CUT


def is_clean(lines):
    """Whether these lines, of which each is known to be a whole object of nginx's, can be passed on as
    they are: short and printable. Of two or more, one that is too long has a window without a line
    feed."""
    windows = range(0, len(lines) - WINDOW, WINDOW)
    return (
        lines.isascii()
        and DELETE not in lines  # the only control character that nginx does not escape
        and lines.startswith(BEGINNING)
        and lines.endswith(b"}\n")
        and (
            len(lines) <= LINE_MAX
            or all(lines.find(b"\n", at, at + WINDOW) >= 0 for at in windows)
        )
    )


def is_sound(lines):
    """Whether all of these lines, that end with a line feed, can be passed on as they are, whoever
    wrote them: objects such as nginx and the responder write. There are as many line feeds, and no
    other control characters, as objects begin and as one begins behind another's end: quotes in a
    string are escaped."""
    controls = len(lines) - len(lines.translate(None, CONTROLS))
    return (
        is_clean(lines)
        and lines.count(BEGINNING) == controls
        and lines.count(b"}\n" + BEGINNING) + 1 == controls
    )


DELETE = b"\x7f"
CONTROLS = bytes(range(32)) + DELETE
WINDOW = LINE_MAX // 2


def from_json(line):
    """The entry that a line holds, None where it holds none."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    has_names = isinstance(entry, dict) and {"severity", "message"} <= entry.keys()
    return entry if has_names else None
