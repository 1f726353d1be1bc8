#!/usr/bin/python3
"""Measures the image beside one with Flask's own server on the same base, and prints tables.

usage: make bench-image      (six minutes, on a machine with nothing else to do; as root)
       measure.py [size] [start] [runtimes] [pause] [memory] [stop]

runtimes also writes bench/cold-start.json, for the plot of make bench.

Environment: IMAGE, FLASK_IMAGE, CONTAINER_ENGINE, ROUNDS (10), RUNSC (the program, for gVisor).
"""

import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / place) for place in ("bench", "tests/e2e", "tests/image")]

from client import Connection, Load, request  # noqa: E402
from image import Image  # noqa: E402
from results import figure  # noqa: E402
from service import ENGINE, IMAGE, Container, wait_until  # noqa: E402

FLASK_IMAGE = os.environ.get("FLASK_IMAGE", "hello-flask")
GO_IMAGE = "hello-go"
PAUSE_S = 60
ROUNDS = int(os.environ.get("ROUNDS", "10"))
ONE_CPU = "--cpuset-cpus=1"


class Ours(Container):
    image = IMAGE
    # What comes into being in this order, and what lies behind it then.
    milestones = {
        "python3": "the engine makes the container",
        "responder": "Python starts, imports, and checks the settings",
        "nginx": "supervisord reads its configuration and starts the programs",
        "200": "nginx and the responder start",
    }

    def launch(self):
        self.before = set(os.listdir("/proc"))
        self.identifier = pathlib.Path(self.directory, "identifier")
        self.options = (*self.options, f"--cidfile={self.identifier}")
        self.started = time.perf_counter()
        return super().launch()

    def answers(self):
        try:
            with Connection(self.port) as connection:
                connection.send(request("/"))
                return connection.answer().status == 200
        except OSError:
            return False

    def names(self):
        """Those of the container's processes."""
        try:
            identifier = self.identifier.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        for pid in set(os.listdir("/proc")) - self.before if identifier else ():
            process = pathlib.Path("/proc", pid)
            try:
                if identifier in (process / "cgroup").read_text(encoding="utf-8"):
                    yield (process / "comm").read_text(encoding="utf-8").strip()
            except (NotADirectoryError, FileNotFoundError, ProcessLookupError):
                pass

    def start(self):
        """Waits for the first answer. Returns the milliseconds that each step has taken."""
        reached, times = [], []
        while len(reached) < len(self.milestones):
            seen = {"200"} if self.answers() else set()
            seen.update(self.names())
            for name in list(self.milestones)[len(reached) :]:
                if name not in seen:
                    break
                reached.append(name)
                times.append((time.perf_counter() - self.started) * 1000)
            assert self.process.poll() is None, self.log()
        return [time - before for time, before in zip(times, [0, *times])]

    def stop_time(self):
        first, *_ = self.processes()
        started = time.perf_counter()
        first.kill(signal.SIGTERM)
        wait_until(first.has_ended, 10, "it has stopped")
        return (time.perf_counter() - started) * 1000


class Flask(Ours):
    image = FLASK_IMAGE
    milestones = {
        "python3": "the engine makes the container",
        "200": "Python starts, imports Flask, and listens",
    }


def table(head, *rows):
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    print()


def spread(values):
    return f"{min(values):.0f}-{max(values):.0f}"


def using(kind, *options):
    service = kind(*options, LOG_LEVEL="error")
    try:
        yield service
    finally:
        service.end()


# --- Size -----------------------------------------------------------------------------------

COMPONENTS = {
    "Python": r"usr/bin/python|.*/libexpat",
    "Python's modules": r"usr/lib/python[^/]+/(?!supervisor)",
    "supervisor": r"usr/lib/python[^/]+/supervisor/",
    "nginx and PCRE": r"usr/sbin/nginx|.*/lib(pcre2|crypt\.)",
    "OpenSSL for nginx, and zstd for it": r".*/lib(ssl|crypto|zstd)",
    "libc, loader, libm, zlib": r".*/(libc|ld-linux|libm|libz)\b",
    "libfcgi and jansson": r".*/lib(fcgi|jansson)",
    "responder": r"app/responder",
    "configuration and start.py": r"(app|etc)/",
}


def size():
    image = Image(IMAGE)
    sums = dict.fromkeys([*COMPONENTS, "the rest"], 0)
    for path, member in image.entries():
        names = (name for name, pattern in COMPONENTS.items() if re.match(pattern, path))
        sums[next(names, "the rest")] += member.size
    table(["kB", "in the image"], *((round(s / 1000), name) for name, s in sums.items() if s))
    ours, flask = image.size() / 1e6, Image(FLASK_IMAGE).size() / 1e6
    print(f"{ours:.1f} MB, Flask's {flask:.1f} MB: {ours / flask:.2f}\n")


# --- Cold start -----------------------------------------------------------------------------


def start():
    steps = {Ours: [], Flask: []}
    for _ in range(ROUNDS + 1):
        for kind, times in steps.items():
            for service in using(kind, ONE_CPU):
                times.append(service.start())
    medians = {}
    for kind, times in steps.items():
        times = times[1:]  # the first read it all from the disk
        columns = [[sum(row) for row in times], [sum(row[1:]) for row in times], *zip(*times)]
        names = ["from `run` to the first 200", "of which in the container"]
        names += kind.milestones.values()
        values = [statistics.median(column) for column in columns]
        medians[kind] = values
        rows = zip(names, map(round, values), map(spread, columns))
        table([kind.__name__, "ms", "range"], *rows)
    for i, what in enumerate(("run to the first 200", "in the container")):
        print(f"{what}: {medians[Ours][i] / medians[Flask][i]:.2f} of Flask's")
    print()


# --- Cold start by runtime --------------------------------------------------------------------

# name: options of the engine, image, arguments
PEERS = {
    "hello-fcgi": ((), IMAGE, ()),
    "Flask": ((), FLASK_IMAGE, ()),
    "gunicorn": (("--entrypoint=/usr/bin/gunicorn",), FLASK_IMAGE, ("--worker-tmp-dir=/tmp", "hello:app")),
    "Go": ((), GO_IMAGE, ()),
}
RUNTIMES = ("runc", "gVisor")


def build_go():
    """Static, on nothing: what it takes is the engine's and the runtime's."""
    with tempfile.TemporaryDirectory() as directory:
        program, source = f"{directory}/hello-go", REPOSITORY / "bench/peers/hello.go"
        environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOCACHE": f"{directory}/cache"}
        subprocess.run(["go", "build", "-o", program, source], check=True, env=environment)
        pathlib.Path(directory, "Dockerfile").write_text("FROM scratch\nCOPY hello-go /\nENTRYPOINT [\"/hello-go\"]\n")
        command = [ENGINE, "build", "--quiet", "--tag", GO_IMAGE, directory]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Peer(Ours):
    """Of which only the first answer is looked for."""

    milestones = {"200": "all of it"}

    def __init__(self, name, runtime="runc"):
        options, self.image, self.arguments = PEERS[name]
        self.runtime = runtime
        super().__init__(*options, LOG_LEVEL="error")

    def spawn(self, command, **options):
        """On one CPU: gVisor does not heed the engine's option, and everything inherits this."""
        self.engine = (f"--runtime={self.program()}",)
        engine, *rest = command
        confined = ["taskset", "--cpu-list", "1", engine, *self.engine, *rest, *self.arguments]
        return super().spawn(confined, **options)

    def program(self):
        """podman gives a runtime none of its own environment."""
        if self.runtime != "gVisor":
            return self.runtime
        program = pathlib.Path(self.directory, "runsc")
        runsc = os.environ.get("RUNSC", "runsc")
        program.write_text(f'#!/bin/sh\nexec {runsc} --network=host --ignore-cgroups "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        return program

    def names(self):
        return ()


def first_answer_ms(name, runtime, cache):
    if cache == "dropped":
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    service = Peer(name, runtime)
    try:
        return sum(service.start())
    finally:
        service.end()


def runtimes():
    """In an order that a die throws. What is beyond Go's time is the service's own."""
    build_go()
    kept = []
    for runtime in RUNTIMES:
        for cache in ("warm", "dropped"):
            times = {name: [] for name in PEERS}
            for number in range(ROUNDS + 1):
                for name in random.Random(number).sample(sorted(PEERS), len(PEERS)):
                    times[name].append(first_answer_ms(name, runtime, cache))
            kept += [row(name, runtime, cache, times) for name in PEERS]
    head = ["", "runtime", "file cache", "ms to the first 200", "of Flask's", "beyond Go's, ms", "of Flask's"]
    table(head, *(cells(one, kept) for one in kept))
    (REPOSITORY / "bench/cold-start.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def row(name, runtime, cache, times):
    """The first round, which read everything from the disk, is left out."""
    ms = figure(times[name][1:])
    own = figure(ours - go for ours, go in zip(times[name][1:], times["Go"][1:]))
    measured = {"ms": ms.median, "low": ms.low, "high": ms.high, "own_ms": own.median}
    return {"name": name, "runtime": runtime, "cache": cache, **measured}


def cells(one, rows):
    """Of a line of the table."""
    same = ("runtime", "cache")
    [flask] = [row for row in rows if row["name"] == "Flask" and all(row[key] == one[key] for key in same)]
    ms = f"{one['ms']:.0f} ({one['low']:.0f}-{one['high']:.0f})"
    own = (f"{one['own_ms']:.0f}", f"{one['own_ms'] / flask['own_ms']:.2f}")
    return (*(one[key] for key in ("name", *same)), ms, f"{one['ms'] / flask['ms']:.2f}", *own)


def pause():
    """All at once, since it takes a minute; what is not asked yet stays paused."""
    services = [Peer(name) for _ in range(ROUNDS // 2) for name in ("hello-fcgi", "Flask")]
    times = {"hello-fcgi": [], "Flask": []}
    try:
        for service in services:
            service.start()
            service.ask_engine("pause", service.name)
        time.sleep(PAUSE_S)  # this is the pause
        for service in services:
            started = time.perf_counter()
            service.ask_engine("unpause", service.name)
            unpaused = time.perf_counter()
            with Connection(service.port) as connection:
                connection.send(request("/"))
                answer = connection.answer()
            assert answer.status == 200 and int(answer["Age"] or 0) < 11, str(answer)
            name = "hello-fcgi" if service.image == IMAGE else "Flask"
            times[name].append([(unpaused - started) * 1000, (time.perf_counter() - unpaused) * 1000])
    finally:
        for service in services:
            service.end()
    rows = [(name, *(f"{statistics.median(column):.1f}" for column in zip(*each))) for name, each in times.items()]
    table([f"after a pause of {PAUSE_S} s", "unpause, ms", "first answer behind it, ms"], *rows)


# --- Memory and stops -----------------------------------------------------------------------


def loaded_memory(service):
    connections = [Connection(service.port) for _ in range(1000)]
    for _ in range(20):
        for connection in connections:
            connection.send(request("/"))
        for connection in connections:
            assert connection.answer().status == 200
    used = service.memory()
    for connection in connections:
        connection.socket.close()
    return used


def memory():
    rows = []
    for kind in (Ours, Flask):
        for service in using(kind, "--memory=512m", "--cpus=1"):
            service.start()
            rows.append([kind.__name__, f"{service.memory():.1f}"])
            if kind is Ours:
                rows[-1].append(f"{loaded_memory(service):.1f}")
    table(["MiB", "idle", "1000 connections"], *rows)


def stop():
    times = {"idle": [], "64 busy connections": []}
    for _ in range(ROUNDS):
        for service in using(Ours):
            service.start()
            times["idle"].append(service.stop_time())
        for service in using(Ours):
            service.start()
            service.processes()
            with Load(service.port, 64) as load:
                wait_until(lambda: load.answered > 500, 10, "500 answers")
                times["64 busy connections"].append(service.stop_time())
            assert not load.failures, str(load)
    rows = ((name, round(statistics.median(t)), spread(t)) for name, t in times.items())
    table(["stop", "ms", "range"], *rows)


def main():
    build = [ENGINE, "build", "--quiet", "--tag", FLASK_IMAGE]
    subprocess.run([*build, REPOSITORY / "bench/container"], stdout=subprocess.DEVNULL, check=True)
    parts = {"size": size, "start": start, "runtimes": runtimes, "pause": pause, "memory": memory, "stop": stop}
    for part in sys.argv[1:] or parts:
        parts[part]()


main()
