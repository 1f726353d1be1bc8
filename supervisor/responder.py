"""The responder's program: read while that is allowed, and asked what it thinks of the settings and what nginx
has to know of it."""

import json
import os
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
    nginx has to know of it (responder --nginx). By fork: old engines refuse clone3, with which
    posix_spawn begins."""
    told_read, told_write = os.pipe()
    said_read, said_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        become_asked(path, told_write, said_write)
    os.close(told_write)
    os.close(said_write)
    told = read_all(told_read)  # first: what is said is a line, for which there is room
    said = read_all(said_read)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        refuse(path, pid, said.decode(errors="backslashreplace"), status)
    output = Output(LOG)
    output.feed("responder", "stderr", pid, said)
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


def read_all(descriptor):
    with open(descriptor, "rb") as file:
        return file.read()


def become_asked(path, told, said):
    try:
        os.dup2(told, 1)
        os.dup2(said, 2)
        os.execv(path, [path, "--nginx"])
    except OSError as error:
        os.write(said, f"RESPONDER={path} cannot be run: {error.strerror}".encode())
    os._exit(1)
