"""What a rollout is checked for when it has ended."""

import re
import shlex

from service import REPOSITORY

OLD, NEW = 1, 2  # the revisions of the cloud, by number


def check(ended, cloud, status, shares, *says, regions=None, tags=None):
    """Checks the exit status, who serves what, that no tags are left (or these), and what is said,
    in that order."""
    assert ended.status == status, ended
    for region in regions or cloud.regions:
        assert cloud.shares(region) == shares, f"in {region} serve {cloud.shares(region)}; {ended}"
        assert cloud.tags(region) == (tags or {}), f"in {region} tags {cloud.tags(region)}; {ended}"
    position = 0
    for pattern in says:
        match = re.compile(pattern).search(ended.log, position)
        assert match, f"{pattern!r} was not said behind character {position}; {ended}"
        position = match.end()


def check_put_back(ended, cloud, *says, **options):
    check(ended, cloud, 1, {OLD: 100}, *says, **options)


def told_to_run(ended):
    """The one command that a person is told to run."""
    commands = re.findall("A PERSON HAS TO ACT. Run: (.*)", ended.log)
    assert len(commands) == 1, ended
    return shlex.split(f"{REPOSITORY}/{commands[0]}")
