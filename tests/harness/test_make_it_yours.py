"""What docs/make-it-yours.md tells a reader to write and to type does what it says, in a copy of the tree."""

import re
import subprocess
import sys

import pytest
from copies import REPOSITORY, copy_tree, run

sys.path.insert(0, str(REPOSITORY / "tests" / "e2e"))
from service import Native  # noqa: E402

TEXT = (REPOSITORY / "docs" / "make-it-yours.md").read_text("utf-8")
WRITTEN = re.findall(r"^`([\w./-]+)`, (new|a line):\n\n```c\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TYPED = re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """With the files and the lines of the document."""
    directory = copy_tree(tmp_path_factory.mktemp("yours"))
    for name, how, text in WRITTEN:
        path = directory / name
        assert path.exists() == (how == "a line"), name
        path.write_text((path.read_text("utf-8") if path.exists() else "") + text, "utf-8")
    return directory


def try_out(directory, command, expected):
    """expected: what it prints, in which a line of dots stands for any lines."""
    ended = run(directory, "bash", "-c", f"exec 2>&1; {command}")
    pattern = re.escape(expected).replace(re.escape("...\n"), r"(?:.*\n)*?")
    said = ended.stdout if ended.stdout.endswith("\n") else f"{ended.stdout}\n"
    assert re.fullmatch(pattern, said), f"$ {command}\n{said}"


def test_the_document_has_what_is_tried_here():
    assert len(WRITTEN) == 6 and len(TYPED) == 3, (WRITTEN, TYPED)


def test_the_routes_are_written_as_lint_wants_it(copy):
    files = [name for name, how, _ in WRITTEN if how == "new"]
    subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=copy, check=True)


def test_what_was_added_can_be_built_and_asked(copy):
    building, *asking = (COMMAND.findall(block) for block in TYPED)
    for command, expected in building:
        try_out(copy, command, expected)
    subprocess.run(["make", "-s", "build"], cwd=copy, check=True, capture_output=True)
    service = Native(checkout=copy, responder=copy / "build" / "responder", LOG_LEVEL="warning")
    try:
        service.wait_ready()
        for command, expected in (typed for block in asking for typed in block):
            try_out(copy, command.replace("localhost:8080", f"localhost:{service.port}"), expected)
        assert service.stop() == 0, service.log()
    finally:
        service.end()
