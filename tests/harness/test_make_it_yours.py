"""What docs/make-it-yours.md tells a reader to write and to type does what it says, in a copy of the tree."""

import contextlib
import re
import subprocess
import sys

import pytest
from copies import REPOSITORY, copy_tree, needs_lint, run

sys.path.insert(0, str(REPOSITORY / "tests" / "e2e"))
from service import Native  # noqa: E402

TEXT = (REPOSITORY / "docs" / "make-it-yours.md").read_text("utf-8")
WRITTEN = re.findall(r"^`([\w./-]+)`, (new|a line):\n\n```c\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CHANGED = re.findall(r"^```diff\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TYPED = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """With the files, the lines and the changes of the document."""
    directory = copy_tree(tmp_path_factory.mktemp("yours"))
    for name, how, text in WRITTEN:
        path = directory / name
        assert path.exists() == (how == "a line"), name
        path.write_text((path.read_text("utf-8") if path.exists() else "") + text, "utf-8")
    for change in CHANGED:
        subprocess.run(["git", "apply", "-p0", "-"], cwd=directory, input=change, text=True, check=True)
    return directory


def try_out(directory, command, expected):
    """expected: what it prints, in which a line of dots stands for any lines."""
    ended = run(directory, "bash", "-c", f"exec 2>&1; {command}")
    pattern = re.escape(expected).replace(re.escape("...\n"), r"(?:.*\n)*?")
    said = ended.stdout if ended.stdout.endswith("\n") else f"{ended.stdout}\n"
    assert re.fullmatch(pattern, said), f"$ {command}\n{said}"


def test_the_document_has_what_is_tried_here():
    assert (len(WRITTEN), len(CHANGED), len(TYPED)) == (6, 1, 4), (WRITTEN, CHANGED, TYPED)


@needs_lint
def test_the_routes_are_written_as_lint_wants_it(copy):
    files = [name for name, how, _ in WRITTEN if how == "new"]
    subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=copy, check=True)


@contextlib.contextmanager
def served(copy, **settings):
    service = Native(checkout=copy, responder=copy / "build" / "responder", LOG_LEVEL="warning", **settings)
    try:
        service.wait_ready()
        yield service.port
        assert service.stop() == 0, service.log()
    finally:
        service.end()


def ask(copy, port, blocks):
    for command, expected in (typed for block in blocks for typed in COMMAND.findall(block)):
        try_out(copy, command.replace("localhost:8080", f"localhost:{port}"), expected)


def test_what_was_added_can_be_built_and_asked(copy):
    building, *asking, with_setting = TYPED
    for command, expected in COMMAND.findall(building):
        try_out(copy, command, expected)
    subprocess.run(["make", "-s", "build"], cwd=copy, check=True, capture_output=True)
    with served(copy) as port:
        ask(copy, port, asking)
    with served(copy, THANKS="Merci.") as port:
        ask(copy, port, [with_setting])


def test_the_setting_agrees_in_all_places(copy):
    tests = ["tests/supervisor/test_settings_table.py", "tests/terraform/test_responder_settings.py"]
    run(copy, sys.executable, "-m", "pytest", "-q", *tests, check=True)
