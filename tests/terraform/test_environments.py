"""Environments: a file of settings each, a state each, and nothing that two of them share."""

import json
import os
import pathlib
import re
import subprocess

import pytest
from working_copy import PROGRAM, REPOSITORY, ROOT, WorkingCopy

SCRIPT = REPOSITORY / "scripts/terraform"
FILES = sorted((ROOT / "environments").glob("*.tfvars"))


def test_there_is_staging_beside_production():
    assert [file.stem for file in FILES] == ["production", "staging"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_settings_are_a_working_start(checkout, stand_in, file):
    done = checkout.run("plan", "-input=false", "-no-color", f"-var-file={file}")
    assert " 0 to change, 0 to destroy" in done.stdout
    assert "undeclared variable" not in done.stdout, "a setting that is none is only warned of"
    assert "Nobody will be told" not in done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_settings_are_committed(file):
    done = subprocess.run(["git", "check-ignore", file], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 1, f"git ignores {file}"


# --- Two in one project ---------------------------------------------------------------------

# The attributes that say which thing of a project something is; what is not among them may be equal.
NAMES = (
    *("project", "location", "region", "name", "account_id", "repository_id", "service_id"),
    *("slo_id", "secret", "secret_id", "service", "member", "role", "service_account_id"),
    *("display_name", "topic", "filter", "check_id", "managed_zone", "dashboard_json"),
)
EVERYTHING = {
    "public": False,
    "provenance": True,
    "scan_images": True,
    "additional_regions": ["us-central1"],
    "budget": {"billing_account": "012345-6789AB-CDEF01"},
    "secrets": {"PASSWORD": {"secret": "password", "version": "3"}},
}
# What is the project's, and the same for both: an API that is enabled.
SHARED = {"google_project_service"}


def things(state):
    """What there is in Google Cloud, each by its type and what it is called."""
    return {
        (resource["type"], *((key, json.dumps(found[key])) for key in NAMES if key in found))
        for resource in state["resources"]
        if resource["mode"] == "managed" and resource["type"].startswith("google_")
        for instance in resource["instances"]
        for found in [instance["attributes"]]
    }


def test_two_services_in_one_project_share_nothing_but_the_apis(stand_in, tmp_path):
    made = {}
    for service, domain in [("hello-fcgi", "hello"), ("hello-fcgi-staging", "staging")]:
        copy = made[service] = WorkingCopy(tmp_path / service)
        copy.run("init", "-input=false")
        domain = {"name": f"{domain}.example.com", "managed_zone": True}
        copy.apply({**EVERYTHING, "service": service, "domain": domain})
    production, staging = (things(copy.read_state()) for copy in made.values())
    assert len(production) == len(staging) > 60
    both = {thing for thing in production & staging if thing[0] not in SHARED}
    assert not both, f"these would be made twice: {sorted(both)}"


def test_the_settings_of_one_are_refused_on_the_state_of_another(project):
    project.apply({})
    project.set({"service": "hello-fcgi-staging"})
    refused = project.run("plan", "-input=false", "-no-color", status=1)
    message = " ".join(re.sub("[│╷╵]", " ", refused.stderr).split())
    assert "This state belongs to hello-fcgi in example-project" in message, refused.stderr
    assert "scripts/terraform" in message
    project.set({})
    project.plan_is_empty()


# --- scripts/terraform ----------------------------------------------------------------------


@pytest.fixture
def script(tmp_path):
    """Runs scripts/terraform, with a program in place of terraform that says how it was called."""
    spy = tmp_path / "spy"
    spy.write_text('#!/bin/sh\nprintf "%s\\n" "$TF_DATA_DIR" "$@"\n')
    spy.chmod(0o755)

    def run(*arguments, **environment):
        return subprocess.run(
            [SCRIPT, *arguments],
            env={"PATH": os.environ["PATH"], "TERRAFORM": str(spy), **environment},
            capture_output=True,
            text=True,
        )

    return run


def called(done):
    """The state's directory and the arguments of terraform, without the first, -chdir=..."""
    assert done.returncode == 0, done.stderr
    directory, chdir, *arguments = done.stdout.splitlines()
    assert pathlib.Path(chdir.removeprefix("-chdir=")).resolve() == ROOT
    return directory, arguments


def test_without_a_name_it_is_production(script):
    assert called(script("plan", "-lock=false")) == (
        ".terraform/production",
        ["plan", "-var-file=environments/production.tfvars", "-lock=false"],
    )


@pytest.mark.parametrize("command", ["plan", "apply", "destroy", "import", "console"])
def test_what_reads_settings_gets_those_of_the_environment(script, command):
    assert called(script(command, ENV="staging")) == (
        ".terraform/staging",
        [command, "-var-file=environments/staging.tfvars"],
    )


def test_each_environment_has_its_own_state(script):
    states = [called(script("init", ENV=file.stem)) for file in FILES]
    assert [arguments for _, arguments in states] == [
        [
            "init",
            "-backend-config=bucket=my-project-terraform-state",
            f"-backend-config=prefix={service}",
        ]
        for service in ("hello-fcgi", "hello-fcgi-staging")
    ]


@pytest.mark.parametrize("arguments", [["output", "-json"], ["version"], []])
def test_other_commands_are_left_as_they_are(script, arguments):
    assert called(script(*arguments)) == (".terraform/production", arguments)


def test_an_environment_that_is_none_is_named(script):
    done = script("plan", ENV="prod")
    assert done.returncode == 2
    assert done.stderr == (
        "terraform: ENV=prod: there is no file terraform/environments/prod.tfvars. There are:"
        " production staging\n"
    )


def test_with_the_real_program_it_reaches_the_configuration(stand_in, tmp_path):
    done = subprocess.run(
        [SCRIPT, "validate", "-no-color"],
        env=os.environ | {"TERRAFORM": PROGRAM, "TERRAFORM_OFFLINE_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "terraform init" in done.stderr, done.stdout + done.stderr
