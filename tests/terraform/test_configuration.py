"""What needs no project: form, schema, terraform's own tests, mistakes, what the documents say."""

import json
import re
import subprocess

import pytest
from working_copy import PROGRAM, REQUIRED, ROOT, ROOTS

BEHAVIOUR = sorted(
    (name, file.relative_to(root).as_posix())
    for name, root in ROOTS.items()
    for file in root.glob("tests/*.tftest.hcl")
)


def test_the_files_are_formatted():
    done = subprocess.run(
        [PROGRAM, f"-chdir={ROOT}", "fmt", "-check", "-diff", "-recursive"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("root", ROOTS)
def test_the_configuration_is_valid(checkout, root):
    checkout.run("validate", "-no-color", root=root)


@pytest.mark.parametrize("root, file", BEHAVIOUR)
def test_terraform_test(checkout, root, file):
    done = checkout.run("test", "-json", f"-filter={file}", root=root, status=None)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    passed = {
        event["test_run"]["run"]
        for event in events
        if event["type"] == "test_run" and event["test_run"].get("status") == "pass"
    }
    runs = set(re.findall(r'^run "(\w+)"', (ROOTS[root] / file).read_text("utf-8"), re.MULTILINE))
    mistakes = [
        "{}: {}\n    {}".format(
            event.get("@testrun", file),
            event["diagnostic"].get("detail") or event["diagnostic"]["summary"],
            json.dumps(event["diagnostic"].get("snippet", {}).get("values", [])),
        )
        for event in events
        if event["type"] == "diagnostic"
    ]
    assert runs and passed == runs and done.returncode == 0, (
        f"did not pass: {', '.join(sorted(runs - passed))}\n" + "\n".join(mistakes) + done.stderr
    )


# --- Mistakes -------------------------------------------------------------------------------

# Each row is a plan: values that are wrong, and what the message says what to do.
MISTAKES = [
    {
        "project_id": ("My project", "gcloud projects list"),
        "region": ("europe-west1-b", "gcloud run regions list"),
        "repository": ("https://github.com/example/hello", "without https://github.com/"),
        "github_app_installation_id": (0, "https://github.com/settings/installations/NUMBER"),
        "github_token_secret": ("projects/p/secrets/s", "Give the ID only, never the token"),
        "service": ("a-service-with-23-chars", "30 characters"),
        "labels": ({"Team": "web"}, "lower-case letters"),
        "env": ({"GREETING": "", "WORKERS": "0", "CACHE": "on"}, "GREETING = , WORKERS = 0. What"),
        "cpu": (3, "1, 2, 4, 6 or 8"),
        "memory": ("512MB", "for example 512Mi"),
        "request_log_share": (10, "0.1 a tenth"),
        "rebuild_schedule": ("weekly", "minute, hour, day"),
        "concurrency": (1001, "from 1 to 1000"),
        "max_instances": (1, "from 2 to 1000"),
        "binary_authorization": ("on", "off, dry_run or enforced"),
        "alert_email": ("nobody", "Leave it out"),
        "budget": ({"billing_account": "mine", "amount": 1}, "gcloud billing accounts list"),
    },
    {
        "additional_regions": (["europe-west1"], "Name each once"),
        "min_instances": (11, "Raise max_instances or lower min_instances"),
        "binary_authorization": ("enforced", "Set provenance = true"),
        "budget": ({"billing_account": "012345-6789AB-CDEF01", "amount": 0.5}, "whole number"),
    },
    {
        "additional_regions": (["us"], "gcloud run regions list"),
        "min_instances": (-1, "0 or more"),
        "binary_authorization": ("dry_run", "Set provenance = true"),
    },
    {"env": ({"PORT": "80"}, "is set already")},
    {"secrets": ({"KEY": {"secret": "key", "version": "latest"}}, "gcloud secrets versions list")},
    {"secrets": ({"KEY": {"secret": "a/key", "version": "1"}}, "never the value")},
    {"secrets": ({"CACHE": {"secret": "key", "version": "1"}}, "settings in env")},
    {"iap_members": (["group:staff@example.com"], "Set public = false")},
    {"vpc": ({"network": "inside", "subnetworks": {"us-east1": "x"}}, "region and additional")},
    {"domain": ({"name": "https://hello.example.com"}, "without https://")},
    {"domain": ({"name": "hello.example.com", "requests_per_minute": 199}, "200 or more")},
    {
        "domain": (
            {"name": "hello.example.com", "load_balancer": False, "cdn": True},
            "belong to the load balancer",
        )
    },
    {
        "additional_regions": (["us-central1"], None),
        "domain": ({"name": "hello.example.com", "load_balancer": False}, "one region only"),
    },
]


@pytest.mark.parametrize("mistakes", MISTAKES, ids=lambda mistakes: ", ".join(mistakes))
def test_a_mistake_is_answered_with_what_to_do(checkout, stand_in, tmp_path, mistakes):
    variables = tmp_path / "variables.tfvars.json"
    values = REQUIRED | {name: value for name, (value, _) in mistakes.items()}
    variables.write_text(json.dumps(values), "utf-8")
    done = checkout.run("plan", "-input=false", "-json", f"-var-file={variables}", status=1)
    answers = [
        event["diagnostic"]["detail"]
        for event in map(json.loads, done.stdout.splitlines())
        if event["type"] == "diagnostic"
    ]
    for name, (value, advice) in mistakes.items():
        if advice:
            assert any(
                name in answer and advice in answer for answer in answers
            ), f"{name} = {value!r}: no message with {advice!r} in\n" + "\n".join(answers)
