"""What the documents and comments say of tests and files is there."""

import pathlib
import re

import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]
TEXTS = [
    path
    for pattern in ("*.md", "docs/*.md", "bench/*.md", "supervisor/*.py")
    for path in sorted(REPOSITORY.glob(pattern))
]
PROGRAMS = [
    path for path in (REPOSITORY / "tests").rglob("test_*") if path.suffix in (".py", ".c")
]
NAMES = {
    name
    for path in PROGRAMS
    for name in re.findall(r"^(?:def|static void) (\w+)\(", path.read_text("utf-8"), re.MULTILINE)
} | {path.stem for path in PROGRAMS if path.suffix == ".c"}
PLACES = "tests|fuzz|bench|docs|nginx|supervisor|scripts|cloudbuild|fcgi-app|terraform"


def unknown(text):
    """The names of tests, whole or with ... for a part, and of files, that are none; what the reader is
    told to make (docs/make-it-yours.md) is left out."""
    wrong = []
    for path in re.findall(r"^`([\w./-]+)`, new:$", text, re.MULTILINE):
        text = re.sub(rf"{re.escape(path)}|\b{re.escape(pathlib.Path(path).stem)}(\.c)?\b", "", text)
    for name in re.findall(r"\btest_\w+(?:\.py|\.c)?\b|\.\.\._[\w.]+", text):
        pattern = re.compile("test_.*" + ".*".join(map(re.escape, name.split("...")[1:])))
        known = NAMES if "." not in name or "..." in name else {path.name for path in PROGRAMS}
        if name not in known and not ("..." in name and any(map(pattern.fullmatch, known))):
            wrong.append(name)
    for path in re.findall(rf'(?:`|src(?:set)?=")((?:{PLACES})/[\w./-]*)', text):
        if not (REPOSITORY / path).exists():
            wrong.append(path)
    return wrong


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_tests_and_files_that_are_named_exist(path):
    assert not unknown(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "wrong",
    ["test_no_such", "`..._no_such_end`", "`test_none.py`", "`tests/none`", "`..._tests_..._nope`"]
    + ['<img src="docs/none.png">', '<source srcset="docs/none.png">'],
)
def test_a_name_that_nothing_has_is_found(wrong):
    assert len(unknown(wrong)) == 1


def test_each_fault_in_a_table_has_its_test():
    text = (REPOSITORY / "docs/reliability.md").read_text("utf-8")
    tables = re.findall(r"^\|.*\| test\b.*\|\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert len(tables) >= 2
    for row in "".join(tables).splitlines():
        assert "test_" in row.split("|")[-2] or "..._" in row.split("|")[-2], row
