"""Starts the service: checks its settings, renders nginx's configuration and runs supervisord.

supervisord runs inside this process, with its own classes and its own configuration file, because
some things that it does by itself are too slow or too quiet for a container (docs/design.md): it
waits a second before it starts the first program, and up to a second before it looks at a signal
or at a program that died; it closes the responder's socket when the responder dies; it leaves
behind what a killed nginx has started; and it goes on without a program that failed for good.

Environment: PORT (8080), RUN_DIR (/tmp/hello-fcgi-PORT), RESPONDER (the program), and whatever
the responder reads. Exit status: 0 stopped, 1 failed, 78 wrong setting.
"""

# pylint: disable=wrong-import-position
import signal
import sys
import time

STARTED = time.monotonic()

# First of all, since process 1 of a container has no default action for them.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: sys.exit(0))

import fcntl
import importlib
import json
import os
import pwd
import re
import resource
import socket
import types


class EntryPoint:
    """All that supervisor takes from pkg_resources, whose import lasts as long as the whole rest of
    supervisord's start (docs/design.md)."""

    def __init__(self, specification):
        self.module, self.name = specification.partition("=")[2].split(":")

    @classmethod
    def parse(cls, specification):
        return cls(specification)

    def resolve(self):
        return getattr(importlib.import_module(self.module), self.name)


sys.modules["pkg_resources"] = types.SimpleNamespace(EntryPoint=EntryPoint)

try:
    from supervisor import events
    from supervisor.options import ServerOptions
    from supervisor.states import SupervisorStates
    from supervisor.supervisord import Supervisor, asyncore
except ImportError as missing:
    sys.exit(f"start: {missing}. Install supervisor, or use make run, which does.")

APP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVICE_USER = "www-data"  # whom root becomes; every Debian has it
EX_CONFIG = 78  # sysexits.h


def fail(message, status=1):
    sys.stderr.write(f"start: {message}\n")
    sys.exit(status)


def log(severity, message):
    """Writes one line in the form that Cloud Logging reads, in one write."""
    line = json.dumps({"severity": severity, "message": message}, ensure_ascii=False)
    os.write(2, line.encode(errors="replace") + b"\n")


# --- Settings ---------------------------------------------------------------------------------


def read_port():
    """The port to listen on. Those below 1024 are for root, who does not serve."""
    value = os.environ.get("PORT", "8080")
    if not re.fullmatch(r"[0-9]{4,5}", value) or not 1024 <= int(value) <= 65535:
        fail(f'PORT must be a number from 1024 to 65535, not "{value}"', EX_CONFIG)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nginx does
        try:
            probe.bind(("0.0.0.0", int(value)))
        except OSError as error:
            fail(f"PORT={value} cannot be used: {error.strerror}. Choose another: PORT=9000")
    return value


def read_run_dir(port):
    """The directory of this run. 80 characters: a unix socket's path has at most 107 bytes; and
    none that nginx's or supervisord's configuration would have to quote."""
    value = os.environ.get("RUN_DIR", f"/tmp/hello-fcgi-{port}")
    if not re.fullmatch(r"/[A-Za-z0-9._/+@-]{1,80}", value):
        fail(
            f'RUN_DIR must be an absolute path of at most 80 letters, digits and ._/+@-, not "{value}"',
            EX_CONFIG,
        )
    return value


def read_file(*names):
    """What the first of the files holds that exists, "" where none does."""
    for name in names:
        try:
            with open(name, encoding="utf-8") as file:
                return file.read()
        except OSError:
            pass
    return ""


def usable_cpus():
    """The CPUs that this container may use: by affinity, and by the control group's quota in its
    version 2 or 1. nginx and the responder by themselves see no quota."""
    cgroup = "/sys/fs/cgroup"
    quota = read_file(f"{cgroup}/cpu.max") or " ".join(
        read_file(f"{cgroup}/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")
    )
    cpus = len(os.sched_getaffinity(0))
    match = re.fullmatch(r"(\d+)\s+(\d+)\s*", quota)  # "max" or -1 where there is no limit
    if match:
        cpus = min(cpus, -(-int(match[1]) // int(match[2])))
    return cpus


def read_program(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return fail(f"RESPONDER={path} cannot be read: {error.strerror}. Build it: make build")


def check_responder(responder):
    """Has the responder check its settings, so that a wrong one is said once and at once."""
    status = os.spawnv(os.P_WAIT, responder, [responder, "--check"])
    if status != 0:
        sys.exit(status)


def raise_descriptor_limit():
    """As far as it may be raised: 1000 clients take 2000 descriptors of one nginx worker, and many
    a shell's limit is 1024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- The run directory ------------------------------------------------------------------------

# What is copied there, so that whoever serves can read it, and what appears there while it runs.
SOURCES = {
    "nginx.conf": "nginx/nginx.conf.template",
    "errors.conf": "nginx/errors.conf",
    "fastcgi_params": "nginx/fastcgi_params",
    "supervisord.conf": "supervisor/supervisord.conf",
}
MADE_LATER = (
    *("lock", "responder", "responder.sock", "nginx.pid"),
    *("supervisord.pid", "supervisor.sock"),
)


def make_run_dir(path):
    """Makes the directory unless it is there. Returns whether it did."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    except OSError as error:
        fail(f"RUN_DIR={path} cannot be made: {error.strerror}")
    return True


def drop_root(path, made):
    """Root hands the run directory over, unless it holds somebody's files, and is root no more."""
    user = pwd.getpwnam(SERVICE_USER)
    if made or not os.listdir(path):
        os.chown(path, user.pw_uid, user.pw_gid)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def take_run_dir(path):
    """Makes sure that the directory is this user's and this run's alone, and empty of old files.
    The descriptor that it returns holds the lock."""
    if os.lstat(path).st_uid != os.geteuid() or not os.access(path, os.W_OK | os.X_OK):
        fail(f"RUN_DIR={path} must be a writable directory of user {os.geteuid()}, who serves")
    lock = os.open(f"{path}/lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        fail(f"RUN_DIR={path} is in use by another run. Choose another: RUN_DIR=/some/dir")
    return lock


def clear_run_dir(path, made):
    """Leaves nothing behind but what others have put there."""
    for name in (*SOURCES, *MADE_LATER):
        try:
            os.unlink(f"{path}/{name}")
        except FileNotFoundError:
            pass
    for directory in (f"{path}/temp", path) if made else (f"{path}/temp",):
        try:
            os.rmdir(directory)
        except OSError:
            pass


def write_run_dir(path, sources, port):
    os.makedirs(f"{path}/temp", 0o700, exist_ok=True)
    for name, text in sources.items():
        with open(f"{path}/{name}", "w", encoding="utf-8") as file:
            file.write(text.replace("@PORT@", port).replace("@RUN_DIR@", path))


def usable_responder(path, program, run_dir):
    """A program that this user may run: itself, or, when it lies below a directory that is closed
    to this user, as root's home is, a copy of what root has read."""
    if not os.access(path, os.X_OK):
        path = f"{run_dir}/responder"
        with open(path, "wb") as file:
            file.write(program)
        os.chmod(path, 0o700)
    return path


# --- supervisord ------------------------------------------------------------------------------


class Wakeup:
    """What supervisord's loop takes for a socket: readable as soon as a signal has come or wake()
    was called, so that the loop does not wait for the rest of its second."""

    def __init__(self, on_alarm):
        self.on_alarm = on_alarm
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        signal.set_wakeup_fd(self.write_end, warn_on_full_buffer=False)

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_read_event(self):
        # One byte, which is one signal's number: supervisord handles one a turn.
        if os.read(self.read_end, 1)[0] == signal.SIGALRM:
            self.on_alarm()

    def wake(self):
        os.write(self.write_end, b"\0")


class Service(Supervisor):
    """supervisord, quick and loud enough for a container."""

    def __init__(self, options, port):
        super().__init__(options)
        self.port = port
        self.failed = False
        self.lines = {}  # the unfinished last line of each program's output

    def runforever(self):
        self.wakeup = Wakeup(on_alarm=self.try_answer)
        self.options.get_socket_map()[self.wakeup.read_end] = self.wakeup
        events.subscribe(events.ProcessLogEvent, self.pass_on)
        events.subscribe(events.ProcessStateEvent, self.report)
        self.sockets = [  # held, so that connections wait in it while the responder restarts
            group.socket_manager.get_socket()
            for group in self.process_groups.values()
            if hasattr(group, "socket_manager")
        ]
        self.watch_for_answer()
        for group in sorted(self.process_groups.values()):
            group.transition()  # starts the programs
        super().runforever()

    def pass_on(self, event):
        """A program's output, in whole lines, so that those of different programs never mix."""
        data = self.lines.get(event.process, b"") + event.data
        whole, newline, rest = data.rpartition(b"\n")
        self.lines[event.process] = rest
        os.write(2, whole + newline)

    def report(self, event):
        name = event.process.config.name
        if isinstance(event, events.ProcessStateFatalEvent):
            log("CRITICAL", f"{name} failed for good: {event.process.spawnerr}; stopping")
            self.failed = True
            self.options.mood = SupervisorStates.SHUTDOWN
        elif isinstance(event, (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent)):
            log("ERROR", f"{name} exited by itself and is started again")
            self.end_group(event.process.pid)
            self.wakeup.wake()  # to start it in the next turn

    def end_group(self, pid):
        """Stops what a program has left behind: nginx's workers survive their master, and keep its
        port. They finish what they are doing."""
        try:
            if pid:
                os.killpg(pid, signal.SIGQUIT)
        except ProcessLookupError:
            pass

    def watch_for_answer(self):
        """Asks the service every 10 ms whether it is ready, until it is."""
        signal.signal(signal.SIGALRM, lambda *_: None)  # Wakeup sees it
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    def try_answer(self):
        try:
            with socket.create_connection(("127.0.0.1", int(self.port)), timeout=0.5) as client:
                client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                if b" 200 " not in client.recv(64):
                    return
        except OSError:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        milliseconds = (time.monotonic() - STARTED) * 1000
        log("INFO", f"serving on http://localhost:{self.port} after {milliseconds:.0f} ms")


def supervise(run_dir, port):
    """Runs supervisord until it is told to stop. Returns the exit status."""
    options = ServerOptions()
    options.realize(["-c", f"{run_dir}/supervisord.conf"])
    options.first, options.test = True, False
    service = Service(options, port)
    try:
        service.main()
    except asyncore.ExitNow:
        pass
    service.sockets.clear()
    return int(service.failed)


# --- The terminal -----------------------------------------------------------------------------


def take_terminal():
    """Under make in a terminal: becomes its foreground process group, so that Ctrl-C reaches this
    process alone. make would die of it, and `make run` would end with an error. Returns the group
    that was there before."""
    try:
        group = os.tcgetpgrp(0)
    except OSError:
        return None  # no terminal
    if group != os.getpgrp() or group == os.getpid():
        return None
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what tcsetpgrp from the background would get
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # the shell would not see that this one stopped
    os.tcsetpgrp(0, os.getpid())
    return group


def main():
    port = read_port()
    run_dir = read_run_dir(port)
    responder = os.environ.get("RESPONDER", f"{APP}/responder")
    sources = {name: read_file(f"{APP}/{source}") for name, source in SOURCES.items()}
    program = read_program(responder)
    made = make_run_dir(run_dir)
    if os.geteuid() == 0:
        drop_root(run_dir, made)
    lock = take_run_dir(run_dir)
    group = take_terminal()
    try:
        write_run_dir(run_dir, sources, port)
        responder = usable_responder(responder, program, run_dir)
        check_responder(responder)
        cpus = usable_cpus()
        os.environ.update(RESPONDER=responder, NGINX_WORKERS=str(cpus))
        os.environ.setdefault("WORKERS", str(max(2, cpus)))
        raise_descriptor_limit()
        return supervise(run_dir, port)
    finally:
        clear_run_dir(run_dir, made)
        os.close(lock)
        if group is not None:
            os.tcsetpgrp(0, group)


sys.exit(main())
