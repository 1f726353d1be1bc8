"""The responder's program: read while that is allowed, and asked what it thinks of the settings."""

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


def check_settings(path):
    """Has the responder check its settings, so that a wrong one is said once and at once. By fork:
    old engines refuse clone3, with which posix_spawn begins."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        become_checker(path, write_end)
    os.close(write_end)
    output = Output(LOG)
    while data := os.read(read_end, 65536):
        output.feed("responder", "stderr", pid, data)
    os.close(read_end)
    output.end()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        sys.exit(status)


def become_checker(path, write_end):
    try:
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        os.execv(path, [path, "--check"])
    except OSError as error:
        LOG.write("CRITICAL", f"RESPONDER={path} cannot be run: {error.strerror}")
    os._exit(1)
