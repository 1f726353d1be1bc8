"""What a release and a newcomer rely on: one version, and a container for development that sets up as make does."""

import json
import pathlib
import re
import subprocess

REPOSITORY = pathlib.Path(__file__).parents[2]
VERSION = (REPOSITORY / "VERSION").read_text("utf-8")


def test_the_newest_entry_of_the_changelog_is_the_version():
    headings = re.findall(r"^## (.*)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", VERSION) and headings[0] == VERSION.strip(), headings


def test_the_version_stands_in_no_other_file_that_would_have_to_follow():
    pattern = rf"(^|[^0-9.]){re.escape(VERSION.strip())}([^0-9.]|$)"
    command = ["git", "grep", "-lE", pattern, "--", "*.c", "*.h", "*.py", "*.tf", "Makefile", "Dockerfile", "cloudbuild*"]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.split()
    assert [path for path in found if not path.startswith("tests/")] == []


def test_the_development_container_installs_by_setup_what_there_is():
    container = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    groups = re.search(r"scripts/setup ([a-z ]+)$", container["onCreateCommand"])[1].split()
    known = re.findall(r"^    ([a-z]+)\) ", (REPOSITORY / "scripts" / "setup").read_text("utf-8"), re.MULTILINE)
    assert {"build", "run", "test"} <= set(groups) <= set(known), (groups, known)
