"""Starts the service: checks its settings, renders nginx's configuration and runs supervisord.

supervisord runs inside this process, with its own classes and its own configuration file, because
some things that it does by itself are too slow or too quiet for a container (docs/design.md): it
waits a second before it starts the first program, and up to a second before it looks at a signal
or at a program that died; it closes the responder's socket when the responder dies; it leaves
behind what a killed nginx has started; and it goes on without a program that failed for good.

Environment: PORT (8080), RUN_DIR (/tmp/hello-fcgi-PORT), CACHE (on, off), RESPONDER (the program),
and whatever the responder reads. Exit status: 0 stopped, 1 failed, 78 wrong setting.
"""

# pylint: disable=wrong-import-position
import signal
import time

STARTED = time.monotonic()
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# They wait until supervisord is ready for them: what has been made until then is cleared away.
signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

import contextlib
import fcntl
import importlib
import json
import os
import pwd
import re
import resource
import select
import shlex
import shutil
import socket
import sys
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


class Nothing(types.ModuleType):
    """A module in which every name is there, and is a function that returns an empty list."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_: []


# The image has no supervisorctl, so that nobody needs the socket for it: its HTTP and XML-RPC take
# half the time of all imports (docs/container.md).
if not os.path.exists("/usr/bin/supervisorctl"):
    for unused in (
        *("html", "html.entities", "html.parser", "http", "http.client", "urllib", "urllib.parse"),
        *("xmlrpc", "xmlrpc.client"),
        *("supervisor.http", "supervisor.rpcinterface", "supervisor.xmlrpc"),
    ):
        sys.modules[unused] = Nothing(unused)

try:
    from supervisor import events
    from supervisor.options import ServerOptions
    from supervisor.poller import PollPoller
    from supervisor.states import ProcessStates, SupervisorStates
    from supervisor.supervisord import Supervisor, asyncore
except ImportError as missing:
    sys.exit(f"start: {missing}. Install supervisor, or use make run, which does.")

APP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVICE_USER = "www-data"  # whom root becomes; every Debian has it
EX_CONFIG = 78  # sysexits.h

for fd in range(3):  # one that is closed would be given to something else, that then gets messages
    try:
        os.fstat(fd)
    except OSError:
        os.open(os.devnull, os.O_RDWR)

# --- Messages ---------------------------------------------------------------------------------

STDERR = select.poll()
STDERR.register(2, select.POLLOUT)


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


def refuse(name, value, allowed):
    """Ends on account of a setting. What is not printable would make more than one line of it."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
    fail(f'{name}="{shown}": must be {allowed}', EX_CONFIG)


# --- Settings ---------------------------------------------------------------------------------


def read_port():
    """The port to listen on. Those below 1024 are for root, who does not serve."""
    value = os.environ.get("PORT", "8080")
    if not re.fullmatch(r"[0-9]{4,5}", value) or not 1024 <= int(value) <= 65535:
        refuse("PORT", value, "a number from 1024 to 65535")
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
        refuse("RUN_DIR", value, "an absolute path of at most 80 letters, digits and ._/+@-")
    return value


def read_cache():
    value = os.environ.get("CACHE", "on")
    if value not in ("on", "off"):
        refuse("CACHE", value, "on or off")
    return value


def read_file(*names):
    """What the first of the files holds that exists, "" where none does."""
    for name in names:
        with contextlib.suppress(OSError), open(name, encoding="utf-8") as file:
            return file.read()
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
    try:
        pid = os.posix_spawn(responder, [responder, "--check"], os.environ)
    except OSError as error:
        fail(f"RESPONDER={responder} cannot be run: {error.strerror}")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        sys.exit(status)


def raise_descriptor_limit():
    """As far as it may be raised: 1000 clients take 2000 descriptors of one nginx worker, and many
    a shell's limit is 1024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def share_cpus_in_batches():
    """A process that is woken does not take the CPU from the one that has woken it: nginx sends
    several requests on before a worker runs, and is sent several answers (docs/design.md). Where
    the system refuses, it is only slower."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


# --- The run directory ------------------------------------------------------------------------

# What is copied there, so that whoever serves can read it.
SOURCES = {
    "nginx.conf": "nginx/nginx.conf.template",
    "cache.conf": "nginx/cache-@CACHE@.conf",
    "errors.conf": "nginx/errors.conf",
    "fastcgi_params": "nginx/fastcgi_params",
    "supervisord.conf": "supervisor/supervisord.conf",
}
# What appears there while it runs. supervisord gives its socket that name when it is ready.
MADE_LATER = (
    r"responder|responder\.sock|(nginx|supervisord)\.pid|supervisor\.sock(\.\d+)?|temp|cache"
)


class RunDirectory:
    """The only directory that is written to."""

    def __init__(self, path):
        """Opens the directory, which it makes unless it is there, and locks it. Nothing is changed
        by name before it is known what the name stands for."""
        self.path, self.remover = path, None
        try:
            os.mkdir(path, 0o700)
            self.made = True
        except FileExistsError:
            self.made = False
        except OSError as error:
            fail(f"RUN_DIR={path} cannot be made: {error.strerror}")
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(f"RUN_DIR={path} is in use by another run. Choose another: RUN_DIR=/some/dir")
        except OSError as error:
            fail(f"RUN_DIR={path} cannot be used as a directory: {error.strerror}")

    def names(self):
        """What this run or an earlier one has put there."""
        return [
            name
            for name in os.listdir(self.fd)
            if name in SOURCES or re.fullmatch(MADE_LATER, name)
        ]

    def drop_root(self):
        """Root hands the directory over, unless it holds somebody's files, and is root no more."""
        try:
            user = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            fail(f"root does not serve, and there is no user {SERVICE_USER} for it to become")
        if not os.listdir(self.fd):
            os.fchown(self.fd, user.pw_uid, user.pw_gid)
        if self.made and not os.stat(os.path.dirname(self.path)).st_mode & 0o002:
            self.remover = start_remover(self.path)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    def take(self):
        """Makes sure that the directory is this user's, and empty."""
        foreign = set(os.listdir(self.fd)) - set(self.names())
        if foreign or os.fstat(self.fd).st_uid != os.geteuid():
            user = pwd.getpwuid(os.geteuid()).pw_name
            fail(f"RUN_DIR={self.path} must be a writable directory of {user}'s, and empty")
        try:
            os.fchmod(self.fd, 0o700)
            self.clear()
        except OSError as error:
            fail(f"RUN_DIR={self.path} cannot be written to: {error.strerror}")

    def write(self, sources, port):
        os.mkdir(f"{self.path}/temp", 0o700)
        for name, text in sources.items():
            with open(f"{self.path}/{name}", "x", encoding="utf-8") as file:
                file.write(text.replace("@PORT@", port).replace("@RUN_DIR@", self.path))

    def usable_responder(self, path, program):
        """A program that this user may run: itself, or, when it lies below a directory that is
        closed to this user, as root's home is, a copy of what root has read."""
        if os.access(path, os.X_OK):
            return path
        copy = f"{self.path}/responder"
        with open(copy, "xb") as file:
            file.write(program)
        os.chmod(copy, 0o700)
        return copy

    def clear(self):
        for name in self.names():
            try:
                os.unlink(name, dir_fd=self.fd)
            except IsADirectoryError:
                shutil.rmtree(f"{self.path}/{name}")

    def leave(self):
        self.clear()
        if self.made:
            with contextlib.suppress(OSError):  # others' files are there, or it is the remover's
                os.rmdir(self.path)
        os.close(self.fd)
        if self.remover:
            self.remover()


def start_remover(path):
    """Forks a process that stays root, for a directory that nobody else may remove, and that does
    so when this one ends or calls the function that is returned."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        os.read(read_end, 1)
        with contextlib.suppress(OSError):
            os.rmdir(path)
        os._exit(0)
    os.close(read_end)

    def remove():
        os.close(write_end)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)

    return remove


# --- supervisord ------------------------------------------------------------------------------


class Poller(PollPoller):
    """What supervisord's loop waits with, for at most a second: here no longer than there is
    nothing to do. A signal ends the wait."""

    def initialize(self):
        super().initialize()
        self.is_busy = lambda: True
        self.pause = 0  # the first wait comes before the programs are started
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        signal.set_wakeup_fd(self.write_end, warn_on_full_buffer=False)
        self.register_readable(self.read_end)

    def poll(self, timeout):
        readable, writable = super().poll(self.pause if self.is_busy() else timeout)
        self.pause = 0.01
        if self.read_end in readable:
            os.read(self.read_end, 1)  # one signal's number: supervisord handles one a turn
        return readable, writable


class Options(ServerOptions):
    """supervisord's way to the system."""

    def __init__(self):
        super().__init__()
        self.poller = Poller(self)

    def fork(self):
        """A stop must not get lost in a child that is not yet the program, but has this process's
        signal handlers: there it waits for their removal."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        pid = os.fork()
        if pid == 0:
            for number in STOPS:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        return pid


class Service(Supervisor):
    """supervisord, quick and loud enough for a container."""

    def __init__(self, options, port):
        super().__init__(options)
        self.port = port
        self.serves = False
        self.failed = False
        self.unfinished = {}  # the last line of each program's output
        self.orphans = []  # process groups whose first process has died

    def runforever(self):
        self.options.poller.is_busy = self.is_busy
        events.subscribe(events.ProcessLogEvent, self.pass_on)
        events.subscribe(events.ProcessStateEvent, self.report)
        self.sockets = [  # held, so that connections wait in it while the responder restarts
            group.socket_manager.get_socket()
            for group in self.process_groups.values()
            if hasattr(group, "socket_manager")
        ]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        super().runforever()

    def is_busy(self):
        """Whether something is to be done that no signal will tell."""
        restless = {ProcessStates.STARTING, ProcessStates.EXITED, ProcessStates.BACKOFF}
        groups = self.process_groups.values()
        states = {process.state for group in groups for process in group.processes.values()}
        return not self.serves or restless & states

    def tick(self, now=None):
        """What supervisord calls in every turn of its loop."""
        super().tick(now)
        if not self.serves:
            self.try_answer()
        self.orphans = [group for group in self.orphans if signal_group(group, 0)]

    def pass_on(self, event):
        """A program's output, in whole lines, so that those of different programs never mix."""
        name = event.process.config.name
        whole, newline, rest = (self.unfinished.get(name, b"") + event.data).rpartition(b"\n")
        self.unfinished[name] = rest
        say(whole + newline)

    def report(self, event):
        process, name = event.process, event.process.config.name
        if isinstance(event, events.ProcessStateFatalEvent) and self.options.mood > 0:
            log("CRITICAL", f"{name} failed for good: {process.spawnerr}; stopping")
            self.failed = True
            self.options.mood = SupervisorStates.SHUTDOWN
        elif isinstance(event, (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent)):
            if self.unfinished.get(name):
                say(self.unfinished.pop(name) + b"\n")
            log("ERROR", f"{name} exited by itself and is started again")
            # What nginx has started survives it and keeps its port: it finishes what it is doing.
            if process.pid and signal_group(process.pid, process.config.stopsignal):
                self.orphans.append(process.pid)

    def try_answer(self):
        """Asks the service whether it is ready."""
        try:
            with socket.create_connection(("127.0.0.1", int(self.port)), timeout=0.5) as client:
                client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                self.serves = b" 200 " in client.recv(64)
        except OSError:
            return
        if self.serves:
            milliseconds = (time.monotonic() - STARTED) * 1000
            log("INFO", f"serving on http://localhost:{self.port} after {milliseconds:.0f} ms")

    def end(self):
        self.sockets.clear()
        for group in self.orphans:
            signal_group(group, signal.SIGKILL)


def signal_group(group, number):
    """Returns whether there is such a process group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def supervise(run_dir, port):
    """Runs supervisord until it is told to stop. Returns the exit status."""
    options = Options()
    options.realize(["-c", f"{run_dir}/supervisord.conf"])
    options.first, options.test = True, False
    service = Service(options, port)
    with contextlib.suppress(asyncore.ExitNow):
        service.main()
    service.end()
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
    path = read_run_dir(port)
    responder = os.environ.get("RESPONDER", f"{APP}/responder")
    cache = read_cache()
    sources = {
        name: read_file(f"{APP}/{source.replace('@CACHE@', cache)}")
        for name, source in SOURCES.items()
    }
    program = read_program(responder)
    run_dir = RunDirectory(path)
    if os.geteuid() == 0:
        run_dir.drop_root()
    run_dir.take()
    group = take_terminal()
    try:
        run_dir.write(sources, port)
        responder = run_dir.usable_responder(responder, program)
        check_responder(responder)
        cpus = usable_cpus()
        os.environ.update(RESPONDER=shlex.quote(responder), NGINX_WORKERS=str(cpus))
        os.environ.setdefault("WORKERS", str(max(2, min(cpus, 64))))
        raise_descriptor_limit()
        share_cpus_in_batches()
        return supervise(path, port)
    finally:
        run_dir.leave()
        if group is not None:
            with contextlib.suppress(OSError):  # the terminal is gone, or make is
                os.tcsetpgrp(0, group)


sys.exit(main())
