#!/usr/bin/python3
"""The benchmark: hello-fcgi and its peers, one after the other, round by round.

usage: make bench            all of it, about 13 minutes: writes bench/results.md and the plots
       make bench QUICK=1    less than two minutes and less exact: writes them to build/bench
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

import host
import report
from load import measure, smallest_share
from server import Failure, Server
from plan import BUILD, CROWD, REPOSITORY, SETTINGS, TYPICAL, theirs

FULL = {"rounds": 5, "seconds": 2, "connections": (1, 8, TYPICAL, 256, CROWD)}
QUICK = {"rounds": 1, "seconds": 1, "connections": (TYPICAL, 256, CROWD)}


def numbers(text):
    return tuple(int(word) for word in text.split(","))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures hello-fcgi and its peers.")
    parser.add_argument("--quick", action="store_true", help="less than two minutes, less exact")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="that each measurement takes")
    parser.add_argument("--connections", type=numbers, metavar="N,...")
    parser.add_argument("--only", action="append", metavar="NAME", help="as the tables have it")
    parser.add_argument("--against", type=pathlib.Path, help="another checkout, which is built")
    parser.add_argument("--output", type=pathlib.Path, help="directory of results.md and plots")
    if "--quick" in sys.argv:
        parser.set_defaults(**QUICK, output=BUILD)
    else:
        parser.set_defaults(**FULL, output=REPOSITORY / "bench")
    options = parser.parse_args()
    if TYPICAL not in options.connections:
        parser.error(f"--connections must have {TYPICAL} among them, as ratios and a plot do")
    return options


def prepare():
    """Sees to what every measurement needs."""
    missing = [name for name in ("wrk", "h2load", "gnuplot") if not shutil.which(name)]
    if missing:
        raise Failure(f"{', '.join(missing)} not found. Install what is missing: make bench-deps")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # many a shell's is 1024
    BUILD.mkdir(parents=True, exist_ok=True)


def choose(names, against):
    """The settings of these names, or all, and why those that this machine lacks something for are
    skipped; and in any case those of another checkout."""
    known = {setting.name: setting for setting in SETTINGS}
    unknown = set(names or ()) - known.keys()
    if unknown:
        raise Failure(f"no {', '.join(unknown)}; there are: {', '.join(known)}")
    wanted = [known[name] for name in names or known] + (theirs(against) if against else [])
    skipped = {setting.name: reason for setting in wanted if (reason := setting.missing())}
    return [setting for setting in wanted if setting.name not in skipped], skipped


def build(setting):
    environment = {**os.environ, "GOCACHE": f"{BUILD}/go-cache", "GO111MODULE": "off"}
    result = subprocess.run(
        setting.build, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise Failure(f"{setting.name}: cannot be built:\n{result.stderr}")


def try_out(settings, cpus):
    """Finds out at once, rather than after minutes, what does not start or answers wrongly."""
    for setting in settings:
        if setting.build:
            build(setting)
        with Server(setting, cpus):
            pass


def measure_once(setting, connections, seconds):
    """Starts the server for this measurement alone: what overload leaves behind in one must not
    disturb the next."""
    server_cpus, load_cpus = host.split_cpus()
    with Server(setting, server_cpus) as server:
        row = {"setting": setting.name, "connections": connections}
        row |= {"first_ms": server.first_ms, "idle_mb": server.pss_mb()}
        measures, wrong = measure(server, connections, seconds, load_cpus)
        row |= measures
        if connections == CROWD:
            row["share"] = smallest_share(server, connections, load_cpus)
    show(row, wrong)
    return row


def show(row, wrong):
    line = "{setting:28} {connections:4} connections {rps:8.0f} requests/s, p99 {p99:7.2f} ms"
    print(line.format_map(row) + (f", {row['errors']} errors" if row["errors"] else ""), flush=True)
    if wrong:
        print(f"    wrong: {wrong[0]}", flush=True)


def run(options):
    prepare()
    settings, skipped = choose(options.only, options.against)
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}", flush=True)
    try_out(settings, host.split_cpus()[0])
    facts, stolen = host.describe(), host.stolen()
    rows = [
        {"round": number, **measure_once(setting, connections, options.seconds)}
        for number in range(options.rounds)
        for connections in options.connections
        for setting in settings
    ]
    facts["stolen by other machines"] = f"{host.stolen_since(stolen):.1%} of the time"
    measured = {"machine": facts, "skipped": skipped, "seconds": options.seconds, "rows": rows}
    (BUILD / "measured.json").write_text(json.dumps(measured, indent=1), encoding="utf-8")
    report.write(measured, options.output)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(parse_arguments())
    except Failure as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
