"""What the programs write: cut into lines and passed to the log, as entries.

Lines that are entries already, the responder's and nginx's of requests, are passed on as they are.
nginx's of errors are taken apart (nginx_line.py). Any other is wrapped whole; several that belong
together, such as a traceback, become one entry.
"""

import re
import time

import entry as entries
import nginx_line

# How a report begins that has several lines: Python's, the sanitizers'.
REPORT_BEGINS = re.compile(
    r"Traceback \(most recent call last\):|=+$|==\d+==|.*: runtime error: |WARNING: \w*Sanitizer"
)
# How it ends. A traceback ends with the first line that is not indented; the others' last line is not
# always the same one, so that they end, too, when no more has come for so long. The sanitizers look for their
# symbols behind the first line, which took more than half a second on a busy machine.
REPORT_ENDS = re.compile(r"==\d+==ABORTING")
QUIET = 2  # seconds
REPORT_MAX = 200  # lines of one entry

# Lines of one kind in a second; the others are counted.
FLOOD = 10


class Report:
    """Lines that belong together."""

    def __init__(self, first):
        self.lines = [first]
        self.is_traceback = first.startswith("Traceback")
        self.changed = time.monotonic()

    def takes(self, line):
        """Adds a line. Returns whether it was the last one."""
        self.lines.append(line)
        self.changed = time.monotonic()
        if self.is_traceback:
            return not line.startswith(" ")
        return bool(REPORT_ENDS.match(line)) or len(self.lines) >= REPORT_MAX

    def is_old(self):
        return time.monotonic() - self.changed > QUIET


class Flood:
    """Counts lines that say the same, but for numbers, so that a fault which each request meets does
    not write as many lines."""

    def __init__(self, log):
        self.log = log
        self.since = time.monotonic()
        self.kinds = {}  # (component, message without numbers): [count, the last entry]

    def passes(self, entry, component):
        kind = (component, re.sub(r"[0-9]+", "0", entry["message"])[:200])
        count = self.kinds.setdefault(kind, [0, entry])
        count[0] += 1
        count[1] = entry
        return count[0] <= FLOOD

    def tick(self):
        if time.monotonic() - self.since >= 1:
            self.sum_up()

    def sum_up(self):
        kinds, self.kinds, self.since = self.kinds, {}, time.monotonic()
        for (component, _), (count, entry) in kinds.items():
            if count > FLOOD:
                more = f"{count - FLOOD} more like this: {entry['message']}"
                summary = {**entry, "message": more, "count": count - FLOOD}
                self.log.add(summary, component)


class Stream:
    """The output of one program on one of its streams."""

    def __init__(self, component, channel, log, flood):
        self.component, self.log, self.flood = component, log, flood
        self.is_requests = (component, channel) == ("nginx", "stdout")
        self.pid = None  # of the program's first process
        self.rest = b""  # of a line that is not whole yet
        self.report = None

    def feed(self, data, undivided=False):
        """Takes what was written, passes on the lines that are whole. undivided: no write is mixed with
        another. Then nginx's requests, of which each write has whole lines, need no search for where
        objects begin."""
        known = undivided and self.is_requests and not self.rest and not self.log.as_text
        if known and entries.is_clean(data):
            self.log.pass_on(data)
            return
        whole, newline, self.rest = (self.rest + data).rpartition(b"\n")
        if newline:
            self.pass_on(whole + newline)
        if len(self.rest) > 16 * entries.LINE_MAX:  # whoever writes that has no lines
            self.close()

    def pass_on(self, lines):
        if not self.log.as_text and entries.is_sound(lines):
            self.log.pass_on(lines)
            return
        for line in lines.removesuffix(b"\n").split(b"\n"):
            if not self.log.as_text and entries.is_sound(line + b"\n"):
                self.log.pass_on(line + b"\n")
            else:
                self.interpret(line.decode(errors="backslashreplace"))

    def interpret(self, line):
        entry = entries.from_json(line)
        if entry:
            self.log.add(entry, self.component, self.pid)
            return
        entry = nginx_line.parse(line) if self.component == "nginx" else None
        if entry:
            self.add(entry)
        elif self.report:
            if self.report.takes(line):
                self.end_report()
        elif REPORT_BEGINS.match(line):
            self.report = Report(line)
        elif line.strip():
            self.add({"severity": "ERROR", "message": line.removeprefix(f"{self.component}: ")})

    def add(self, entry):
        entry.setdefault("pid", self.pid)
        if self.flood.passes(entry, self.component):
            self.log.add(entry, self.component)

    def end_report(self):
        report, self.report = self.report, None
        self.add({"severity": "ERROR", "message": "\n".join(report.lines)})

    def tick(self):
        if self.report and self.report.is_old():
            self.end_report()

    def close(self):
        """The program has ended: what it has written last counts, too."""
        rest, self.rest = self.rest, b""
        if rest:
            self.pass_on(rest + b"\n")
        if self.report:
            self.end_report()


class Output:
    """The output of all programs."""

    def __init__(self, log):
        self.log, self.flood = log, Flood(log)
        self.streams = {}  # by program and channel

    def feed(self, program, channel, pid, data, undivided=False):
        """pid: of the program's first process. undivided: see Stream."""
        stream = self.streams.get((program, channel))
        if not stream:
            stream = self.streams[program, channel] = Stream(program, channel, self.log, self.flood)
        stream.pid = pid
        stream.feed(data, undivided)

    def close(self, program):
        for (owner, _), stream in self.streams.items():
            if owner == program:
                stream.close()

    def tick(self):
        """To be called from time to time."""
        for stream in self.streams.values():
            stream.tick()
        self.flood.tick()
        self.log.flush()

    def turn_to(self, log):
        """From now on entries go there."""
        self.log = self.flood.log = log
        for stream in self.streams.values():
            stream.log = log

    def is_restless(self):
        """Whether tick has something to do soon."""
        return bool(self.log.pending) or any(stream.report for stream in self.streams.values())

    def end(self):
        """Writes what is left, for a second at most: a reader may be asleep."""
        for program, _ in self.streams:
            self.close(program)
        self.flood.sum_up()
        self.log.flush(1)
