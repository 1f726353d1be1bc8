"""The plots, drawn by gnuplot from the figures. The title of each is the sentence that it shows."""

import json
import subprocess
from pathlib import Path

from plan import ALL, BUILD, CACHE_OFF, CROWD, DEFAULT, GO, LIMIT, OPEN, TYPICAL
from results import short

STARTS = Path(__file__).with_name("cold-start.json")
SOON_MS = 1  # an answer that is later has waited in a queue


def bars(figures):
    """A line for each (name, figure), the largest last, as gnuplot draws upwards."""
    ordered = sorted((figure, name) for name, figure in figures if figure)
    return "".join(
        f'"{name}" {figure.median} {figure.low} {figure.high} {short(figure.median)}\n'
        for figure, name in ordered
    ).replace("`", "")


def columns(results, names, field):
    """One line for each load, with the medians of these settings; nothing where there is no load."""
    if not results.loads:
        return ""
    head = " ".join(["load", *(f'"{name}"' for name in names)])
    lines = [
        " ".join([str(load), *(value(results.figure(name, load, field)) for name in names)])
        for load in results.loads
    ]
    return "\n".join([head, *lines]).replace("`", "") + "\n"


def value(figure):
    return f"{figure.median}" if figure else "NaN"


def throughput(parts):
    results = parts[ALL.name]
    ratio = results.ratio("rps", (DEFAULT.name, TYPICAL), (LIMIT.name, TYPICAL))
    title = f"hello-fcgi answers {short(ratio and ratio.median)} of what nginx itself can"
    return title, bars((name, results.figure(name, TYPICAL, "rps")) for name in results.names)


def soon(results, name):
    """The highest rate up to which 99 % are answered soon."""
    reached = 0
    for rate in results.loads:
        figure = results.figure(name, rate, "p99")
        if not figure or figure.median > SOON_MS:
            break
        reached = rate
    return f"{reached:,}"


def latency(parts):
    results, names = parts[OPEN.name], [setting.name for setting in (LIMIT, DEFAULT, CACHE_OFF, GO)]
    title = (
        f"99 % within {SOON_MS} ms, one CPU: {soon(results, DEFAULT.name)}/s, "
        f"cache off {soon(results, CACHE_OFF.name)}, Go {soon(results, GO.name)}"
    )
    return title, columns(results, [name for name in names if name in results.names], "p99")


def memory(parts):
    results = parts[ALL.name]
    ours, go = (results.figure(setting.name, CROWD, "loaded_mb") for setting in (DEFAULT, GO))
    title = f"{CROWD} connections take {short(ours and ours.median)} MB, Go's {short(go and go.median)}"
    return title, bars((name, results.figure(name, CROWD, "loaded_mb")) for name in results.names)


def start():
    """From what make bench-image has measured; the runtimes in turn."""
    measured = json.loads(STARTS.read_text(encoding="utf-8"))
    names = list(dict.fromkeys(row["name"] for row in measured))
    runtimes = list(dict.fromkeys(row["runtime"] for row in measured))
    ms = {(row["name"], row["runtime"]): row["ms"] for row in measured if row["cache"] == "warm"}
    ratios = [f"{ms['hello-fcgi', one] / ms['Flask', one]:.2g} under {one}" for one in runtimes]
    title = f"A cold start takes {', '.join(ratios)} of Flask's time"
    lines = [" ".join([f'"{name}"', *(str(ms[name, one]) for one in runtimes)]) for name in names]
    return title, "\n".join([" ".join(["name", *runtimes]), *lines]) + "\n"


def draw(parts, directory):
    BUILD.mkdir(parents=True, exist_ok=True)
    plots = {"throughput": throughput(parts), "memory": memory(parts), "latency": latency(parts)}
    if STARTS.exists():
        plots["start"] = start()
    for name, (title, text) in plots.items():
        if not text:
            continue
        (BUILD / f"{name}.dat").write_text(text, encoding="utf-8")
        command = ["gnuplot", "-c", Path(__file__).with_name("plots.gp"), name, BUILD, directory, title]
        subprocess.run(command, check=True)
