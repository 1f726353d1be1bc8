"""What the fuzzers start from, and each input that once broke something, goes through again."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BUILD = Path(os.environ.get("BUILD", REPOSITORY / "build"))
CORPUS = REPOSITORY / "fuzz" / "corpus"
TARGETS = sorted(path.stem for path in (REPOSITORY / "fuzz").glob("*.c") if path.stem != "replay")


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_of_the_corpus_breaks_its_target(target):
    files = sorted((CORPUS / target).iterdir())
    assert files, f"no seeds for {target}"
    command = [BUILD / "fuzz" / target, *files]
    replayed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert replayed.returncode == 0, replayed.stderr
