"""Starts the service: checks its settings, renders nginx's configuration and runs supervisord.

supervisord runs inside this process (supervisord.py, docs/design.md). Here is the order of events;
each step is in the module that it is called from. Environment: settings.py, and RESPONDER (the
program). Exit status: 0 stopped, 1 failed, 78 wrong setting.
"""

# pylint: disable=wrong-import-position
import signal
import time

STARTED = time.monotonic()
# What ends the service waits until supervisord is ready for it: what has been made until then is
# cleared away.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

import os
import shlex
import socket
import sys

# Python's isolated mode (-I) leaves this directory out. A directory or an archive with __main__.py
# would be taken up, by runpy, whose import takes 3 to 5 ms.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True  # a checkout is left as it is

import log
import machine
import service
import settings
import supervisord
import terminal
from run_directory import SOURCES, RunDirectory

APP = os.path.dirname(HERE)
EX_CONFIG = 78  # sysexits.h


def read_settings():
    try:
        return settings.read(os.environ)
    except settings.Wrong as wrong:
        return log.fail(wrong, EX_CONFIG)


def check_port(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nginx does
        try:
            probe.bind(("0.0.0.0", int(port)))
        except OSError as error:
            log.fail(f"PORT={port} cannot be used: {error.strerror}. Choose another: PORT=9000")


def read_program(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return log.fail(f"RESPONDER={path} cannot be read: {error.strerror}. Build it: make build")


def check_responder(responder):
    """Has the responder check its settings, so that a wrong one is said once and at once."""
    try:
        pid = os.posix_spawn(responder, [responder, "--check"], os.environ)
    except OSError as error:
        log.fail(f"RESPONDER={responder} cannot be run: {error.strerror}")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        sys.exit(status)


def main():
    log.open_streams()
    values = read_settings()
    check_port(values["PORT"])
    responder = os.environ.get("RESPONDER", f"{APP}/responder")
    sources = {
        name: machine.read_file(f"{APP}/{source.replace('@CACHE@', values['CACHE'])}")
        for name, source in SOURCES.items()
    }
    program = read_program(responder)
    run_dir = RunDirectory(values["RUN_DIR"])
    if os.geteuid() == 0:
        run_dir.drop_root()
    run_dir.take()
    group = terminal.take()
    try:
        run_dir.write(sources, values["PORT"])
        responder = run_dir.usable_responder(responder, program)
        check_responder(responder)
        cpus = machine.usable_cpus()
        os.environ.update(RESPONDER=shlex.quote(responder), NGINX_WORKERS=str(cpus))
        os.environ.setdefault("WORKERS", str(max(2, min(cpus, 64))))
        machine.raise_descriptor_limit()
        machine.share_cpus_in_batches()
        return supervisord.run(
            lambda options: service.Service(options, values["PORT"], STARTED),
            f"{run_dir.path}/supervisord.conf",
            STOPS,
        )
    finally:
        run_dir.leave()
        terminal.give_back(group)


sys.exit(main())
