#!/usr/bin/python3
"""Makes results.md, results.json and the plots out of what was measured, and says what has changed.

usage: report.py MEASURED.json DIRECTORY      (bench.py does it at its end)
"""

import json
import pathlib
import sys

import plots
from plan import ALL, CACHE_OFF, CACHED, CROWD, DEFAULT, FLASK, GO, LIMIT, ONE, OPEN, PARTS, PASSED_ON, QUARTER
from plan import TEXTBOOK, TYPICAL
from results import Figure, Results, short

HEAD = """# What the benchmark measured

Written by `make bench`; the numbers are from one run on the machine described at the end. They say
more as ratios than by themselves.

{headline}

![Requests per second with {typical} connections](throughput.svg)
![The 99th percentile of latency over the load, on one CPU](latency.svg)
![Memory](memory.svg)
"""

# What the README quotes, word by word.
HEADLINE = """With {connections} connections hello-fcgi answers {limit} of the requests that an nginx does which only
returns a constant, and {uncached_limit} with its cache off, so that each request goes through the responder. These
are {go} and {uncached_go} times as many as Go's net/http, {flask} and {uncached_flask} times as many as Flask's own
server, and {pool} and {uncached_pool} times as many as libfcgi's usual loop. On one CPU a request costs {cost} times
the CPU time that it costs Go, and {uncached_cost} times with the cache off. An nginx with nothing of ours in its
configuration answers {alone_limit} of what it does with a constant when it has the answer in its own cache, and
{alone_uncached_limit} when it passes each request on. {missed}"""

METHOD = """Each server is started for each measurement of {seconds} s alone, warmed up, loaded by wrk, asked by one
more client every 0.1 s whether body and fields are still right, and stopped. There are {rounds} rounds, each with its
loads in an order that a die has thrown, and at each load the servers in another one, so that what is compared was
measured within seconds; those of the servers that stand in no target take part in every fourth. Figures are
medians of the rounds; a ratio is made within each round, then its median is taken. What stands in parentheses is where the
median lies with 95 % confidence, by order statistics; of fewer than six values it is their range.

A measurement during which others had more than 5 % of the CPU time, which are programs that belong neither to the
server nor to the load, and other machines, is thrown away and made again, three times at most; what is disturbed
then still is kept and counted below.

An error is an answer that is wrong, not a 200, later than 10 s or missing; it counts for no rate. wrk corrects its
percentiles for the requests that it did not send while it waited. CPU time is that of all processes of a server,
from /proc/PID/stat, and memory their proportional set size (PSS). "Slowest connection" is the number of answers that
it got, relative to the average connection, with h2load for 1 s; – where h2load did not end.

One CPU: all processes of a server are confined to it, and the load has the others. A quarter: the same, by a quota
of 25 ms in each 100, as Cloud Run's and a container's are. Open loop: `openloop.c` asks at a fixed rate whatever is
answered, and counts from when a request was due. Of what Debian and npm have for that none would do: autocannon's
own 99th percentile was 360 ms at 1,000 requests/s, where that of `openloop.c` was 15 ms. The peers' programs are
in [peers](peers).
"""

COMPARED = ("rps", "p99", "cpu_us", "idle_mb", "loaded_mb")


def median(figure):
    return short(figure.median) if figure else "–"


def with_spread(figure):
    if figure and figure.low < figure.high:
        return f"{short(figure.median)} ({short(figure.low)}–{short(figure.high)})"
    return median(figure)


def table(head, rows):
    full = [(*row, *[""] * (len(head) - len(row))) for row in rows]
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *full]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# --- Targets ----------------------------------------------------------------------------------


def at_least(figure, bound):
    return figure, f"≥ {bound:g}", figure and figure.median >= bound


def at_most(figure, bound):
    return figure, f"≤ {bound:g}", figure and figure.median <= bound


# Whether the cache answers: ours, and what of nginx by itself stands for it.
OURS = {"cache on": DEFAULT, "cache off": CACHE_OFF}
ALONE = {"cache on": CACHED, "cache off": PASSED_ON}


def rates(results, settings):
    """(what, figure, bound as words, whether the median meets it), as all of these functions."""
    for ours, bound in ((settings["cache on"], 0.93), (settings["cache off"], 0.75)):
        ratio = results.ratio("rps", (ours.name, TYPICAL), (LIMIT.name, TYPICAL))
        yield (f"{ours.name}, {TYPICAL} connections: requests/s / {LIMIT.name}", *at_least(ratio, bound))


def tails(results):
    for ours in (DEFAULT, CACHE_OFF):
        for connections in (TYPICAL, 256):
            ratio = results.ratio("p99", (ours.name, connections), (GO.name, connections))
            yield (f"{ours.name}, {connections} connections: p99 / {GO.name}", *at_most(ratio, 1))


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


def costs(results, settings):
    for ours, bound in ((settings["cache on"], 1), (settings["cache off"], 1.15)):
        for connections in ONE.connections:
            ratio = results.ratio("cpu_us", (ours.name, connections), (GO.name, connections))
            what = f"{ours.name}, one CPU, {connections} connections: CPU time for a request / {GO.name}"
            yield (what, *at_most(ratio, bound))


def targets(parts):
    results = parts[ALL.name]
    return [*rates(results, OURS), *tails(results), *crowds(results), *sizes(results), *costs(parts[ONE.name], OURS)]


def reachable(parts):
    """Those that nginx by itself could meet or not: what is measured is nginx with nothing of ours."""
    return [*rates(parts[ALL.name], ALONE), *costs(parts[ONE.name], ALONE)]


def target_table(targets):
    verdicts = {True: "met", False: "**not met**", None: "not measured"}
    rows = [(what, bound, with_spread(figure), verdicts[met]) for what, figure, bound, met in targets]
    return table(("target", "bound", "measured", ""), rows)


# --- Tables -----------------------------------------------------------------------------------


def by_load(results, field, form, what="connections"):
    head = (what, *(f"{load:,}" for load in results.loads))
    rows = [
        (name, *(form(results.figure(name, load, field)) for load in results.loads)) for name in results.names
    ]
    return table(head, rows)


def error_table(results):
    head = ("connections", *map(str, results.loads))
    rows = [
        (name, *(median(results.total(name, load)) for load in results.loads)) for name in results.names
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


def sections(parts):
    results = parts[ALL.name]
    yield "Targets", target_table(targets(parts))
    yield "The same targets, by nginx alone", target_table(reachable(parts))
    yield "Requests per second", by_load(results, "rps", with_spread)
    yield "Ratios", ratio_table(results)
    yield "Cost", cost_table(results)
    yield "Latency, median, ms", by_load(results, "p50", median)
    yield "Latency, 99th percentile, ms", by_load(results, "p99", with_spread)
    yield "Latency, 99.9th percentile, ms", by_load(results, "p999", with_spread)
    yield "Errors", error_table(results)
    for part in filter(lambda part: parts[part.name].rows, (ONE, QUARTER)):
        yield f"{part.name}: requests per second", by_load(parts[part.name], "rps", with_spread)
        yield f"{part.name}: CPU µs per request", by_load(parts[part.name], "cpu_us", with_spread)
        yield f"{part.name}: latency, median, ms", by_load(parts[part.name], "p50", median)
        yield f"{part.name}: latency, 99th percentile, ms", by_load(parts[part.name], "p99", with_spread)
    if parts[OPEN.name].rows:
        title, rates = f"{OPEN.name}, one CPU: latency", parts[OPEN.name]
        yield f"{title}, median, ms", by_load(rates, "p50", median, "requests/s")
        yield f"{title}, 99th percentile, ms", by_load(rates, "p99", with_spread, "requests/s")


def headline(parts):
    results, one = parts[ALL.name], parts[ONE.name]

    def times(ours, peer):
        return median(results.ratio("rps", (ours.name, TYPICAL), (peer.name, TYPICAL)))

    def cost(ours):
        return median(one.ratio("cpu_us", (ours.name, 80), (GO.name, 80)))

    met = [met for *_, met in targets(parts) if met is not None]
    missed = f"Of {len(met)} targets {met.count(False) or 'none'} {'is' if met.count(False) < 2 else 'are'} missed."
    peers = {"limit": LIMIT, "go": GO, "flask": FLASK, "pool": TEXTBOOK}
    ratios = {name: times(DEFAULT, peer) for name, peer in peers.items()}
    ratios |= {f"uncached_{name}": times(CACHE_OFF, peer) for name, peer in peers.items()}
    ratios |= {"alone_limit": times(CACHED, LIMIT), "alone_uncached_limit": times(PASSED_ON, LIMIT)}
    costs_of = {"cost": cost(DEFAULT), "uncached_cost": cost(CACHE_OFF)}
    return HEADLINE.format(connections=TYPICAL, missed=missed, **ratios, **costs_of)


# --- Comparison -------------------------------------------------------------------------------


def all_figures(parts):
    """As results.json has them."""
    return {
        f"{part}: {name}, {load}: {field}": [float(f"{value:.4g}") for value in figure]
        for part, results in parts.items()
        for (name, load, field), figure in results.figures(COMPARED).items()
    }


def changes(before, after):
    """What differs by more than the spread, in lines."""
    for name in before.keys() & after.keys():
        old, new = Figure(*before[name]), Figure(*after[name])
        if new.differs(old):
            yield f"{name}: {with_spread(new)}, was {with_spread(old)}"


# --- All of it --------------------------------------------------------------------------------


def parts_of(rows):
    return {
        part.name: Results([row for row in rows if row["part"] == part.name], "rate" if part.rates else "connections")
        for part in PARTS
    }


def write(measured, directory):
    parts = parts_of(measured["rows"])
    facts = [f"- {name}: {fact}" for name, fact in measured["machine"].items()]
    facts += [f"- skipped: {name}: {reason}" for name, reason in measured["skipped"].items()]
    method = METHOD.format(seconds=measured["seconds"], rounds=len(parts[ALL.name].rounds))
    text = HEAD.format(headline=headline(parts), typical=TYPICAL)
    text += "".join(f"\n## {title}\n\n{section}" for title, section in sections(parts))
    text += f"\n## How and where\n\n{method}\n" + "\n".join(facts) + "\n"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.md").write_text(text, encoding="utf-8")
    kept, figures = directory / "results.json", all_figures(parts)
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        found = sorted(changes(before, figures))
        compared = len(before.keys() & figures.keys())
        print(f"\nOf {compared} figures {len(found)} have changed by more than the spread.", *found, sep="\n")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(figure)}" for name, figure in figures.items())
    kept.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    plots.draw(parts, directory)


if __name__ == "__main__":
    path, target = map(pathlib.Path, sys.argv[1:])
    write(json.loads(path.read_text(encoding="utf-8")), target)
