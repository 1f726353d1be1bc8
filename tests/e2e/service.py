"""The service as the tests run it: one class a target, and what is known about its processes.

Native starts what `make run` and the container start, supervisor/start.py, as processes of this
machine. Container runs the image. Both are told what to do by the environment, are seen from
outside, and write what they have to say into one file; so the tests need not know which it is.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BUILD", f"{REPOSITORY}/build")
RESPONDER = os.environ.get("RESPONDER", f"{BUILD}/responder")
MAKE_ARGS = shlex.split(os.environ.get("MAKE_ARGS", ""))
FAKE = f"{REPOSITORY}/tests/e2e/fake_responder.py"
IMAGE = os.environ.get("IMAGE", "hello-fcgi")
ENGINE = os.environ.get("CONTAINER_ENGINE") or shutil.which("podman") or "docker"

# What a service gets besides its own variables.
BASE_ENVIRONMENT = {
    name: os.environ[name]
    for name in ("PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS")
    if name in os.environ
}


def wait_until(condition, seconds, what):
    """Waits until condition() is true, and returns what it returned. Fails with what, which may be
    a function, when that takes longer."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"after {seconds} s still not so: {what() if callable(what) else what}"
            )
        time.sleep(0.005)
    return result


def reserve_port():
    """A socket whose port no other test gets, and which a server can listen on all the same. Below
    the range from which the kernel takes the ports of clients."""
    while True:
        holder = socket.socket()
        try:
            holder.bind(("0.0.0.0", random.randrange(10240, 32768)))
        except OSError:
            holder.close()
            continue
        # Only now: servers set it too, and two that have it set may share a port until one of them
        # listens; without it the bind above fails where another holder is.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return holder


def port_of(holder):
    return holder.getsockname()[1]


def listens(port):
    """Whether anybody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_directory():
    """A directory with a short path (a unix socket's has at most 107 bytes) in which everybody may
    make files, as in /tmp."""
    path = tempfile.mkdtemp(prefix="e2e-", dir="/tmp")
    os.chmod(path, 0o1777)
    return path


# Held by whoever builds an image.
BUILD_LOCK = f"{tempfile.gettempdir()}/hello-fcgi-build-{os.getuid()}.lock"


@contextlib.contextmanager
def one_build_at_a_time():
    """podman loses layers to another build that runs beside it (layer not known)."""
    with open(BUILD_LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_checkout(path, user=None):
    """Puts what it takes to run, and nothing else, into a directory that only user may enter."""
    for name in ("supervisor", "nginx"):
        shutil.copytree(REPOSITORY / name, f"{path}/{name}")
    shutil.copy(RESPONDER, f"{path}/responder")
    os.chmod(path, 0o700)
    for directory, _, files in os.walk(path):
        for name in ("", *files) if user else ():
            shutil.chown(f"{directory}/{name}", user)
    return path


# --- Processes ------------------------------------------------------------------------------


class Process:
    """One line of the process table."""

    def __init__(self, pid):
        self.pid = pid
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        fields = rest.split()
        self.name, self.state = name, fields[0]
        self.parent, self.session = int(fields[1]), int(fields[3])

    def status(self, field):
        """The words that /proc/PID/status has behind field."""
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return re.search(rf"^{field}:(.*)$", file.read(), re.MULTILINE)[1].split()

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="utf-8") as file:
            return [Process(int(pid)) for pid in file.read().split()]

    def has_ended(self):
        try:
            return Process(self.pid).state in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    def kill(self, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def __repr__(self):
        return f"{self.name} {self.pid} (of {self.parent}, {self.state})"


def process_table():
    """All processes but those that have ended and whose parents have not looked yet."""
    table = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                table.append(Process(int(entry)))
    return [process for process in table if process.state not in "ZX"]


def listens_to_signals(pid):
    """Whether SIGTERM has a handler, or waits for one."""
    masks = (int(Process(pid).status(field)[0], 16) for field in ("SigCgt", "SigBlk"))
    return any(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)


def end(processes):
    """Ends the processes that the function returns, until it returns none."""

    def any_left():
        for process in (left := processes()):
            process.kill()
        return not left

    wait_until(any_left, 10, lambda: f"no process is left, but there are {processes()}")


# --- The log --------------------------------------------------------------------------------


def message_of(line):
    """The message of a line that is an entry, else the line."""
    try:
        return re.sub(r"^\d+ more like this: ", "", json.loads(line)["message"])
    except (ValueError, TypeError, KeyError):
        return line


def occurrences(pattern, line):
    """How often what the pattern matches has happened, by a line: a flood has one with a count."""
    if not (re.search(pattern, line) or re.search(pattern, message_of(line))):
        return 0
    try:
        return json.loads(line).get("count", 1)
    except (ValueError, AttributeError):
        return 1


SEVERITIES = ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"]
RFC_3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,6})?(Z|[+-]\d\d:\d\d)"


def check_entry(line):
    """Checks that a line is an entry as docs/observability.md has it."""
    entry = json.loads(line)
    assert line.startswith('{"severity":"') and len(line.encode()) < 4096, line
    assert line.isprintable(), ascii(line)
    assert entry["severity"] in SEVERITIES, line
    assert isinstance(entry["message"], str) and isinstance(entry["pid"], int), line
    assert entry["component"] in ("nginx", "responder", "supervisor"), line
    time_of_day = re.fullmatch(RFC_3339, entry["time"])
    assert time_of_day and (time_of_day[1] or isinstance(entry["ended"], float)), line


# --- The service ----------------------------------------------------------------------------

# What is left of a service when the process of its test has died, by SIGKILL too: then nobody writes a
# line. Those in its session, and those that they started meanwhile; and what $2 says.
GUARD = """
read -r _ && exit
for try in 1 2 3; do
    for stat in /proc/[0-9]*/stat; do
        read -r pid name state parent group session rest <"$stat" || continue
        [ "$session" != "$1" ] || kill -KILL "$pid"
    done
    sleep 0.1
done
eval "$2"
"""


class Service:
    """One run of the service, started at once."""

    serving = r"^serving on http://localhost:\d+ after \d+ ms$"
    is_structured = True  # whether nothing but entries may come from it, JSON objects, one a line

    def __init__(self, **environment):
        self.directory = make_directory()
        self.holder = reserve_port()
        self.environment = {"PORT": str(port_of(self.holder)), **environment}
        self.port = port_of(self.holder)
        self.expected = []  # (regular expression, times) for lines that the test provokes
        self.checked = 0  # lines that check_log has seen
        self.log_file = tempfile.NamedTemporaryFile(dir=self.directory, prefix="log-")
        self.process = self.launch()
        self.guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", str(self.process.pid), shlex.join(self.last_resort())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def last_resort(self):
        """A command that removes what it leaves besides processes."""
        return ["rm", "-rf", self.directory]

    def launch(self):
        raise NotImplementedError

    def spawn(self, command, **options):
        return subprocess.Popen(
            command,
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": self.log_file,
                "stderr": subprocess.STDOUT,
                "start_new_session": True,  # by which its processes are known
                "env": {**BASE_ENVIRONMENT, **self.environment},
                **options,
            },
        )

    @property
    def url(self):
        return f"http://localhost:{self.port}"

    # What it says

    def log(self):
        with open(self.log_file.name, encoding="utf-8", errors="backslashreplace") as file:
            return file.read()

    def lines(self):
        """Whole ones: of a write of several pages, a reader may see the first pages only. The last
        words of what has ended are whole."""
        said = self.log()
        if self.process.poll() is None:
            said = said[: said.rfind("\n") + 1]
        return said.splitlines()

    def entries(self):
        """What it said, as entries of the log."""
        return [json.loads(line) for line in self.lines()]

    def expect(self, pattern, times=1):
        """Says that the test provokes lines that match pattern, or whose messages do, so many of them
        at least."""
        self.expected.append((pattern, times))

    def check_log(self):
        """Checks what was said since the last time: that it answers, what the test has provoked,
        and nothing else."""

        def lines():
            return self.lines()[self.checked :]

        for pattern, times in self.expected:
            wait_until(
                lambda: sum(occurrences(pattern, line) for line in lines()) >= times,
                5,
                lambda: f"{times} lines match {pattern!r}; it said:\n" + "\n".join(lines()[-20:]),
            )
        said = lines()
        allowed = [self.serving, *(pattern for pattern, _ in self.expected)]
        unexpected = [line for line in said if not any(occurrences(pattern, line) for pattern in allowed)]
        if self.is_structured:
            for line in said:
                check_entry(line)
        self.checked += len(said)
        self.expected = []
        serving = [line for line in self.lines() if occurrences(self.serving, line)]
        assert len(serving) < 2, f"it said more than once that it serves: {serving}"
        assert not unexpected, "it said, unexpectedly:\n" + "\n".join(unexpected)

    def wait_for_line(self, pattern, seconds=15):
        """The match of the pattern in what was said, as soon as it is there."""

        def look():
            return re.search(pattern, self.log()) or self.process.poll() is not None

        wait_until(look, seconds, lambda: f"{pattern!r} was said; it said:\n{self.log()}")
        match = re.search(pattern, self.log())
        assert match, f"it ended ({self.process.poll()}) without {pattern!r}:\n{self.log()}"
        return match

    def wait_ready(self):
        self.wait_for_line(r"serving on http://localhost:\d+ after (\d+) ms")
        return self

    # What it does

    def send_signal(self, number):
        raise NotImplementedError

    def processes(self):
        """Every process that the run has started and that has not ended."""
        raise NotImplementedError

    def named(self, name):
        """The parent and its children, among the processes of that name."""
        all_named = [process for process in self.processes() if process.name == name]
        pids = {process.pid for process in all_named}
        parents = [process for process in all_named if process.parent not in pids]
        assert len(parents) == 1, f"one {name} parent was expected, there are {all_named}"
        return parents[0], [process for process in all_named if process.parent in pids]

    def wait(self, seconds=60):
        """Its exit status, once it has ended. An engine ends after its container, and may have to wait for
        others that build or remove images meanwhile: what a test bounds is check_stops()."""
        wait_until(
            lambda: self.process.poll() is not None,
            seconds,
            lambda: f"it has ended; there are {self.processes()}, and it said:\n{self.log()}",
        )
        return self.process.returncode

    def stop(self):
        """Stops it as its user would. Returns the exit status."""
        if self.process.poll() is None:
            self.send_signal(signal.SIGTERM)
        return self.wait()

    def end(self):
        """Ends it whatever happened, and gives back what it has taken."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        end(self.processes)
        self.guard.communicate(b"all is done\n")
        self.log_file.close()
        self.holder.close()
        shutil.rmtree(self.directory)

    def check_stops(self, status=0, seconds=3):
        """Waits for the end of a service that has been told to stop, with all it has started, and then
        for whoever has started it."""
        wait_until(lambda: not self.processes(), seconds, lambda: f"{self.processes()} end")
        assert self.wait() == status, f"it said:\n{self.log()}"
        assert not self.leftovers(), f"left: {self.leftovers()}"

    def check_refuses(self, status, line):
        """Waits for the end of a service that must not start, and say why in one line."""
        self.expect(f"^{line}$")
        assert self.wait() == status, f"it said:\n{self.log()}"
        assert len(self.lines()) == 1, f"it said:\n{self.log()}"
        if self.is_structured:
            assert self.entries()[0]["severity"] == "CRITICAL", self.log()

    # What it leaves

    def leftovers(self):
        """What should be gone when it has ended, in words."""
        listener = [f"something that listens on port {self.port}"] * listens(self.port)
        return [str(process) for process in self.processes()] + listener


class Native(Service):
    """supervisor/start.py as a process of this machine."""

    def __init__(self, checkout=REPOSITORY, user=None, responder=RESPONDER, **environment):
        self.checkout, self.user = checkout, user
        super().__init__(RESPONDER=responder, **environment)

    def spawn(self, command, **options):
        self.run_dir = self.environment.setdefault("RUN_DIR", f"{self.directory}/{self.port}")
        self.run_dir_was_there = os.path.lexists(self.run_dir)
        return super().spawn(command, **options)

    def launch(self):
        return self.spawn(
            ["/usr/bin/python3", "-I", f"{self.checkout}/supervisor/start.py"],
            **({"user": self.user, "group": "nogroup", "extra_groups": []} if self.user else {}),
        )

    def send_signal(self, number):
        self.process.send_signal(number)

    def processes(self):
        return [process for process in process_table() if process.session == self.process.pid]

    def leftovers(self):
        made = os.path.lexists(self.run_dir) and not self.run_dir_was_there
        return super().leftovers() + [f"the run directory {self.run_dir}"] * made


class OnOneCpu(Native):
    """The same on a machine with one CPU, so that nginx has one worker."""

    def spawn(self, command, **options):
        cpu = min(os.sched_getaffinity(0))
        return super().spawn(["taskset", "--cpu-list", str(cpu), *command], **options)


class Make(Native):
    """`make run`, or another command that makes it, in the repository."""

    command = ["make", "run", *MAKE_ARGS]
    is_structured = False  # make has something to say, too

    def launch(self):
        del self.environment["RESPONDER"]
        return self.spawn(self.command, cwd=REPOSITORY)


class Shell(Make):
    """An interactive shell in a terminal of its own, in which a command is typed."""

    typed = " ".join(Make.command)
    serving = r"serving on http://localhost:\d+ after \d+ ms$"

    def launch(self):
        self.expect("", 0)  # whatever make and the shell say
        self.terminal, inside = os.openpty()
        self.environment.update(PS1="$ ", HISTFILE="/dev/null", TERM="dumb")
        process = self.spawn(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=REPOSITORY,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)
        self.closing = False
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        self.type(f"{self.typed}; echo status: $?\n")
        return process

    def read(self):
        """Keeps what the terminal shows."""
        while not self.closing:
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    self.log_file.write(os.read(self.terminal, 4096).replace(b"\r", b""))
                except OSError:  # nobody has the terminal any more
                    return
                self.log_file.flush()

    def type(self, text):
        os.write(self.terminal, text.encode())

    def check_ends(self, status):
        """Waits until the command has ended, and ends the shell."""
        assert self.wait_for_line(r"status: (\d+)", 5)[1] == status, f"it shows:\n{self.log()}"
        self.wait_for_prompt()
        self.type("exit\n")
        self.wait()

    def wait_for_prompt(self):
        """Waits until nothing but the shell is there, which does what it is told."""
        wait_until(
            lambda: [process.pid for process in self.processes()] == [self.process.pid],
            3,
            lambda: f"{self.processes()} end; the terminal shows:\n{self.log()}",
        )
        self.type("\n\necho back: $((40 + 2))\n")
        self.wait_for_line("\nback: 42", 3)

    def close_terminal(self):
        self.closing = True
        self.reader.join()
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None

    def end(self):
        self.close_terminal()
        super().end()


class Container(Service):
    """The image in a container, as sealed as one can be. options are the engine's. missing says why
    there can be none."""

    missing = os.environ.get("NO_IMAGE") or (
        "only root may look at a container's processes" if os.geteuid() != 0 else None
    )

    image = IMAGE
    engine = ()  # options of the engine itself
    seal = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges")

    def __init__(self, *options, **environment):
        self.options, self.first = options, 0
        super().__init__(**environment)

    def launch(self):
        self.name = f"hello-e2e-{self.port}"
        variables = [f"--env={name}={os.fsdecode(v)}" for name, v in self.environment.items()]
        return self.spawn(
            [ENGINE, *self.engine, "run", "--rm", f"--name={self.name}", "--network=host", *self.seal]
            + ["--no-healthcheck"]  # podman needs systemd for one
            + [*self.options, *variables, self.image]
        )

    def last_resort(self):
        return [ENGINE, *self.engine, "rm", "--force", self.name]

    def ask_engine(self, *arguments):
        result = subprocess.run([ENGINE, *self.engine, *arguments], capture_output=True, text=True)
        return result.stdout.strip() if result.returncode == 0 else ""

    def send_signal(self, number):
        self.ask_engine("kill", f"--signal={int(number)}", self.name)

    def processes(self):
        """The container's first process and its descendants, by the pids they have out here."""
        if not self.first:  # asking takes a tenth of a second
            self.first = int(self.ask_engine("inspect", "--format={{.State.Pid}}", self.name) or 0)
        found, wanted = [], {self.first} - {0}
        table = process_table()
        while wanted:
            found += [process for process in table if process.pid in wanted]
            wanted = {process.pid for process in table if process.parent in wanted}
        return found

    def memory(self):
        """What its processes occupy, in MiB, where a page that several share counts once."""
        kilobytes = 0
        for process in self.processes():
            with open(f"/proc/{process.pid}/smaps_rollup", encoding="utf-8") as file:
                kilobytes += int(re.search(r"^Pss: +(\d+) kB$", file.read(), re.MULTILINE)[1])
        return kilobytes / 1024

    def end(self):
        self.ask_engine("rm", "--force", self.name)
        super().end()


class Gvisor(Container):
    """The same on gVisor, which is Cloud Run's first generation: another kernel. Its processes are
    not seen from outside. A test that needs them is listed in tests/allowed-skips."""

    missing = (
        Container.missing
        or (None if shutil.which("runsc") else "there is no runsc")
        or (None if "podman" in ENGINE else "docker takes no runtime by its path")
    )
    engine = (f"--runtime={REPOSITORY}/tests/e2e/runsc",)

    def named(self, name):
        raise AssertionError(f"gVisor does not show {name}; list the test in tests/allowed-skips")

    def check_stops(self, status=0, seconds=3):
        super().check_stops(status, seconds + 3)  # the sandbox ends after what is in it


# --- Several of them --------------------------------------------------------------------------


# So that a service has nothing to say but what its test provokes.
QUIET = {"LOG_LEVEL": "warning", "ACCESS_LOG": "off"}


def launcher(default):
    """Gives a function that starts services, of the kind default unless it is told another one. In
    the end those that still run must stop cleanly, and all are ended whatever happened."""
    services = []

    def launch(*arguments, kind=default, **options):
        settings = {name: v for name, v in {**QUIET, **options}.items() if v is not None}
        services.append(kind(*arguments, **settings))
        return services[-1]

    try:
        yield launch
        for service in services:
            if service.process.poll() is None:
                assert service.stop() == 0, f"it stopped with an error:\n{service.log()}"
            assert not service.leftovers(), f"left: {service.leftovers()}; said:\n{service.log()}"
            service.check_log()
    finally:
        for service in services:
            service.end()
