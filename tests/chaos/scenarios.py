"""The faults. Each scenario is a function that injects its fault until its time is up and then takes
it away; it leaves the rest, load and measuring, to chaos.py. What it returns are failed GETs of its
own, in words."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time

from client import Connection, ask, request
from service import BUILD, REPOSITORY, RESPONDER, Native, make_directory, port_of, reserve_port, wait_until

SCENARIOS = {}


@contextlib.contextmanager
def one_instance(**environment):
    service = Native(LOG_LEVEL="warning", **environment)
    try:
        yield service.wait_ready()
        assert service.stop() == 0, f"it stopped with an error:\n{service.log()}"
    finally:
        service.end()


def scenario(text, world=one_instance, **environment):
    """Registers a fault: what it is, what it happens to, and settings of the service."""

    def register(function):
        function.text = text
        function.world = lambda: world(**environment)
        SCENARIOS[function.__name__] = function
        return function

    return register


def turns(seconds, every):
    """Comes back every so many seconds until the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(every)


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# --- Processes ------------------------------------------------------------------------------


@scenario("no fault")
def nothing(service, seconds):
    time.sleep(seconds)


@scenario("a responder worker killed every 100 ms")
def workers_killed(service, seconds):
    for number, _ in enumerate(turns(seconds, 0.1)):
        workers = service.named("responder")[1]
        if workers:
            workers[number % len(workers)].kill()


@scenario("a responder worker stopped (SIGSTOP)", REQUEST_TIMEOUT="1")
def worker_stopped(service, seconds):
    for _ in turns(seconds, 0):
        worker = service.named("responder")[1][0]
        worker.kill(signal.SIGSTOP)
        wait_until(worker.has_ended, 10, lambda: f"{worker} is ended by its parent")


@scenario("the responder's parent killed")
def parent_killed(service, seconds):
    for _ in turns(seconds, 1.5):  # within its first second supervisord takes it for a failed start
        killed = service.named("responder")[0]
        killed.kill()
        wait_until(lambda: is_replaced(service, killed), 10, "the responder is started again")


def is_replaced(service, killed):
    with contextlib.suppress(AssertionError, OSError):  # while there is none, or old and new ones
        return service.named(killed.name)[0].pid != killed.pid
    return False


@scenario("an nginx worker killed every 500 ms")
def nginx_workers_killed(service, seconds):
    for number, _ in enumerate(turns(seconds, 0.5)):
        workers = service.named("nginx")[1]
        if workers:
            workers[number % len(workers)].kill()


@scenario("nginx reloaded every 500 ms")
def nginx_reloaded(service, seconds):
    for _ in turns(seconds, 0.5):
        service.named("nginx")[0].kill(signal.SIGHUP)


def poisoned(path):
    """Asks 50 times a second for what no worker survives; whatever it is answered."""

    def fault(service, seconds):
        for _ in turns(seconds, 0.02):
            with contextlib.suppress(OSError), Connection(service.port) as connection:
                connection.send(request(path))

    return fault


for kind, text in (("crashes", "kills its worker"), ("spins", "hangs its worker")):
    function = poisoned(f"/fault/{'segv' if kind == 'crashes' else 'spin'}")
    function.__name__ = f"request_that_{kind}"
    scenario(
        f"a request that {text}, 50 times a second",
        responder=f"{BUILD}/tests/faulty_responder",
        REQUEST_TIMEOUT="1",
    )(function)


# --- Room -----------------------------------------------------------------------------------


@contextlib.contextmanager
def limited_instance(limit, **environment):
    """One whose responder is started with ulimit -LIMIT, which its workers inherit."""
    directory = make_directory()
    program = f"{directory}/responder"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nulimit -{limit()}\nexec {RESPONDER} \"$@\"\n")
    os.chmod(program, 0o755)
    try:
        with one_instance(responder=program, **environment) as service:
            yield service
    finally:
        shutil.rmtree(directory)


def few_descriptors(**environment):
    return limited_instance(lambda: "n 48", **environment)


@scenario("more clients than the responder's workers have descriptors", world=few_descriptors)
def descriptors_used_up(service, seconds):
    overload(service, seconds)


def little_memory(**environment):
    """As much address space as a worker has when it waits for the first request, and 64 KiB."""

    def limit():
        with one_instance(**environment) as service:
            workers = service.named("responder")[1]
            return f"v {max(int(worker.status('VmPeak')[0]) for worker in workers) + 64}"

    return limited_instance(limit, **environment)


@scenario("next to no memory for the responder's workers", world=little_memory)
def memory_used_up(service, seconds):
    overload(service, seconds)


@contextlib.contextmanager
def instance_on_small_disk(**environment):
    """One whose run directory is all that fits on a file system of 2 MiB."""
    disk = make_directory()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=1777", "chaos", disk], check=True)
    try:
        with one_instance(RUN_DIR=f"{disk}/run", **environment) as service:
            yield service
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        os.rmdir(disk)


@scenario("the run directory's file system full", world=instance_on_small_disk)
def disk_full(service, seconds):
    """In two steps, between which the watch looks: what is filled within the second between two of
    its looks may cost an answer that was not kept so far (docs/reliability.md)."""
    path = f"{os.path.dirname(service.run_dir)}/ballast"
    failures, old = [], service.named("nginx")[1]
    with open(path, "wb", buffering=0) as file:
        free = os.statvfs(path)
        file.write(bytes(free.f_bavail * free.f_frsize - 32 * 1024))
        service.wait_for_line("without the cache")
        wait_until(lambda: all(worker.has_ended() for worker in old), 10, "nginx has read that")
        for _ in turns(seconds, 0.2):
            with contextlib.suppress(OSError):
                file.write(bytes(32 * 1024))
            for form in ("text", "html", "json"):  # which the cache has not kept so far
                failures += get(service.port, f"/?format={form}")
    os.unlink(path)
    return failures


def get(port, target):
    """Why a GET failed, if it did."""
    try:
        answer = ask(port, target)
    except (OSError, http.client.HTTPException) as error:
        return [f"{target}: {error!r}"]
    return [] if answer.status == 200 else [str(answer)]


# --- Clients --------------------------------------------------------------------------------


def slow(*arguments):
    def attack(service, seconds):
        command = ["slowhttptest", "-c", "500", "-r", "500", "-i", "2", "-l", str(int(seconds)), "-p", "3"]
        attacker = subprocess.Popen(
            [*command, *arguments, "-u", f"http://127.0.0.1:{service.port}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with ended(attacker):
            time.sleep(seconds)

    return attack


for name, text, arguments in (
    ("slow_headers", "500 clients that never end their header fields (slowloris)", ("-H",)),
    ("slow_bodies", "500 clients that send a body byte by byte", ("-B",)),
    ("range_attack", "500 clients with overlapping ranges", ("-R",)),
    ("slow_readers", "500 clients that read byte by byte", ("-X", "-w", "1", "-y", "2", "-z", "1", "-k", "100")),
):
    function = slow(*arguments)
    function.__name__ = name
    scenario(text)(function)


@scenario("four times as many clients more")
def overload(service, seconds):
    with ended(start_load(service.port, 256)):
        time.sleep(seconds)


def start_load(port, connections):
    return subprocess.Popen(
        ["/usr/bin/python3", "-B", f"{REPOSITORY}/tests/chaos/clients.py", str(port), str(connections)],
        stdout=subprocess.PIPE,
        text=True,
    )


# --- Instances ------------------------------------------------------------------------------

BALANCER = """
global
    maxconn 4096
    stats socket {directory}/haproxy.sock
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    timeout check 5s  # or it is inter, and on a busy machine the other instance counts as gone, too
    option redispatch
    retries 3
    retry-on conn-failure empty-response
    option httpchk GET /ready
frontend visitors
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    balance leastconn  # not in turn: whoever is slow has its answers still to give, and gets less to do
    default-server inter 100ms fall 1 rise 1 check
{servers}
"""


class Balanced:
    """Some instances behind haproxy, which asks each ten times a second whether it is ready. The port
    is haproxy's; instances keep theirs when they are replaced."""

    def __init__(self, count, **environment):
        self.environment = environment
        self.directory = make_directory()
        self.holders = [reserve_port() for _ in range(count + 1)]
        self.port, *ports = map(port_of, self.holders)
        self.instances = {port: self.instance(port) for port in ports}
        servers = "\n".join(f"    server i{port} 127.0.0.1:{port}" for port in ports)
        with open(f"{self.directory}/haproxy.cfg", "w", encoding="utf-8") as file:
            file.write(BALANCER.format(directory=self.directory, port=self.port, servers=servers))
        self.haproxy = subprocess.Popen(
            ["/usr/sbin/haproxy", "-db", "-q", "-f", f"{self.directory}/haproxy.cfg"]
        )
        self.wait_for_all()

    def instance(self, port):
        return Native(LOG_LEVEL="warning", PORT=str(port), **self.environment).wait_ready()

    def up(self):
        """The instances that haproxy sends requests to."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{self.directory}/haproxy.sock")
                client.sendall(b"show stat\n")
                rows = client.makefile().read().splitlines()
        except OSError:
            return []
        return [row.split(",")[1] for row in rows if row.startswith("instances,i") and ",UP," in row]

    def wait_for_all(self):
        wait_until(lambda: len(self.up()) == len(self.instances), 10, "haproxy finds all instances")

    def replace(self, port):
        old = self.instances[port]
        assert old.stop() == 0, f"it stopped with an error:\n{old.log()}"
        self.start_again(port)

    def kill(self, port):
        """At once, as a machine that fails."""
        signal_all(self.instances[port], signal.SIGKILL)

    def start_again(self, port):
        self.instances[port].end()
        wait_until(lambda: f"i{port}" not in self.up(), 5, "haproxy notices that it is gone")
        self.instances[port] = self.instance(port)
        self.wait_for_all()

    def end(self):
        self.haproxy.kill()
        self.haproxy.wait()
        for service in self.instances.values():
            service.end()
        for holder in self.holders:
            holder.close()
        shutil.rmtree(self.directory)


def signal_all(instance, number):
    for process in instance.processes():
        process.kill(number)


@contextlib.contextmanager
def instances(count, **environment):
    balanced = Balanced(count, **environment)
    try:
        yield balanced
    finally:
        balanced.end()


@scenario("whole instances replaced in turn behind a balancer", world=instances, count=2, DRAIN_DELAY="1")
def instances_replaced(balanced, seconds):
    ports = list(balanced.instances)
    for number, _ in enumerate(turns(seconds, 0)):
        balanced.replace(ports[number % 2])


@scenario("one of four instances killed, and another started in its place", world=instances, count=4)
def instance_killed(balanced, seconds):
    port = next(iter(balanced.instances))
    balanced.kill(port)
    time.sleep(seconds)
    balanced.start_again(port)


@scenario("one of four instances slowed to a tenth", world=instances, count=4)
def instance_slow(balanced, seconds):
    instance = next(iter(balanced.instances.values()))
    for _ in turns(seconds, 0.01):
        signal_all(instance, signal.SIGSTOP)
        time.sleep(0.09)
        signal_all(instance, signal.SIGCONT)
