"""The responder's program: read while that is allowed, and asked what it thinks of the settings and what nginx
has to know of it."""

import json
import subprocess
import sys

from log import LOG, fail
from output import Output


class Program:
    """A program and what it consists of: root may be able to read what the service's user is not."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, "rb") as file:
                self.content = file.read()
        except OSError as error:
            fail(f"RESPONDER={path} cannot be read: {error.strerror}. Build it: make build")


def ask(path):
    """Has the responder check its settings, so that a wrong one is said once and at once. Returns what
    nginx has to know of it (responder --nginx)."""
    try:
        asked = subprocess.Popen([path, "--nginx"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        fail(f"RESPONDER={path} cannot be run: {error.strerror}")
    told = asked.stdout.read()  # first: what is said is a line, for which there is room
    said = asked.stderr.read()
    status = asked.wait()
    if status != 0:
        refuse(path, asked.pid, said.decode(errors="backslashreplace"), status)
    output = Output(LOG)
    output.feed("responder", "stderr", asked.pid, said)
    output.end()
    try:
        return json.loads(told)
    except ValueError:
        fail(f"RESPONDER={path} does not say what nginx has to know. Build it anew: make build")


def refuse(path, pid, said, status):
    """Ends with what it said, whatever that is, as this process ends where it refuses a setting."""
    ended = f"RESPONDER={path} ended with status {status}" if status > 0 else f"RESPONDER={path} was ended by signal {-status}"
    LOG.add({"severity": "CRITICAL", "message": said.removeprefix("responder: ").strip() or ended}, "responder", pid)
    LOG.flush(0.1)
    sys.exit(status if status > 0 else 1)
