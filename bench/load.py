"""Load on a server, what is measured under it, and what else the machine did meanwhile."""

import json
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import host
from plan import BUILD
from server import Failure, ask

WARM_UP_S = 0.4
TIMEOUT_S = 10  # an answer that takes longer is an error
CHECK_EVERY_S = 0.1
SHARE_S = 1  # for which the shares of the connections are looked at


def wrk_command(port, connections, seconds, cpus):
    return [
        *("wrk", f"-t{min(connections, len(cpus))}", f"-c{connections}", f"-d{seconds}s"),
        *("--timeout", f"{TIMEOUT_S}s", "-s", str(Path(__file__).with_name("wrk.lua"))),
        f"http://127.0.0.1:{port}/",
    ]


def parse_wrk(output):
    """What wrk.lua printed: the measures, times in ms. Requests that failed are no requests."""
    result = json.loads(re.search(r"^\{.*\}$", output, re.MULTILINE)[0])
    errors = sum(result[kind] for kind in ("connect", "read", "write", "status", "timeout"))
    good = result["requests"] - result["status"] - result["timeout"]
    return {
        "requests": good,
        "rps": good / result["duration"] * 1e6,
        "p50": result["p50"] / 1e3,
        "p99": result["p99"] / 1e3,
        "p999": result["p999"] / 1e3,
        "errors": errors,
    }


def parse_h2load(output):
    """The share of the slowest connection in what a connection gets on average, 0 to 1."""
    row = re.search(r"^req/s +: +([\d.]+) +[\d.]+ +([\d.]+) ", output, re.MULTILINE)
    slowest, mean = float(row[1]), float(row[2])
    return slowest / mean if mean else 0.0


def pinned(command, cpus):
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )


def finish(process, command, timeout=None):
    """What a program wrote that should have ended well."""
    output = process.communicate(timeout=timeout)[0]
    if process.returncode != 0:
        raise Failure(f"{' '.join(command)} failed: {output}")
    return output


def warm_up(server, cpus):
    """Long enough for just-in-time compilers and for nginx's connections to what is behind it."""
    wrk = pinned(wrk_command(server.port, 64, 10, cpus), cpus)
    time.sleep(WARM_UP_S)
    wrk.send_signal(signal.SIGINT)  # wrk takes whole seconds only, but ends well then
    wrk.communicate()


def watch(server, wrk, seconds):
    """Asks the server as one more client would, as long as wrk runs. Returns the answers that were
    wrong, in words, and the memory that the server has half-way."""
    half_way = time.monotonic() + seconds / 2
    wrong, loaded_mb = [], None
    while wrk.poll() is None:
        wrong.append(ask(server.port))
        if loaded_mb is None and time.monotonic() > half_way:
            loaded_mb = server.pss_mb()
        time.sleep(CHECK_EVERY_S)
    return [words for words in wrong if words], loaded_mb


def used_by_the_load():
    """CPU time so far, of programs that have ended, and of this one."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime + time.process_time()


class Others:
    """The share of the CPU time that others have had since: programs that belong neither to the server nor to
    the load, and other machines."""

    def __init__(self, server):
        self.server = server
        self.before = self.look()

    def look(self):
        return (*host.ticks(), self.server.cpu_s(), used_by_the_load())

    def share(self):
        used, all_cpus, server, load = (now - then for now, then in zip(self.look(), self.before))
        return max(used - server - load, 0) / all_cpus


def measure(server, connections, seconds, cpus):
    """The measures of one server with that many connections at work, and the answers that were
    wrong."""
    warm_up(server, cpus)
    command = wrk_command(server.port, connections, seconds, cpus)
    others, before = Others(server), server.cpu_s()
    with pinned(command, cpus) as wrk:
        try:
            wrong, loaded_mb = watch(server, wrk, seconds)
            measures = parse_wrk(finish(wrk, command))
        finally:
            wrk.kill()
    measures["cpu_us"] = (server.cpu_s() - before) * 1e6 / max(measures["requests"], 1)
    measures["loaded_mb"] = loaded_mb
    measures["errors"] += len(wrong)
    measures["others"] = others.share()
    return measures, wrong


def measure_open(server, connections, rate, seconds, cpus):
    """The measures of one server that is asked at a rate, times in ms."""
    command = [f"{BUILD}/openloop", *map(str, (server.port, rate, seconds, connections))]
    others = Others(server)
    with pinned(command, cpus) as load:
        try:
            measures = json.loads(finish(load, command))
        finally:
            load.kill()
    for name in ("p50", "p99", "p999"):
        measures[name] /= 1e3
    return {**measures, "others": others.share()}


def smallest_share(server, connections, cpus):
    """The share of the slowest connection in what one gets on average, 0 to 1. wrk does not tell:
    an answer that never comes is in none of its percentiles. None where h2load does not end, as
    with servers that close each connection and do not keep up."""
    command = ["h2load", "--h1", "-t1", f"-c{connections}", f"-D{SHARE_S}", "--warm-up-time=0"]
    command.append(f"http://127.0.0.1:{server.port}/")
    with pinned(command, cpus) as h2load:
        try:
            return parse_h2load(finish(h2load, command, timeout=3 * SHARE_S))
        except subprocess.TimeoutExpired:
            return None
        finally:
            h2load.kill()
