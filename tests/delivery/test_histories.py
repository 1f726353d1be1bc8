"""Random histories of rollouts, a rollback, kills and failures: histories.py says what they are.

HISTORIES: how many (300). FIRST_SEED: the seed of the first one; chosen anew each time, and printed.
"""

import os
import random

import histories
import pytest

COUNT = int(os.environ.get("HISTORIES", "300"))
FIRST = int(os.environ.get("FIRST_SEED", random.randrange(10**9)))
PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_ends_wrong_or_undecided(part):
    for seed in range(FIRST + part, FIRST + COUNT, PARTS):
        violations = histories.play(seed).violations
        assert not violations, f"histories.py {seed} says what happened: {violations}"
