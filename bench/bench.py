#!/usr/bin/python3
"""The benchmark: hello-fcgi and its peers, one after the other, round by round.

usage: make bench            all of it, about half an hour: writes bench/results.md, results.json and the plots,
                             and says what differs from the results before by more than the spread
       make bench QUICK=1    less than two minutes and less exact: writes them to build/bench
"""

import argparse
import collections
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys

import host
import report
from load import measure, measure_open, smallest_share, warm_up
from plan import BUILD, CROWD, PARTS, REPOSITORY, SETTINGS, TYPICAL, theirs
from server import Failure, Quota, Server

FULL = {"rounds": 10, "seconds": 1, "connections": None}
QUICK = {"rounds": 1, "seconds": 1, "connections": (TYPICAL, 256, CROWD)}
SELDOM = 4  # rounds, of which one has those that decide nothing, too
# A measurement during which others had more than this share of the CPU time is thrown away and made again, so often
# at most; the last one stands.
OTHERS_MAX, ATTEMPTS = 0.05, 4


def numbers(text):
    return tuple(int(word) for word in text.split(","))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures hello-fcgi and its peers.")
    parser.add_argument("--quick", action="store_true", help="less than two minutes, less exact")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="that each measurement takes")
    parser.add_argument("--connections", type=numbers, metavar="N,...", help="on all CPUs, and nothing else")
    parser.add_argument("--only", action="append", metavar="NAME", help="as the tables have it")
    parser.add_argument("--attempts", type=int, default=ATTEMPTS, help="at a measurement that others disturb")
    parser.add_argument("--seed", type=int, default=1, help="of the order within the rounds")
    parser.add_argument("--against", type=pathlib.Path, help="another checkout, which is built")
    parser.add_argument("--output", type=pathlib.Path, help="directory of the results and plots")
    if "--quick" in sys.argv:
        parser.set_defaults(**QUICK, output=BUILD)
    else:
        parser.set_defaults(**FULL, output=REPOSITORY / "bench")
    options = parser.parse_args()
    if options.connections and TYPICAL not in options.connections:
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


def choose_parts(connections):
    """Those that can be measured here, and why not the others."""
    if connections:
        return PARTS[:1], {}
    try:
        Quota(0.5).remove()
    except OSError as error:
        quotas = {part.name: f"no control group: {error}" for part in PARTS if 0 < part.cpus < 1}
        return [part for part in PARTS if part.name not in quotas], quotas
    return PARTS, {}


def build(setting):
    environment = {**os.environ, "GOCACHE": f"{BUILD}/go-cache", "GO111MODULE": "off"}
    result = subprocess.run(
        setting.build, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise Failure(f"{setting.name}: cannot be built:\n{result.stderr}")


def build_load():
    source = pathlib.Path(__file__).with_name("openloop.c")
    command = ["cc", "-O2", "-D_GNU_SOURCE", "-o", f"{BUILD}/openloop", source]
    subprocess.run(command, check=True)


def try_out(settings, cpus):
    """Finds out at once, rather than after minutes, what does not start or answers wrongly."""
    for setting in settings:
        if setting.build:
            build(setting)
        with Server(setting, cpus):
            pass


def measure_once(part, setting, connections, seconds):
    """Starts the server for this measurement alone: what overload leaves behind in one must not
    disturb the next."""
    server_cpus, load_cpus = host.split_cpus(part.cpus)
    with Server(setting, server_cpus, part.cpus or 1) as server:
        row = {"connections": connections, "first_ms": server.first_ms, "idle_mb": server.pss_mb()}
        measures, wrong = measure(server, connections, seconds, load_cpus)
        row |= measures
        if connections == CROWD:
            row["share"] = smallest_share(server, connections, load_cpus)
    show(part, setting, row, wrong)
    return [row]


def measure_rates(part, setting, connections, seconds):
    server_cpus, load_cpus = host.split_cpus(part.cpus)
    with Server(setting, server_cpus, part.cpus or 1) as server:
        warm_up(server, load_cpus)
        rows = [
            {"rate": rate, **measure_open(server, connections, rate, seconds, load_cpus)} for rate in part.rates
        ]
    for row in rows:
        show(part, setting, {"connections": connections, "rps": row["rate"], **row}, [])
    return rows


def show(part, setting, row, wrong):
    line = "{connections:4} connections {rps:8.0f} requests/s, p99 {p99:7.2f} ms, others {others:.0%}"
    print(f"{part.name:18} {setting.name:24}", line.format_map(row), end="")
    print((f", {row['errors']} errors" if row["errors"] else ""), flush=True)
    if wrong:
        print(f"    wrong: {wrong[0]}", flush=True)


def undisturbed(work, counts, attempts=ATTEMPTS):
    """What work() measures while others leave the machine alone."""
    counts["measurements"] += 1
    for _ in range(attempts):
        rows = work()
        if max(row["others"] for row in rows) <= OTHERS_MAX:
            return rows
        counts["measured again"] += 1
    counts["measured again"] -= 1
    counts["disturbed all the same"] += 1
    return rows


def measure_round(number, options, parts, chosen, counts):
    """All parts and loads in the order in which a die has them, and the settings at each in an order of its own: what
    is compared is measured within seconds, since a shared machine is a quarter slower for minutes."""
    die = random.Random(options.seed + number)
    loads = [(part, connections) for part in parts for connections in options.connections or part.connections]
    for part, connections in die.sample(loads, len(loads)):
        taking_part = [*part.settings, *(part.others if number % SELDOM == 0 else ())]
        settings = [setting for setting in chosen if setting in taking_part or setting not in SETTINGS]
        take = measure_rates if part.rates else measure_once
        for setting in die.sample(settings, len(settings)):
            common = {"part": part.name, "round": number, "setting": setting.name, "place": chosen.index(setting)}
            for row in undisturbed(lambda: take(part, setting, connections, options.seconds), counts, options.attempts):
                yield {**common, **row}


def quiet(rows, counts):
    """How quiet the machine was, as facts."""
    shares = [row["others"] * 100 for row in rows]
    return {
        "CPU time that others had": f"{statistics.median(shares):.1f} % in the median measurement, "
        f"{max(shares):.1f} % in the worst",
        "measured again": f"{counts['measured again']} times, of {counts['measurements']} measurements",
        "disturbed all the same": counts["disturbed all the same"],
    }


def run(options):
    prepare()
    chosen, skipped = choose(options.only, options.against)
    parts, skipped_parts = choose_parts(options.connections)
    skipped |= skipped_parts
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}", flush=True)
    build_load()
    try_out(chosen, host.split_cpus()[0])
    facts, counts = host.describe(), collections.Counter()
    rows = [
        row for number in range(options.rounds) for row in measure_round(number, options, parts, chosen, counts)
    ]
    facts |= {"seed of the order": options.seed, **quiet(rows, counts)}
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
