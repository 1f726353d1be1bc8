"""make rename: a copy of the tree under another name is as sound as the tree is."""

import re
import subprocess

import pytest
from copies import REPOSITORY, copy_tree, needs_lint, run

VARIABLES = (REPOSITORY / "terraform" / "variables.tf").read_text("utf-8")
OLD = re.search(r'^variable "service" {.*?^  default *= "(.*?)"', VARIABLES, re.MULTILINE | re.DOTALL)[1]
# In pieces, since a name that means something already is refused.
LONGEST, FIRST, SECOND, EXAMPLE = (
    "-".join(words) for words in (("greeter", "of", "all"), ("first", "name"), ("second", "name"), ("my", "service"))
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Under version control, and under the longest name."""
    directory = copy_tree(tmp_path_factory.mktemp("renamed"))
    git(directory, "init", "-q")
    commit(directory)
    said = rename(directory, LONGEST)
    assert f"{OLD} is {LONGEST} now" in said.stdout, said
    return directory


def git(directory, *arguments):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


def commit(directory):
    git(directory, "add", "--all")
    git(directory, "commit", "-q", "--message=As it was")


def rename(directory, name):
    return run(directory, "make", "--no-print-directory", "rename", f"NAME={name}")


def lines_with(directory, name):
    """Those of the whole tree, as FILE:LINE."""
    ended = subprocess.run(["git", "grep", "-I", name], cwd=directory, capture_output=True, text=True)
    return ended.stdout.splitlines()


def test_the_old_name_stands_only_where_something_was_measured_or_promised_under_it(copy):
    left = lines_with(copy, OLD)
    files = {line.partition(":")[0] for line in left}
    kept = {"LICENSE", "CHANGELOG.md", "README.md", "docs/container.md", "docs/scale.md"}
    assert {file for file in files if not file.startswith("bench/")} <= kept, files
    for file in ("README.md", "bench/results.md", "docs/container.md", "docs/scale.md"):
        text = (copy / file).read_text("utf-8")
        assert text.count("from which this was made") == 1, file
    assert not [line for line in left if line.startswith("README.md:# ")]


@needs_lint
def test_it_is_as_lint_wants_it(copy):
    run(copy, "make", "-s", "lint", "SINCE=HEAD", check=True)


def test_it_builds_and_passes_the_unit_tests(copy):
    run(copy, "make", "-s", "-j2", "build", "unit-tests", check=True)
    programs = [path for path in (copy / "build/tests/unit").iterdir() if not path.suffix]
    assert len(programs) > 10
    for program in programs:
        run(copy, program, check=True)
    run(copy, "/usr/bin/python3", "-B", "-m", "pytest", "-q", "tests/supervisor/test_settings_table.py", check=True)


def test_what_was_measured_under_the_old_name_is_still_computed_with(copy):
    computed = "results_say or page_on_scale"
    run(copy, "/usr/bin/python3", "-B", "-m", "pytest", "-q", "tests/bench", "-k", computed, check=True)


def test_it_passes_the_tests_of_terraform(copy):
    """Those in which the name stands; all of them take three minutes."""
    named = "defaults or domain or identities or environments or documents or grant"
    run(copy, "/usr/bin/python3", "-B", "-m", "pytest", "-q", "tests/terraform", "-k", named, check=True)


def test_another_rename_finds_the_new_name(copy, tmp_path):
    second = tmp_path / "second"
    git(copy, "clone", "-q", "--shared", ".", second)
    assert rename(second, EXAMPLE).returncode == 0
    git(second, "checkout", ".")
    rename(second, FIRST)
    git(second, "add", "--all")
    git(second, "commit", "-q", "--message=Renamed")
    said = rename(second, SECOND)
    assert f"{FIRST} is {SECOND} now" in said.stdout
    assert not lines_with(second, FIRST)
    assert (second / "README.md").read_text("utf-8").count("from which this was made") == 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "which name? make rename NAME=my-service"),
        ("My_Service", 'NAME="My_Service" cannot be a name. It has 3 to 14 lower-case letters'),
        (f"{LONGEST}s", "cannot be a name"),
        ("ends-in-", "cannot be a name"),
        (OLD, f"it is called {OLD} already"),
        ("nginx", 'NAME="nginx" means something else in'),
    ],
)
def test_what_cannot_be_a_name_is_refused_and_nothing_is_changed(copy, tmp_path, name, problem):
    original = tmp_path / "original"
    git(copy, "clone", "-q", "--shared", ".", original)
    said = rename(original, name)
    assert said.returncode != 0 and problem in said.stderr, said
    assert git(original, "status", "--porcelain") == ""


def test_changes_that_git_could_not_undo_are_left_alone(copy):
    said = rename(copy, SECOND)
    assert "Commit them first" in said.stderr, said
    assert not lines_with(copy, SECOND)
