"""The gate of the vulnerability scan, with reports as Google gives them (grafeas.v1.Occurrence)."""

import datetime
import importlib.machinery
import importlib.util
import shutil
import sys

import pytest
from cloud import PROJECT, SCRIPTS, digest_of

sys.path.insert(0, str(SCRIPTS))
IMAGE = digest_of("0" * 40)
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
NEVER = TODAY + datetime.timedelta(days=3)


def occurrence(name="CVE-2026-0001", severity="CRITICAL", **more):
    issue = {"affectedPackage": "openssl", "affectedVersion": {"kind": "NORMAL"}, **more}
    about = {"severity": severity, "effectiveSeverity": severity, "packageIssue": [issue], **more}
    return {"kind": "VULNERABILITY", "noteName": f"projects/goog-vulnz/notes/{name}",
            "vulnerability": about}  # fmt: skip


@pytest.fixture
def scan(cloud, tmp_path):
    """A function that runs the gate with this report and these acceptances."""

    def scan(report, accepted="", location="europe"):
        for path in (SCRIPTS / "scan", *SCRIPTS.glob("*.py")):
            shutil.copy(path, tmp_path)
        (tmp_path / "accepted-vulnerabilities").write_text(accepted)
        cloud.change(vulnerabilities=report)
        options = {"project": PROJECT, "image": IMAGE, "location": location}
        words = [f"--{name}={value}" for name, value in options.items()]
        return cloud.run(["/usr/bin/python3", "-B", tmp_path / "scan", *words])

    return scan


def test_nothing_found_and_what_has_no_fix_or_is_not_critical_pass(scan):
    assert scan([]).status == 0
    ended = scan([occurrence(), occurrence("CVE-2", "HIGH", fixAvailable=True), occurrence("CVE-3")])
    assert ended.status == 0 and "found: 2 CRITICAL, 1 HIGH" in ended.log, ended


@pytest.mark.parametrize("where", ["vulnerability", "package"])
def test_a_critical_one_with_a_fix_stops_and_says_what_to_do(scan, where):
    found = occurrence("CVE-2026-7", fixAvailable=True)
    about = found["vulnerability"]
    del (about if where == "package" else about["packageIssue"][0])["fixAvailable"]
    ended = scan([occurrence(), found])
    assert ended.status == 1, ended
    assert "CVE-2026-7 in openssl: critical, fixed: STOPS THE BUILD" in ended.log, ended
    assert "make rebuild ANYWAY=1" in ended.log and "accepted-vulnerabilities" in ended.log, ended


@pytest.mark.parametrize(
    ("day", "name", "status"),
    [(0, "CVE-12", 0), (3, "CVE-12", 0), (-1, "CVE-12", 1), (3, "CVE-1", 1), (3, "CVE-123", 1)],
)
def test_an_acceptance_is_for_one_name_until_its_day_has_passed(scan, day, name, status):
    until = TODAY + datetime.timedelta(days=day)
    ended = scan([occurrence("CVE-12", fixAvailable=True)], f"# why\n\n{name} {until} not reached\n")
    assert ended.status == status, ended
    assert ("has ended on" in ended.log) == (day < 0), ended


@pytest.mark.parametrize(
    "line",
    ["CVE-1", f"CVE-1 {NEVER}", "CVE-1 2026-13-01 why", "CVE-1 soon why", f" CVE-1 {NEVER} why"],
)
def test_an_acceptance_without_a_date_or_reason_is_a_failure(scan, line):
    ended = scan([], f"{line}\n")
    assert ended.status == 1 and "accepted-vulnerabilities:1: not NAME" in ended.log, ended


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"vulnerabilities": []},
        "",
        None,
        [[]],
        [{}],
        [{**occurrence(), "noteName": None}],
        [{**occurrence(), "vulnerability": {}}],
        [occurrence(severity="DISASTROUS")],
        [occurrence(), "and more"],
    ],
)
def test_a_report_that_is_not_one_is_a_failure(scan, report):
    ended = scan(report)
    assert ended.status == 1 and "is not as expected" in ended.log, ended
    assert "Traceback" not in ended.log, ended


@pytest.mark.parametrize("call", [" scan ", "list-vulnerabilities"])
def test_a_scan_that_fails_is_a_failure(cloud, scan, call):
    cloud.disturb_all(call, "fail")
    assert scan([]).status == 1


def test_without_a_location_nothing_is_scanned_or_paid_for(cloud, scan):
    ended = scan([occurrence(fixAvailable=True)], location="")
    assert ended.status == 0 and "not scanned: scan_images is off" in ended.log, ended
    assert cloud.state()["calls"] == [], ended


def test_the_file_of_acceptances_can_be_read():
    loader = importlib.machinery.SourceFileLoader("scan", str(SCRIPTS / "scan"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("scan", loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    module.accepted(module.ACCEPTED.read_text(), TODAY)
