"""Copies of the tree, in which a test changes files and runs what a reader would."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

# CI runs make lint first.
needs_lint = pytest.mark.skipif(not shutil.which("clang-tidy"), reason="needs what make lint installs")


def copy_tree(directory):
    """What git knows of the tree, or would."""
    os.chmod(directory.parent, 0o755)
    os.chmod(directory, 0o755)  # the service's user must get there
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    copying = ["xargs", "-0", "cp", "--parents", "--no-dereference", "-t", directory]
    subprocess.run(copying, cwd=REPOSITORY, input=listed.stdout, check=True)
    return directory


def run(directory, *command, check=False):
    """In the copy, without what this run of the tests has set for the tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for name in ("BUILD", "RESPONDER"):
        environment.pop(name, None)
    ended = subprocess.run(list(map(str, command)), cwd=directory, env=environment, capture_output=True, text=True)
    assert not check or ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended
