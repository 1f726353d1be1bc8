"""Each fault for a second: no client may notice more than that it takes longer. `make chaos` measures
the same for longer, and how much longer."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import chaos
from scenarios import SCENARIOS


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault_fails_no_get(name, monkeypatch):
    monkeypatch.setattr(chaos, "BEFORE_S", 1)
    monkeypatch.setattr(chaos, "AFTER_S", 1)
    result = chaos.run(name, 1)
    assert result["failed"] == 0, "\n".join(result["failures"])
    assert result["sent"] > result["failed"] + 100, result
