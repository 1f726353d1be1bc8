"""One run of a server, from its start to its end."""

import contextlib
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import processes
from plan import PATH, PEERS

GROUPS = "/sys/fs/cgroup"
START_TIMEOUT = 20  # seconds
STOP_TIMEOUT = 5

# Every answer is this one, with these fields and those that each server adds by itself.
BODY = b"Hello World\n"
FIELDS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": "12",
    "Cache-Control": "public, max-age=1, stale-while-revalidate=9, stale-if-error=9",
    "Vary": "Accept, Accept-Language",
    "Content-Language": "en",
    "Access-Control-Allow-Origin": "*",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Failure(Exception):
    """What whoever runs the benchmark has to see to."""


def ask(port, timeout=5):
    """What is wrong with the answer to GET /, in words, or None."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        client.request("GET", "/", headers={"Connection": "close"})
        response = client.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error!r}"
    finally:
        client.close()
    if response.status != 200 or body != BODY:
        return f"{response.status}, {body[:100]!r}"
    for name, value in FIELDS.items():
        if response.getheader(name) != value:
            return f"{name} is {response.getheader(name)!r}, not {value!r}"
    return None


def free_port():
    """Below the range from which the kernel takes the ports of clients."""
    while True:
        port = random.randrange(10240, 32768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Quota:
    """A control group that has a part of a CPU, as a container with --cpus has it."""

    PERIOD_US = 100_000

    def __init__(self, cpus):
        v1 = os.path.isdir(f"{GROUPS}/cpu")
        self.directory = tempfile.mkdtemp(prefix="hello-bench-", dir=f"{GROUPS}/cpu" if v1 else GROUPS)
        quota = str(int(cpus * self.PERIOD_US))
        settings = {"cpu.cfs_period_us": str(self.PERIOD_US), "cpu.cfs_quota_us": quota}
        try:
            for name, value in (settings if v1 else {"cpu.max": f"{quota} {self.PERIOD_US}"}).items():
                self.write(name, value)
        except OSError:
            self.remove()
            raise

    def write(self, name, value):
        with open(f"{self.directory}/{name}", "r+", encoding="ascii") as file:  # w would make what is not there
            file.write(value)

    def enter(self):
        self.write("cgroup.procs", "0")

    def remove(self):
        os.rmdir(self.directory)


class Server:
    """A setting that runs on some CPUs, or a part of one, for a with statement: inside, it answers."""

    def __init__(self, setting, cpus, part_of_one=1):
        self.setting, self.cpus = setting, cpus
        self.port = free_port()
        self.leaders = []
        self.quota = Quota(part_of_one) if part_of_one < 1 else None

    def __enter__(self):
        self.run_dir = tempfile.mkdtemp(prefix="hello-bench-")
        os.chmod(self.run_dir, 0o755)  # servers that root starts become somebody else
        self.holes = {
            "run_dir": self.run_dir,
            "port": str(self.port),
            "cpus": str(len(self.cpus)),
            "peers": str(PEERS),
        }
        try:
            self.write_files()
            started = time.monotonic()
            self.start()
            self.wait_for_answer()
            self.first_ms = (time.monotonic() - started) * 1000
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def write_files(self):
        for name, source in self.setting.files.items():
            text = (PEERS / source).read_text(encoding="utf-8")
            for hole, value in self.holes.items():
                text = text.replace(f"@{hole.upper()}@", value)
            with open(f"{self.run_dir}/{name}", "w", encoding="utf-8") as file:
                file.write(text)

    def start(self):
        variables = {"PORT": "{port}", **self.setting.environment}
        filled = {name: value.format(**self.holes) for name, value in variables.items()}
        for command in self.setting.commands:
            with open(f"{self.run_dir}/log", "ab") as log:
                leader = subprocess.Popen(
                    [word.format(**self.holes) for word in command],
                    env={**os.environ, "PATH": PATH, **filled},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # by which its processes are known
                    preexec_fn=self.confine,
                )
            self.leaders.append(leader)

    def confine(self):
        os.sched_setaffinity(0, self.cpus)
        if self.quota:
            self.quota.enter()

    def wait_for_answer(self):
        deadline = time.monotonic() + START_TIMEOUT
        while (wrong := ask(self.port)) is not None:
            ended = any(leader.poll() is not None for leader in self.leaders)
            if ended or time.monotonic() > deadline:
                raise Failure(f"{self.setting.name}: {wrong}. It said:\n{self.log()}")
            time.sleep(0.001)

    def log(self):
        with open(f"{self.run_dir}/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    # What it takes

    def processes(self):
        return processes.of_sessions({leader.pid for leader in self.leaders})

    def cpu_s(self):
        return sum(process.cpu_s for process in self.processes().values())

    def pss_mb(self):
        return processes.pss_mb(self.processes())

    # Its end

    def stop(self):
        """What it is in front was started last and is stopped first. Leaves nothing behind."""
        try:
            for leader in reversed(self.leaders):
                leader.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    leader.wait(STOP_TIMEOUT)
        finally:
            self.kill()
            if self.quota:
                self.quota.remove()
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def kill(self):
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for leader in self.leaders:
                leader.poll()
