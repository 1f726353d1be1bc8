"""Debian's packages of which an image has files, as it says itself (scripts/rootfs).

Needs Python 3.8, and docker or podman.
"""

import io
import os
import subprocess
import tarfile

from command_line import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
STATUS = "/var/lib/dpkg/status.d"


class NoPackages(Failure):
    """What stands in the way of knowing the packages."""


def engine():
    """docker or podman, whichever works."""
    asked = subprocess.run(
        [f"{HERE}/../scripts/engine"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if asked.returncode != 0:
        raise NoPackages(asked.stderr.strip())
    return asked.stdout.strip()


def run(*command):
    """Returns what the engine prints, as bytes."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if ended.returncode != 0:
        reason = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise NoPackages(f"{' '.join(command)} failed: {reason}")
    return ended.stdout


def parse(entry):
    """The fields of an entry of dpkg's status; of those with several lines only the first line."""
    lines = [line for line in entry.splitlines() if line and not line[0].isspace()]
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def packages(image):
    """Returns the entries of an image's packages, by their names. Raises NoPackages when there is
    no such image, or it says nothing of them."""
    program = engine()
    # It is never started; one of a single directory would have no program to start.
    name = run(program, "create", "--no-healthcheck", image, "none").decode().split()[-1]
    try:
        archive = run(program, "cp", f"{name}:{STATUS}", "-")
    finally:
        run(program, "rm", name)
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        entries = [
            parse(members.extractfile(member).read().decode())
            for member in members
            if member.isfile() and not member.name.endswith(".md5sums")
        ]
    if not entries:
        raise NoPackages(f"{image} has no package in {STATUS}")
    return {entry["Package"]: entry for entry in entries}


def versions(image):
    return {name: entry["Version"] for name, entry in packages(image).items()}
