"""What tests/conftest.py does for all tests: the totals, the skips that CI refuses, SIGINT, SIGTERM."""

import os
import pathlib
import subprocess

import pytest

TESTS = pathlib.Path(__file__).parents[1]
OUTCOMES = """
import pytest
def test_passes(): pass
def test_fails(): assert False
@pytest.mark.skip
def test_is_skipped(): pass
@pytest.mark.xfail
def test_fails_as_expected(): assert False
@pytest.mark.xfail
def test_passes_unexpectedly(): pass
"""


@pytest.fixture
def run(tmp_path):
    """A function that runs tests with the project's conftest. Returns their output."""

    def run(text, *options, before="", **environment):
        (tmp_path / "test_it.py").write_text(text)
        command = f'{before} exec /usr/bin/python3 -B -m pytest "$@"'
        options = ("-p", "conftest", "-c", "/dev/null", f"--rootdir={tmp_path}", *options)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "CI", "TOTALS"))
        }
        return subprocess.run(
            ["sh", "-c", command, "sh", *options, tmp_path / "test_it.py"],
            env={**inherited, "PYTHONPATH": str(TESTS), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_the_last_lines_are_the_totals_and_go_into_the_file(run, tmp_path, options):
    ended = run(OUTCOMES, *options, TOTALS=str(tmp_path / "totals"))
    expected = ["1 xfailed", "1 xpassed", "1 passed, 1 failed, 1 skipped"]
    assert ended.stdout.splitlines()[-3:] == expected, ended.stdout
    suite = ["test_it.py: 3 passed, 1 failed, 1 skipped"]
    assert (tmp_path / "totals").read_text().splitlines() == suite + expected
    assert ended.returncode == 1, ended.stdout


def test_ci_refuses_a_skip_that_is_not_listed(run):
    text = OUTCOMES.replace("assert False", "pass")
    assert run(text).returncode == 0
    ended = run(text, CI="true")
    assert ended.returncode == 1, ended.stdout
    assert "skipped, which CI does not allow: test_it.py::test_is_skipped\n" in ended.stdout


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_tests_in_the_background_of_a_script_can_be_interrupted(run, options):
    text = """
import subprocess
def test_it():
    script = "kill -INT $$; echo still here"
    assert "here" not in subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout
"""
    ended = run(text, *options, before="trap '' INT;")
    assert ended.returncode == 0, ended.stdout


def test_a_run_that_is_told_to_end_takes_down_what_it_has_set_up(run):
    text = """
import os, pytest, signal, time
@pytest.fixture
def there():
    yield
    print("taken down")
def test_it(there):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""
    ended = run(text, "-s")
    assert ended.returncode == pytest.ExitCode.INTERRUPTED, ended.stdout
    assert "taken down" in ended.stdout


def test_a_suite_that_did_not_run_says_why(run, tmp_path):
    run("import pytest\npytest.skip('no engine', allow_module_level=True)", TOTALS=f"{tmp_path}/totals")
    first = (tmp_path / "totals").read_text().splitlines()[0]
    assert first == "test_it.py: 0 passed, 0 failed, 1 skipped (no engine)"
