"""Terraform, tested without Google Cloud.

    make test-terraform TERRAFORM=...      (make test does this too)

TERRAFORM is the program, terraform by default. The real one needs its provider, so a network or a
mirror, and runs what needs no project. What applies anything needs a program that stands in for
Google Cloud and keeps its state in TERRAFORM_OFFLINE_STATE. What cannot be run is skipped.
"""

import fcntl
import re
import subprocess

import pytest
from working_copy import PROGRAM, ROOTS, TERRAFORM, WorkingCopy

# What init says where not the configuration is at fault but what is installed or can be reached.
UNAVAILABLE = re.compile(
    "Failed to query available provider packages|Failed to install provider"
    "|Unsupported Terraform Core version"
)


@pytest.fixture(scope="session", autouse=True)
def program(tmp_path_factory):
    if not PROGRAM:
        pytest.skip(f"there is no program {TERRAFORM} (set TERRAFORM)")
    # One process at a time, since the program may install what it needs when it first runs.
    with open(tmp_path_factory.getbasetemp().parent / "terraform.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy with both roots initialised."""
    made = WorkingCopy(tmp_path_factory.mktemp("checkout"))
    for root in ROOTS:
        arguments = ("init", "-input=false", "-backend=false", "-no-color")
        done = made.run(*arguments, root=root, status=None)
        if reason := UNAVAILABLE.search(done.stderr):
            pytest.skip(f"{TERRAFORM} init: {reason[0]}")
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="session")
def stand_in(checkout):
    """Skips unless applying is safe: the real program puts nothing into the state's directory."""
    if not any(checkout.state.iterdir()):
        pytest.skip(f"{TERRAFORM} is the real one; applying needs a stand-in for Google Cloud")


@pytest.fixture
def project(stand_in, tmp_path):
    """An empty project."""
    made = WorkingCopy(tmp_path)
    made.run("init", "-input=false")
    return made
