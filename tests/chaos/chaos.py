#!/usr/bin/python3
"""Injects faults into the service while clients ask it, and prints what the clients saw as a table.

usage: chaos.py [--seconds S] [SCENARIO ...]      (make chaos; all scenarios, 10 s each)

64 connections; half of the requests may be answered by the cache. `recovered` is how long after the
fault's end the first tenth of a second has 80 % of the answers that it had in the median before. Exit
status 1 when a GET failed.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from clients import BUCKET_S
from scenarios import SCENARIOS, start_load

CONNECTIONS = 64
BEFORE_S, AFTER_S = 2, 3  # of load without a fault


def run(name, seconds):
    """What the load saw of one scenario."""
    scenario = SCENARIOS[name]
    with scenario.world() as service:
        load = start_load(service.port, CONNECTIONS)
        try:
            assert load.stdout.readline() == "started\n", "the load did not start"
            time.sleep(BEFORE_S)
            began = time.monotonic()
            own_failures = scenario(service, seconds) or []
            ended = time.monotonic()
            time.sleep(AFTER_S)
            load.terminate()
            result = json.loads(load.stdout.read())
        finally:
            load.kill()
            load.wait()
        if hasattr(service, "check_log"):
            service.expect("", 0)  # what a fault makes it say is not this test's business
    result["failed"] += len(own_failures)
    result["failures"] += own_failures
    rates = {int(bucket): count / BUCKET_S for bucket, count in result.pop("buckets").items()}
    return {"name": name, **result, **speeds(rates, began, ended)}


def speeds(rates, began, ended):
    """Answers per second before, during and after the fault, from those of each bucket."""

    def during(first, last):
        buckets = range(int(first / BUCKET_S) + 1, int(last / BUCKET_S))
        return [rates.get(bucket, 0) for bucket in buckets]

    before = statistics.median(during(began - BEFORE_S, began))
    after = during(ended, ended + AFTER_S)
    good = [number for number, rate in enumerate(after) if rate >= 0.8 * before]
    return {
        "before": before,
        "during": statistics.mean(during(began, ended)),
        "recovered_s": good[0] * BUCKET_S if good else None,
    }


def row(result):
    latency = result["latency_ms"]
    recovered = result["recovered_s"]
    return (
        f"| {SCENARIOS[result['name']].text} | {result['sent']:,} | {result['failed']} "
        f"| {result['retried']} | {latency['0.5']:.1f} | {latency['0.999']:.0f} "
        f"| {latency['1.0']:.0f} | {result['during'] / result['before']:.2f} "
        f"| {'more than 3' if recovered is None else f'{recovered:.1f}'} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    arguments = parser.parse_args()
    unknown = set(arguments.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(unknown)}, only {', '.join(SCENARIOS)}")
    print("| fault | sent | failed | retried | p50 ms | p99.9 ms | slowest ms | speed during | recovered s |")
    print("|---|---|---|---|---|---|---|---|---|")
    failed = 0
    for name in arguments.scenarios or SCENARIOS:
        result = run(name, arguments.seconds)
        failed += result["failed"]
        print(row(result), flush=True)
        for failure in result["failures"][:3]:
            print(f"  {failure}", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
