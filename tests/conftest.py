"""What all tests share: programs written in C are collected too, and the last line is the totals,
which are added to the file TOTALS as well, with those of each suite, if that is set.

With CI=true a skipped test is a failure, unless tests/allowed-skips lists it: what could not run
proves nothing.
"""

import os
import re
import signal
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BUILD = Path(os.environ.get("BUILD", TESTS.parent / "build"))
DEADLINE = 180  # seconds for one test program

# A shell without job control has what it starts in the background ignore SIGINT, and so would all
# that the tests start, where they send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A run that is told to end ends what it has started, as one that is interrupted does.
signal.signal(signal.SIGTERM, signal.default_int_handler)


# Suites with files that take minutes come first, or one worker is at them when the others have ended.
LONGEST = ("terraform", "delivery", "image")


@pytest.hookimpl(trylast=True)  # what does not run is left out before
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".c" and file_path.name.startswith("test_"):
        return Program.from_parent(parent, path=file_path)
    return None


class Program(pytest.File):
    """A cmocka program: its tests are the ones that its source names."""

    outcome = None

    def collect(self):
        names = re.findall(r"cmocka_unit_test\w*\(\s*(\w+)", self.path.read_text())
        return [Case.from_parent(self, name=name) for name in names]

    def run(self):
        """Runs the program once for all its tests. Returns each one's failure, or None."""
        if self.outcome is None:
            binary = BUILD / self.path.relative_to(TESTS.parent).with_suffix("")
            report = BUILD / "reports" / f"{self.path.stem}.{os.getpid()}.xml"
            report.parent.mkdir(exist_ok=True)
            report.unlink(missing_ok=True)
            environment = dict(
                os.environ, CMOCKA_MESSAGE_OUTPUT="XML", CMOCKA_XML_FILE=str(report)
            )
            process = subprocess.run(
                ["setpriv", "--pdeathsig=KILL", binary],  # so does what this run starts
                env=environment,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
            )
            self.output = f"{process.stdout}{process.stderr}exit status {process.returncode}"
            self.outcome = read_report(report)
            report.unlink(missing_ok=True)
        return self.outcome


def read_report(report):
    if not report.exists():
        return {}
    root = xml.etree.ElementTree.parse(report)
    return {case.get("name"): case.findtext("failure") for case in root.iter("testcase")}


class Case(pytest.Item):
    def runtest(self):
        failure = self.parent.run().get(self.name, "the program ended before this test")
        if failure is not None:
            raise Failed(f"{failure}\n{self.parent.output}")

    def repr_failure(self, excinfo):
        return str(excinfo.value) if excinfo.errisinstance(Failed) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, self.name


class Failed(Exception):
    pass


# --- Skips ------------------------------------------------------------------------------------


def allowed_skips():
    """What tests/allowed-skips lists, as (how a test's id begins, reason)."""
    lines = (TESTS / "allowed-skips").read_text(encoding="utf-8").splitlines()
    split = [[part.strip() for part in line.partition("#")[::2]] for line in lines]
    return [(prefix, reason) for prefix, reason in split if prefix]


def pytest_runtest_setup(item):
    """On gVisor the list is also what to skip: those tests would fail."""
    for prefix, reason in allowed_skips():
        if "[gvisor" in prefix and item.nodeid.startswith(prefix):
            pytest.skip(reason)


# --- Totals -----------------------------------------------------------------------------------


def refused_skips(skipped):
    """Those of the skipped tests that CI must not do without."""
    if os.environ.get("CI") != "true":
        return []
    allowed = tuple(prefix for prefix, _ in allowed_skips())
    return [report.nodeid for report in skipped if not report.nodeid.startswith(allowed)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    outcomes = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
    counts = {name: reporter.stats.get(name, []) for name in outcomes}
    refused = refused_skips(counts["skipped"])
    if refused:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    failed = len(counts["failed"]) + len(counts["error"]) + len(refused)
    expected = [f"{len(counts[name])} {name}" for name in ("xfailed", "xpassed") if counts[name]]
    suites = {suite_of(report) for reports in counts.values() for report in reports}
    session.config.suites = [count_suite(name, counts) for name in sorted(suites)]
    session.config.totals = [
        *(f"skipped, which CI does not allow: {nodeid}" for nodeid in refused),
        *expected,
        f"{len(counts['passed'])} passed, {failed} failed"
        + (f", {len(counts['skipped'])} skipped" if counts["skipped"] else ""),
    ]


def suite_of(report):
    """The directory, and for the image's end-to-end tests what it runs on."""
    target = re.search(r"^e2e/.*\[(container|gvisor)\b", report.nodeid)
    return report.nodeid.partition("/")[0].partition("::")[0] + (f"-{target[1]}" if target else "")


def count_suite(name, counts):
    """A suite's line; with the first reason for a suite of which nothing ran."""
    mine = {outcome: [r for r in counts[outcome] if suite_of(r) == name] for outcome in counts}
    passed, skipped = mine["passed"] + mine["xfailed"] + mine["xpassed"], mine["skipped"]
    failed = len(mine["failed"]) + len(mine["error"])
    line = f"{name}: {len(passed)} passed, {failed} failed"
    if skipped:
        line += f", {len(skipped)} skipped"
        if not passed and not failed:
            line += f" ({skipped[0].longrepr[2].removeprefix('Skipped: ')})"
    return line


def pytest_unconfigure(config):
    totals = getattr(config, "totals", [])
    for line in totals:
        print(line)
    if totals and "TOTALS" in os.environ:  # a file for whoever has more to say behind the last line
        with open(os.environ["TOTALS"], "a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in [*config.suites, *totals])
