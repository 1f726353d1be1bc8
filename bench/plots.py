"""The plots, drawn by gnuplot from the figures."""

import subprocess
from pathlib import Path

from results import short
from plan import BUILD, TYPICAL


def columns(results, field):
    """One line for each number of connections, with each setting's median."""
    head = " ".join(["connections", *(f'"{name}"' for name in results.names)])
    lines = [
        " ".join([str(c), *(value(results.figure(name, c, field)) for name in results.names)])
        for c in results.connections
    ]
    return "\n".join([head, *lines]) + "\n"


def value(figure):
    return f"{figure.median}" if figure else "NaN"


def bars(results):
    """One line for each setting, the fastest last, as gnuplot draws upwards."""
    figures = [(results.figure(name, TYPICAL, "rps"), name) for name in results.names]
    ordered = sorted((figure, name) for figure, name in figures if figure)
    return "".join(
        f'"{name}" {figure.median} {figure.low} {figure.high} {short(figure.median)}\n'
        for figure, name in ordered
    )


def draw(results, directory):
    BUILD.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "bars": bars(results),
        "rps": columns(results, "rps"),
        "p99": columns(results, "p99"),
    }.items():
        (BUILD / f"{name}.dat").write_text(text.replace("`", ""), encoding="utf-8")
    subprocess.run(
        ["gnuplot", "-c", Path(__file__).with_name("plots.gp"), BUILD, directory], check=True
    )
