#!/usr/bin/python3
"""Makes results.md and the plots out of what was measured.

usage: report.py MEASURED.json DIRECTORY      (bench.py does it at its end)
"""

import json
import pathlib
import sys

import plots
from results import Results, short
from plan import CACHE_OFF, CROWD, DEFAULT, FLASK, GO, LIMIT, TEXTBOOK, TYPICAL

HEAD = """# What the benchmark measured

Written by `make bench`; the numbers are from one run on the machine described at the end. They say
more as ratios than by themselves.

{headline}

![Requests per second with 64 connections](throughput.svg)
![The 99th percentile of latency over connections](latency.svg)
"""

HEADLINE = """With {connections} connections hello-fcgi answers {go} times as many requests per second
as Go's net/http, {flask} times as many as Flask's own server, and {limit} times as many as an nginx
that only returns a constant. With its cache off, so that each request goes through the responder,
it is {uncached_go} times as many as Go, and {uncached_pool} times as many as libfcgi's usual loop."""

CEILING = """
The last column is the same ratio for an nginx that only returns a constant: what it has cached, or
gets from a responder, cannot be faster than that.
"""

METHOD = """Each server is started for each measurement of {seconds} s alone, warmed up, loaded by
wrk, asked by one more client every 0.1 s whether body and fields are still right, and stopped. All
servers with the first number of connections, then all with the next one and so on make a round.
Figures are medians of the {rounds} rounds; a ratio is made within each round, then its median is
taken. `±` is half the range of the rounds.

An error is an answer that is wrong, not a 200, later than 10 s or missing; it counts for no rate.
wrk corrects its percentiles for the requests that it did not send while it waited. CPU time is that
of all processes of a server, from /proc/PID/stat, and memory their proportional set size (PSS).
"Slowest connection" is the number of answers that it got, relative to the average connection, with
h2load for 1 s; – where h2load did not end. The container has 1 CPU by its quota, all others share
all CPUs that there are. The peers' programs are in [bench/peers](peers).
"""


def median(figure):
    return short(figure.median) if figure else "–"


def with_spread(figure):
    if figure and figure.low < figure.high:
        return f"{short(figure.median)} ± {figure.spread:.0%}"
    return median(figure)


def table(head, rows):
    full = [(*row, *[""] * (len(head) - len(row))) for row in rows]
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *full]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# --- Targets ----------------------------------------------------------------------------------


def rates(results):
    """(what, figure, bound as words, whether the median meets it), as all of these functions; here
    also what nginx alone reaches."""
    bounds = [
        *((CACHE_OFF, GO, 1.0), (CACHE_OFF, LIMIT, 0.45), (CACHE_OFF, TEXTBOOK, 2.2)),
        *((DEFAULT, LIMIT, 0.75), (DEFAULT, GO, 1.5), (DEFAULT, FLASK, 60)),
    ]
    for ours, peer, bound in bounds:
        under = (peer.name, TYPICAL)
        ratio = results.ratio("rps", (ours.name, TYPICAL), under)
        yield (
            f"{ours.name}, {TYPICAL} connections: requests/s / {peer.name}",
            *at_least(ratio, bound),
            results.ratio("rps", (LIMIT.name, TYPICAL), under),
        )


def at_least(figure, bound):
    return figure, f"≥ {bound:g}", figure and figure.median >= bound


def at_most(figure, bound):
    return figure, f"≤ {bound:g}", figure and figure.median <= bound


def tails(results):
    for connections in (TYPICAL, 256):
        ratio = results.ratio("p99", (CACHE_OFF.name, connections), (GO.name, connections))
        what = f"{CACHE_OFF.name}, {connections} connections: p99 / {GO.name}"
        yield (what, *at_most(ratio, 1.5))


def crowds(results):
    for ours in (DEFAULT, CACHE_OFF):
        fall = results.ratio("rps", (ours.name, CROWD), (ours.name, TYPICAL))
        p999 = results.figure(ours.name, CROWD, "p999")
        yield (f"{ours.name}: requests/s, {CROWD} / {TYPICAL} connections", *at_least(fall, 0.75))
        yield (f"{ours.name}, {CROWD} connections: p99.9 in ms", *at_most(p999, 1000))
        yield (f"{ours.name}: errors, all measurements", *at_most(results.total(ours.name), 0))


def sizes(results):
    idle = results.over_all(DEFAULT.name, "idle_mb")
    loaded = results.figure(DEFAULT.name, CROWD, "loaded_mb")
    yield (f"{DEFAULT.name}: idle memory in MB", *at_most(idle, 45))
    yield (f"{DEFAULT.name}, {CROWD} connections: memory in MB", *at_most(loaded, 64))


def target_table(results):
    verdicts = {True: "met", False: "**not met**", None: "not measured"}
    targets = [*rates(results), *tails(results), *crowds(results), *sizes(results)]
    rows = [
        (what, bound, with_spread(figure), verdicts[met], *(with_spread(limit) for limit in limits))
        for what, figure, bound, met, *limits in targets
    ]
    return table(("target", "bound", "measured", "", LIMIT.name), rows)


# --- Tables -----------------------------------------------------------------------------------


def by_connections(results, field, form):
    head = ("connections", *(str(connections) for connections in results.connections))
    rows = [
        (name, *(form(results.figure(name, c, field)) for c in results.connections))
        for name in results.names
    ]
    return table(head, rows)


def error_table(results):
    head = ("connections", *(str(connections) for connections in results.connections))
    rows = [
        (name, *(short(results.total(name, c).median) for c in results.connections))
        for name in results.names
    ]
    return table(head, rows)


def ratio_table(results):
    peers = [setting.name for setting in (LIMIT, GO, FLASK)]

    def ratio(name, peer):
        return with_spread(results.ratio("rps", (name, TYPICAL), (peer, TYPICAL)))

    rows = [(name, *(ratio(name, peer) for peer in peers)) for name in results.names]
    return table((f"requests/s, {TYPICAL} connections, relative to", *peers), rows)


def cost_table(results):
    head = (
        *("", f"CPU µs per request ({TYPICAL})", "idle MB", f"loaded MB ({CROWD})"),
        *("ms to first 200", f"slowest connection ({CROWD})"),
    )
    rows = [
        (
            name,
            with_spread(results.figure(name, TYPICAL, "cpu_us")),
            median(results.over_all(name, "idle_mb")),
            median(results.figure(name, CROWD, "loaded_mb")),
            with_spread(results.over_all(name, "first_ms")),
            median(results.figure(name, CROWD, "share")),
        )
        for name in results.names
    ]
    return table(head, rows)


def headline(results):
    """What the README quotes."""

    def times(ours, peer):
        ratio = results.ratio("rps", (ours.name, TYPICAL), (peer.name, TYPICAL))
        return median(ratio)

    return HEADLINE.format(
        connections=TYPICAL,
        go=times(DEFAULT, GO),
        flask=times(DEFAULT, FLASK),
        limit=times(DEFAULT, LIMIT),
        uncached_go=times(CACHE_OFF, GO),
        uncached_pool=times(CACHE_OFF, TEXTBOOK),
    )


def write(measured, directory):
    results = Results(measured["rows"])
    facts = [f"- {name}: {fact}" for name, fact in measured["machine"].items()]
    facts += [f"- skipped: {name}: {reason}" for name, reason in measured["skipped"].items()]
    method = METHOD.format(seconds=measured["seconds"], rounds=len(results.rounds))
    sections = {
        "Targets": target_table(results) + CEILING,
        "Requests per second": by_connections(results, "rps", with_spread),
        "Ratios": ratio_table(results),
        "Cost": cost_table(results),
        "Latency, median, ms": by_connections(results, "p50", median),
        "Latency, 99th percentile, ms": by_connections(results, "p99", with_spread),
        "Latency, 99.9th percentile, ms": by_connections(results, "p999", with_spread),
        "Errors": error_table(results),
        "How and where": method + "\n" + "\n".join(facts) + "\n",
    }
    text = HEAD.format(headline=headline(results))
    text += "".join(f"\n## {title}\n\n{section}" for title, section in sections.items())
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.md").write_text(text, encoding="utf-8")
    plots.draw(results, directory)


if __name__ == "__main__":
    path, target = map(pathlib.Path, sys.argv[1:])
    write(json.loads(path.read_text(encoding="utf-8")), target)
