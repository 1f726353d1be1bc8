"""What was measured, as figures: medians over the rounds, and ratios made within each."""

import statistics
from typing import NamedTuple


class Figure(NamedTuple):
    median: float
    low: float
    high: float

    @property
    def spread(self):
        """Half of the range, relative to the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


def figure(values):
    """None when there is no value."""
    there = [value for value in values if value is not None]
    return Figure(statistics.median(there), min(there), max(there)) if there else None


def short(value):
    """Three digits; more would pretend."""
    if value is None:
        return "–"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


class Results:
    """A value that was not measured is None, and so is every figure that would need it."""

    def __init__(self, rows):
        self.rows = rows
        self.cells = {(row["setting"], row["connections"], row["round"]): row for row in rows}
        self.names = list(dict.fromkeys(row["setting"] for row in rows))
        self.connections = sorted({row["connections"] for row in rows})
        self.rounds = sorted({row["round"] for row in rows})

    def values(self, name, connections, field):
        """One of each round."""
        return [self.cells.get((name, connections, n), {}).get(field) for n in self.rounds]

    def figure(self, name, connections, field):
        return figure(self.values(name, connections, field))

    def over_all(self, name, field):
        """Of what does not depend on the connections."""
        return figure(row.get(field) for row in self.rows if row["setting"] == name)

    def total(self, name, connections=None):
        """Errors, as a figure without spread."""
        counts = [
            row["errors"]
            for row in self.rows
            if row["setting"] == name and connections in (None, row["connections"])
        ]
        return figure([sum(counts)] if counts else [])

    def ratio(self, field, over, under):
        """Of one (name, connections) to another, made within each round: what slows the machine for
        a while then slows both."""
        pairs = zip(self.values(*over, field), self.values(*under, field))
        return figure(a / b for a, b in pairs if a is not None and b)
