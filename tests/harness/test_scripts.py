"""What scripts and targets say of a word that they do not know: nothing that looks like success."""

import subprocess

from copies import REPOSITORY


def ended(*command, **environment):
    return subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )


def test_an_unknown_group_of_packages_is_refused():
    said = ended("scripts/setup", "build", "nonsense")
    assert (said.returncode, said.stderr) == (64, "setup: unknown group nonsense\n"), said


def test_lint_since_what_is_no_commit_is_refused():
    said = ended("scripts/lint", SINCE="nonsense")
    assert (said.returncode, said.stderr) == (2, "lint: SINCE=nonsense is no commit\n"), said


def test_a_rollback_to_a_name_that_is_empty_is_none_to_what_served_before():
    for words, arguments in ((), ""), (("TO=",), " ''"), (("TO=abc",), " abc"):
        said = ended("make", "--dry-run", "--no-print-directory", "rollback", *words)
        assert said.stdout.rstrip(" \n") == f"python3 -B cloudbuild/rollback{arguments}", said
