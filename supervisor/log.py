"""What start.py itself has to say, and what it passes on of the programs' output."""

import contextlib
import json
import os
import select
import sys

STDERR = select.poll()
STDERR.register(2, select.POLLOUT)


def open_streams():
    """One that is closed would be given to something else, that then gets messages."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def say(lines):
    """Writes whole lines to stderr. Those that nobody takes within 100 ms are dropped: a reader
    that is gone or asleep must not stop the service. A pipe that is ready takes PIPE_BUF bytes."""
    for line in lines.splitlines(keepends=True):
        for start in range(0, len(line), select.PIPE_BUF):
            if not STDERR.poll(100):
                return
            with contextlib.suppress(OSError):
                os.write(2, line[start : start + select.PIPE_BUF])


def log(severity, message):
    """One line in the form that Cloud Logging reads."""
    say(json.dumps({"severity": severity, "message": message}).encode() + b"\n")


def fail(message, status=1):
    say(f"start: {message}\n".encode(errors="backslashreplace"))
    sys.exit(status)
