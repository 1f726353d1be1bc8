"""Which commit is older, as far as git can tell."""

import os
import subprocess

from gcloud import PATIENCE, Failure, say


def git(*arguments):
    """Runs git, also in a directory that is another user's, as a build's may be."""
    try:
        return subprocess.run(
            ["git", "-c", "safe.directory=*", *arguments],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"git {' '.join(arguments)} cannot be run: {error}")


def told(checkout, *arguments):
    """What git says of a checkout."""
    shown = git("-C", str(checkout), *arguments)
    if shown.returncode != 0:
        raise Failure(f"git {' '.join(arguments)} failed: {' '.join(shown.stderr.split())}")
    return shown.stdout.strip()


def head(checkout):
    """The commit of a checkout."""
    return told(checkout, "rev-parse", "HEAD")


def committed(commit):
    """When, in seconds since 1970; None when git does not know the commit."""
    shown = git("show", "--no-patch", "--format=%ct", commit)
    return int(shown.stdout) if shown.returncode == 0 else None


def is_older(commit, serving):
    """Whether commit is an ancestor of a revision's. Builds get a clone without history. Where that
    cannot be had, as from a private repository without credentials, the time of the commits
    decides."""
    other = serving.commit
    if other is None or other == commit:
        return False
    if git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        git("fetch", "--quiet", "--unshallow", "origin")
    status = git("merge-base", "--is-ancestor", commit, other).returncode
    if status in (0, 1):
        return status == 0
    mine = committed(commit)
    if not mine:
        raise Failure(
            f"git does not know {commit}, and its history cannot be fetched: whether it is older than {other}, which"
            " serves, nobody can tell. Deploy what main has now"
        )
    if not serving.committed:
        say(f"WARNING: git knows too little to tell whether {commit} is older than {other}")
    return bool(serving.committed) and mine < serving.committed


def refuse_older(commit, serving):
    """Fails when commit is older than what a revision serves."""
    if is_older(commit, serving):
        raise Failure(
            f"{commit} is older than {serving.commit}, which serves. To go back on purpose: make"
            " rollback TO=COMMIT, or git revert"
        )
