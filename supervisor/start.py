"""Starts the service: checks its settings, renders nginx's configuration and runs supervisord.

supervisord runs inside this process (supervisord.py, docs/design.md). Here is the order of events;
each step is in the module that it is called from. Environment: settings.py, and RESPONDER (the
program). Exit status: 0 stopped, 1 failed, 78 wrong setting.
"""

# pylint: disable=wrong-import-position
import os
import sys
import time

# Python's isolated mode (-I) leaves this directory out. A directory or an archive with __main__.py
# would be taken up, by runpy, whose import takes 3 to 5 ms.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True  # a checkout is left as it is

import archive

archive.use()

import signal


def say_in_one_line(_kind, error, trace):
    """Whatever happens, wherever it does, no traceback reaches whoever started this."""
    try:
        LOG.write("CRITICAL", advise(explain(error)))
        LOG.flush(0.1)
    except Exception:  # pylint: disable=broad-except
        while trace.tb_next:
            trace = trace.tb_next
        os.write(2, f"start.py: {error!r} in {trace.tb_frame.f_code.co_name}\n".encode())


sys.excepthook = say_in_one_line
STARTED = time.monotonic()
# What ends the service waits until supervisord is ready for it: what has been made until then is
# cleared away.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

import configuration
import log
import machine
import responder
import service
import settings
import shlex
import supervisord
import terminal
from log import LOG, explain
from run_directory import RunDirectory
from startup import advise

APP = os.path.dirname(HERE)
EX_CONFIG = 78  # sysexits.h


def read_settings():
    try:
        values = settings.read(os.environ)
    except settings.Wrong as wrong:
        LOG.configure(os.environ.get("LOG_FORMAT"))
        log.fail(wrong, EX_CONFIG)
    LOG.configure(values["LOG_FORMAT"])
    values["ACCESS_LOG"] = values["ACCESS_LOG"] or ("all" if os.isatty(2) else "errors")
    for notice in settings.notices(os.environ):
        LOG.write("NOTICE", notice)
    return values


def serve(values, program, texts):
    """In the run directory, as an ordinary user."""
    run_dir = RunDirectory(values["RUN_DIR"])
    if os.geteuid() == 0:
        run_dir.drop_root()
    run_dir.take()
    group = terminal.take()
    try:
        ipv6 = machine.check_port(values["PORT"])
        path = run_dir.usable_program(program)
        told = responder.ask(path)
        run_dir.write(configuration.render(texts, configuration.holes(values, ipv6, told)))
        cpus = machine.usable_cpus()
        os.environ.update(RESPONDER=shlex.quote(path), NGINX_WORKERS=str(cpus))
        os.environ["ENDING_WITH_START"] = machine.ending_with_start()
        os.environ.setdefault("WORKERS", str(max(2, min(cpus, 64))))
        machine.raise_descriptor_limit()
        machine.share_cpus_in_batches()
        return supervisord.run(
            lambda options: service.Service(options, values, STARTED),
            f"{run_dir.path}/supervisord.conf",
            STOPS,
        )
    finally:
        run_dir.leave()
        terminal.give_back(group)


def main():
    log.open_streams()
    values = read_settings()
    program = responder.Program(os.environ.get("RESPONDER", f"{APP}/responder"))
    return serve(values, program, configuration.read(APP))


sys.exit(main())
