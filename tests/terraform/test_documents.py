"""What the documents say to type: gcloud's commands as its own parser sees them, and outputs."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from working_copy import REPOSITORY, ROOT

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

# Prints what gcloud has to say about each line that it would refuse.
PARSER = """
import shlex, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/third_party"]
from googlecloudsdk import gcloud_main
parser = gcloud_main.CreateCLI([])._CLI__parser
for line in sys.stdin:
    try:
        parser.parse_args(shlex.split(line)[1:])
    except SystemExit:
        sys.exit("in: " + line)
"""


def commands(program):
    """Every command of a program in the documents' blocks of shell and between backquotes."""
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        inline = re.findall(r"(?<!`)`([^`]+)`(?!`)", text)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        for line in lines + [" ".join(code.split()) for code in inline]:
            yield from re.findall(rf"\b{program} [^|&;)#]+", line)


def test_gcloud_knows_the_commands(tmp_path):
    gcloud = shutil.which("gcloud")
    library = gcloud and pathlib.Path(gcloud).resolve().parents[1] / "lib"
    if not library or not (library / "googlecloudsdk").is_dir():
        pytest.skip("there is no Google Cloud CLI")
    written = sorted(set(commands("gcloud")))
    done = subprocess.run(
        [sys.executable, "-c", PARSER, str(library)],
        env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path)},
        input="\n".join(written),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert written and done.returncode == 0, done.stderr


def test_whatever_is_written_of_a_worker_that_died_is_told_and_found():
    source = (REPOSITORY / "fcgi-app/service.c").read_text("utf-8")
    ways = re.findall(r'snprintf\(how, size, "(.*?)"', source)
    forms = re.findall(r'"(worker %d %s and is replaced.*?)"', source)
    lines = [
        re.sub("%[ds]", "7", form.replace("%s", re.sub("%[ds]", "7", way), 1)) for way in ways for form in forms
    ]
    alert = re.search(r'message=~\\"(\^worker.*?)\\"', (ROOT / "monitoring.tf").read_text("utf-8"))[1]
    query = re.search(r'message=~"(is replaced.*?)"', (REPOSITORY / "docs/observability.md").read_text("utf-8"))[1]
    assert len(lines) == 10
    for line in lines:
        assert re.search(alert, line) and re.search(query, line), line


def test_the_outputs_exist():
    named = {
        name
        for command in commands("terraform")
        for name in re.findall(r" output (?:-raw |-json )?(\w+)", command)
    }
    there = set(re.findall(r'^output "(\w+)"', (ROOT / "outputs.tf").read_text(), re.MULTILINE))
    assert named and named <= there, f"no such output: {named - there}"


def test_terraform_is_run_for_an_environment():
    """Only what the project has once is applied without one."""
    plain = [one for one in commands("terraform") if "-chdir=" in one]
    assert plain and all("-chdir=terraform/bootstrap" in one for one in plain), plain


def test_the_settings_exist():
    named = set()
    for document in DOCUMENTS:
        for code in re.findall(r"(?<!`)`([a-z_]+) = [^`>]*`(?!`)", document.read_text("utf-8")):
            named.add(code)
    text = (ROOT / "variables.tf").read_text("utf-8")
    there = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
    there |= set(re.findall(r"^    (\w+) += (?:optional|string|number)", text, re.MULTILINE))
    assert len(named) > 10 and named <= there, f"no such setting: {named - there}"


def test_the_runbook_has_every_alert():
    text = (ROOT / "monitoring.tf").read_text("utf-8")
    alerts = re.findall(
        r'resource "google_monitoring_alert_policy".*?display_name += "\$\{var.service}: (.*?)"',
        text,
        re.DOTALL,
    )
    runbook = (REPOSITORY / "docs/runbook.md").read_text("utf-8")
    table = runbook[runbook.index("| alert | read |") : runbook.index("## A bad deploy")]
    names = ["budget burns" if "burns" in name else name for name in alerts]
    assert len(names) == 7
    assert not [name for name in names if name not in table]
