"""What nginx writes into its error log, taken apart. Pure: text in, members of an entry out.

A line: YYYY/MM/DD hh:mm:ss [level] PID#TID: *CONNECTION message, client: ADDRESS, server: NAME,
request: "...", subrequest: "...", upstream: "...", host: "...", referrer: "..." (ngx_log.c,
ngx_http_request.c: ngx_http_log_error_handler). What stands in quotes came from a client, and nginx
does not escape it; but only the last one, the referrer, can hold what looks like another member: the
others are refused where they have a space. nginx cuts the line at 2048 bytes.
"""

import re

# Cloud Logging has a name for each of nginx's eight levels.
SEVERITIES = {
    "debug": "DEBUG",
    "info": "INFO",
    "notice": "NOTICE",
    "warn": "WARNING",
    "error": "ERROR",
    "crit": "CRITICAL",
    "alert": "ALERT",
    "emerg": "EMERGENCY",
}
LEVEL = r"\[(?P<level>" + "|".join(SEVERITIES) + r")\]"
LINE = re.compile(
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d " + LEVEL + r" (?P<pid>\d+)#(?P<tid>\d+): "
    r"(?:\*(?P<connection>\d+) )?(?P<message>.*)",
    re.DOTALL,
)
# Before the error log is open.
EARLY_LINE = re.compile(r"nginx: " + LEVEL + r" (?P<message>.*)", re.DOTALL)
CLIENT = re.compile(r", client: ([0-9A-Fa-f.:]+|unix:), server: ([^, ]*)(?=, request: |$)")
# What any client can have written, and nobody can mend, is no error of the service.
CLIENTS_FAULTS = ("client sent ", "client intended ")
QUOTED = ("request", "subrequest", "upstream", "host", "referrer")


def parse(line):
    """The members of an entry: severity, message, and of the others those that the line has. None
    where it is not nginx's."""
    match = LINE.fullmatch(line) or EARLY_LINE.fullmatch(line)
    if not match:
        return None
    parts = match.groupdict()
    entry = {"severity": SEVERITIES[parts.pop("level")], "message": parts.pop("message")}
    entry.update((name, int(value)) for name, value in parts.items() if value)
    if entry["severity"] == "ERROR" and entry["message"].startswith(CLIENTS_FAULTS):
        entry["severity"] = "WARNING"
    take_apart(entry)
    return entry


def take_apart(entry):
    """Moves what nginx has put behind the message into members of its own."""
    match = CLIENT.search(entry["message"])
    if match:
        rest = entry["message"][match.end() :]
        entry["message"] = entry["message"][: match.start()]
        entry["client"], entry["server"] = match.groups()
        entry.update(quoted_members(rest))


def quoted_members(text):
    """The members of ', request: "..."' and so on, which come in one order."""
    members = {}
    for position, name in enumerate(QUOTED):
        start = f', {name}: "'
        if text.startswith(start):
            value = text[len(start) :]
            ends = [value.find(f'", {later}: "') for later in QUOTED[position + 1 :]]
            end = min((end for end in ends if end >= 0), default=len(value.removesuffix('"')))
            members[name], text = value[:end], value[end + 1 :]
    return members
