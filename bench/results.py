"""What was measured, as figures: medians over the rounds, and ratios made within each."""

import itertools
import math
import statistics
from typing import NamedTuple

LEAST = 6  # values that have an interval


class Figure(NamedTuple):
    median: float
    low: float
    high: float

    def differs(self, other):
        """By more than the spread of both."""
        return self.low > other.high or self.high < other.low


def interval(sorted_values):
    """Where the median of what they are a sample of lies with 95 % confidence, by order statistics; of
    fewer than LEAST the range."""
    count, below = len(sorted_values), 0
    if count < LEAST:
        return sorted_values[0], sorted_values[-1]
    for rank in itertools.count():
        below += math.comb(count, rank) / 2**count
        if below > 0.025:
            return sorted_values[rank - 1], sorted_values[count - rank]


def figure(values):
    """None when there is no value."""
    there = sorted(value for value in values if value is not None)
    return Figure(statistics.median(there), *interval(there)) if there else None


def short(value):
    """Three digits; more would pretend."""
    if value is None:
        return "–"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


class Results:
    """Of one part. by: what its loads are, connections or rate. A value that was not measured is None, and so is
    every figure that would need it."""

    def __init__(self, rows, by="connections"):
        self.rows = rows
        self.cells = {(row["setting"], row[by], row["round"]): row for row in rows}
        self.names = list(dict.fromkeys(row["setting"] for row in sorted(rows, key=lambda row: row["place"])))
        self.loads = sorted({row[by] for row in rows})
        self.rounds = sorted({row["round"] for row in rows})

    def values(self, name, load, field):
        """One of each round."""
        return [self.cells.get((name, load, n), {}).get(field) for n in self.rounds]

    def figure(self, name, load, field):
        return figure(self.values(name, load, field))

    def over_all(self, name, field):
        """Of what does not depend on the load."""
        return figure(row.get(field) for row in self.rows if row["setting"] == name)

    def total(self, name, load=None):
        """Errors, as a figure without spread."""
        counts = [
            row["errors"]
            for (setting, one, _), row in self.cells.items()
            if setting == name and load in (None, one)
        ]
        return figure([sum(counts)] if counts else [])

    def ratio(self, field, over, under):
        """Of one (name, load) to another, made within each round: what slows the machine for a while then
        slows both."""
        pairs = zip(self.values(*over, field), self.values(*under, field))
        return figure(a / b for a, b in pairs if a is not None and b)

    def figures(self, fields):
        """Those that have an interval, by setting, load and field, for the next run to be compared with: the
        ranges of fewer values lie apart by chance, those of two values in a third of all cases."""
        found = {
            (name, load, field): self.values(name, load, field)
            for name in self.names
            for load in self.loads
            for field in fields
        }
        return {key: figure(values) for key, values in found.items() if len(values) - values.count(None) >= LEAST}
