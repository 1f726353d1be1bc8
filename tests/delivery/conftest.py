"""Tests of the delivery: the scripts in cloudbuild/ against a stub of gcloud and the real service.

    make build && /usr/bin/python3 -m pytest -n 2 tests/delivery      (make test does this too)
"""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))  # for service.py
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "cloudbuild"))

from cloud import REGION, Cloud, Responders, Stacks  # noqa: E402


class Repository:
    """A repository of git with three commits, each an ancestor of the next."""

    def __init__(self, directory):
        self.directory = directory
        self.git("init", "--quiet", "--initial-branch=main")
        self.old, self.new, self.newer = (self.commit(number) for number in range(1, 4))

    def git(self, *arguments, date=0):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            **{
                f"GIT_{role}_{what}": "test"
                for role in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            **{
                f"GIT_{role}_DATE": f"{1700000000 + date} +0000" for role in ("AUTHOR", "COMMITTER")
            },
        }
        return subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, number):
        self.git("commit", "--quiet", "--allow-empty", f"--message=commit {number}", date=number)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="session")
def stacks(tmp_path_factory):
    stacks = Stacks(Responders(tmp_path_factory.mktemp("responders")))
    yield stacks
    stacks.end()


@pytest.fixture
def make_cloud(tmp_path, stacks, repository):
    """A function that makes the one cloud of a test."""
    made = []

    def make(old=repository.old, regions=(REGION,)):
        made.append(Cloud(tmp_path, stacks, repository.directory, old, regions))
        return made[0]

    yield make
    for cloud in made:
        cloud.close()


@pytest.fixture
def cloud(make_cloud):
    """One region, in which the old commit serves."""
    return make_cloud()
