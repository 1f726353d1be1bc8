"""Terraform: its own tests, and what an apply, a deploy by the pipeline and a destroy leave behind.

TERRAFORM is the program. What applies anything needs one that stands in for Google Cloud and keeps
its state in TERRAFORM_OFFLINE_STATE; with the real program those tests are skipped.
"""

import copy
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TERRAFORM = os.environ.get("TERRAFORM", "terraform")
PROGRAM = shutil.which(TERRAFORM) and os.path.abspath(shutil.which(TERRAFORM))
ROOT = pathlib.Path(__file__).resolve().parents[2] / "terraform"
ROOTS = {"main": ROOT, "bootstrap": ROOT / "bootstrap"}
BEHAVIOUR = sorted(
    (name, file.relative_to(root).as_posix())
    for name, root in ROOTS.items()
    for file in root.glob("tests/*.tftest.hcl")
)

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason=f"there is no program {TERRAFORM} (set TERRAFORM)"
)

REQUIRED = {
    "project_id": "example-project",
    "region": "europe-west1",
    "repository": "example/hello",
    "github_app_installation_id": 1234,
}
VARIANTS = {
    "default": {},
    "private": {"public": False},
    "domain": {"domain": {"name": "hello.example.com", "managed_zone": True}},
    "two regions": {"additional_regions": ["us-central1"]},
    "two builds": {"provenance": True},
    "everything": {
        "public": False,
        "provenance": True,
        "binary_authorization": "enforced",
        "scan_images": True,
        "additional_regions": ["us-central1"],
        "domain": {"name": "hello.example.com", "cdn": True},
        "alert_email": "oncall@example.com",
        "budget": {"billing_account": "012345-6789AB-CDEF01", "amount": 20},
    },
}


# --- Running it -----------------------------------------------------------------------------


class Copy:
    """A copy of the project's Terraform, so that neither a state nor a person's settings meet."""

    def __init__(self, directory):
        self.directory = directory / "terraform"
        self.state = directory / "state"
        self.state.mkdir()
        shutil.copytree(
            ROOT, self.directory,
            ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars"),
        )
        self.environment = os.environ | {
            "TERRAFORM_OFFLINE_STATE": str(self.state),
            "TF_IN_AUTOMATION": "1",
            # Whatever TERRAFORM is, it must not find a way into somebody's project.
            "GOOGLE_APPLICATION_CREDENTIALS": str(directory / "no-credentials"),
            "CLOUDSDK_CONFIG": str(directory / "no-configuration"),
        }

    def run(self, *arguments, root="main", status=0):
        chdir = self.directory / ROOTS[root].relative_to(ROOT)
        done = subprocess.run(
            [PROGRAM, f"-chdir={chdir}", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=120,
        )
        assert status in (None, done.returncode), (
            f"terraform {' '.join(arguments)}: expected status {status}, got {done.returncode}\n"
            f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        )
        return done

    def set(self, variables):
        path = self.directory / "terraform.tfvars.json"
        path.write_text(json.dumps(REQUIRED | variables), encoding="utf-8")

    def plan_is_empty(self):
        done = self.run("plan", "-input=false", "-no-color", "-detailed-exitcode", status=None)
        assert done.returncode != 1, done.stderr
        changes = [line for line in done.stdout.splitlines() if "Refreshing state" not in line]
        assert done.returncode == 0, "the plan is not empty:\n" + "\n".join(changes)

    def read_state(self):
        return json.loads(self.state_file().read_text("utf-8"))

    def write_state(self, state):
        self.state_file().write_text(json.dumps(state), "utf-8")

    def state_file(self):
        return next(self.state.rglob("terraform.tfstate"))

    def planned(self, address, *arguments):
        """What a plan does to a resource: what is, and what will be."""
        path = self.directory / "plan.bin"
        self.run("plan", "-input=false", f"-out={path}", *arguments)
        changes = json.loads(self.run("show", "-json", str(path)).stdout)["resource_changes"]
        change = next(c["change"] for c in changes if c["address"].startswith(address))
        return change["before"], change["after"]


def instances(state, kind):
    return [
        instance["attributes"]
        for resource in state["resources"] if resource["type"] == kind
        for instance in resource["instances"]
    ]


@pytest.fixture(scope="session", autouse=True)
def program(tmp_path_factory):
    """One process at a time, since the program may install what it needs when it first runs."""
    with open(tmp_path_factory.getbasetemp().parent / "terraform.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([PROGRAM, "version"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy with both roots initialised."""
    made = Copy(tmp_path_factory.mktemp("checkout"))
    for root in ROOTS:
        made.run("init", "-input=false", "-backend=false", root=root)
    return made


@pytest.fixture(scope="module")
def stand_in(checkout):
    """Skips unless applying is safe: the real program puts nothing into the state's directory."""
    if not any(checkout.state.iterdir()):
        pytest.skip(f"{TERRAFORM} is the real one; applying needs a stand-in for Google Cloud")


@pytest.fixture
def project(stand_in, tmp_path):
    """An empty project."""
    made = Copy(tmp_path)
    made.run("init", "-input=false")
    return made


@pytest.fixture(scope="module", params=VARIANTS)
def applied(request, stand_in, tmp_path_factory):
    """A project that a variant has been applied to."""
    made = Copy(tmp_path_factory.mktemp("applied"))
    made.variant = request.param
    made.set(VARIANTS[request.param])
    made.run("init", "-input=false")
    made.run("apply", "-input=false", "-auto-approve")
    return made


# --- Without a project ----------------------------------------------------------------------


def test_the_files_are_formatted():
    done = subprocess.run(
        [PROGRAM, f"-chdir={ROOT}", "fmt", "-check", "-diff", "-recursive"],
        capture_output=True, text=True, timeout=60,
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
        event["test_run"]["run"] for event in events
        if event["type"] == "test_run" and event["test_run"].get("status") == "pass"
    }
    runs = set(re.findall(r'^run "(\w+)"', (ROOTS[root] / file).read_text("utf-8"), re.MULTILINE))
    mistakes = [
        "{}: {}\n    {}".format(
            event.get("@testrun", file),
            event["diagnostic"].get("detail") or event["diagnostic"]["summary"],
            json.dumps(event["diagnostic"].get("snippet", {}).get("values", [])),
        )
        for event in events if event["type"] == "diagnostic"
    ]
    assert runs and passed == runs and done.returncode == 0, (
        f"did not pass: {', '.join(sorted(runs - passed))}\n" + "\n".join(mistakes) + done.stderr
    )


# --- Applying -------------------------------------------------------------------------------


def test_the_plan_after_an_apply_is_empty(applied):
    applied.plan_is_empty()


def test_nothing_is_made_before_what_it_needs(applied):
    needs = {
        f"{resource['type']}.{resource['name']}": resource["instances"][0].get("dependencies", [])
        for resource in applied.read_state()["resources"] if resource["mode"] == "managed"
    }
    apis, token = "google_project_service.api", "google_secret_manager_secret_iam_member.connection"
    assert [name for name, needed in needs.items() if apis not in needed] == [apis]
    assert token in needs["google_cloudbuildv2_connection.github"]


# Who may do what, complete: "who: role on resource" for every grant of every kind.
def expected_grants(variables):
    regions = ["europe-west1", *variables.get("additional_regions", [])]
    provenance = variables.get("provenance", False)
    pusher = "build" if provenance else "deploy"
    grants = {
        "deploy: roles/logging.logWriter on the project",
        "pr: roles/logging.logWriter on the project",
        "deploy: roles/iam.serviceAccountUser on identity run",
        f"{pusher}: roles/artifactregistry.writer on repository hello-fcgi",
        f"{pusher}: roles/artifactregistry.writer on repository hello-fcgi-cache",
        "agent gcp-sa-cloudbuild: roles/secretmanager.secretAccessor on secret github-token",
    }
    grants |= {
        f"deploy: roles/run.developer on service hello-fcgi in {region}" for region in regions
    }
    if provenance:
        grants |= {
            "build: roles/logging.logWriter on the project",
            "deploy: roles/containeranalysis.occurrences.viewer on the project",
            "deploy: roles/artifactregistry.reader on repository hello-fcgi",
        }
    if not variables.get("public", True):
        grants.add("deploy: roles/iam.serviceAccountOpenIdTokenCreator on identity deploy")
        for caller in ("deploy", "agent gcp-sa-monitoring-notification"):
            grants |= {
                f"{caller}: roles/run.invoker on service hello-fcgi in {region}"
                for region in regions
            }
    return grants


def actual_grants(state):
    kinds = {
        resource["type"] for resource in state["resources"] if "_iam_" in resource["type"]
    }
    places = {
        "google_project_iam_member": lambda grant: "the project",
        "google_service_account_iam_member":
            lambda grant: "identity " + short(grant["service_account_id"].split("/")[-1]),
        "google_artifact_registry_repository_iam_member":
            lambda grant: "repository " + grant["repository"].split("/")[-1],
        "google_cloud_run_v2_service_iam_member":
            lambda grant: f"service {grant['name'].split('/')[-1]} in {grant['location']}",
        "google_secret_manager_secret_iam_member":
            lambda grant: "secret " + grant["secret_id"].split("/")[-1],
    }
    assert kinds <= set(places), f"grants of a kind that nobody expects: {kinds - set(places)}"
    return sorted(
        f"{short(grant['member'])}: {grant['role']} on {places[kind](grant)}"
        for kind in kinds for grant in instances(state, kind)
    )


def short(member):
    """serviceAccount:hello-fcgi-deploy@... -> deploy; an agent of Google's by its domain."""
    account, _, domain = member.removeprefix("serviceAccount:").partition("@")
    if domain == "example-project.iam.gserviceaccount.com":
        return account.removeprefix("hello-fcgi-")
    if account.startswith("service-") and domain.endswith(".iam.gserviceaccount.com"):
        return "agent " + domain.split(".")[0]
    return member


def test_every_grant_is_on_the_list(applied):
    assert actual_grants(applied.read_state()) == sorted(expected_grants(VARIANTS[applied.variant]))


def test_the_public_is_named_nowhere(applied):
    state = applied.read_state()
    assert "allUsers" not in json.dumps(state) and "allAuthenticatedUsers" not in json.dumps(state)
    services = instances(state, "google_cloud_run_v2_service")
    public = VARIANTS[applied.variant].get("public", True)
    assert {service["invoker_iam_disabled"] for service in services} == {public}


# --- Deploys by the pipeline ----------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"
IMAGE = "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi@sha256:" + "a" * 64


def deploy(state):
    """What a refresh finds after gcloud run deploy --no-traffic --update-labels and update-traffic,
    in the middle of a rollout: gcloud writes its name, a label that makes the revision new, the
    service's labels once more on the template, and no name of a revision."""
    state = copy.deepcopy(state)
    for service in instances(state, "google_cloud_run_v2_service"):
        old, new = "hello-fcgi-00001-abc", "hello-fcgi-00002-xyz"
        labels = service["effective_labels"] | {"commit": COMMIT}
        service.update({
            "client": "gcloud",
            "client_version": "528.0.0",
            "effective_labels": labels,
            "etag": '"another"',
            "generation": "3",
            "observed_generation": "3",
            "last_modifier": "hello-fcgi-deploy@example-project.iam.gserviceaccount.com",
            "latest_created_revision": new,
            "latest_ready_revision": new,
            "update_time": "2030-01-01T00:00:00Z",
            "traffic": [
                traffic(revision=old, percent=90),
                traffic(revision=new, percent=10, tag="candidate"),
            ],
        })
        template = service["template"][0]
        template["labels"] = labels | {"client.knative.dev/nonce": "abcdefghij"}
        template["containers"][0]["image"] = IMAGE
    return state


def traffic(revision, percent, tag=""):
    kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    return {"type": kind, "revision": revision, "percent": percent, "tag": tag}


@pytest.fixture(scope="module")
def deployed(applied):
    """An applied project that the pipeline has deployed to."""
    applied.write_state(deploy(applied.read_state()))
    return applied


def test_the_plan_after_a_deploy_is_empty(deployed):
    deployed.plan_is_empty()


# A name comes from gcloud run deploy --tag. Hidden, it would collide with the revision of that name
# at the next change of the template.
@pytest.mark.parametrize("applied", ["default"], indirect=True)
@pytest.mark.parametrize("attribute, value", [("timeout", "123s"), ("revision", "hello-fcgi-1")])
def test_a_change_by_hand_is_seen_after_a_deploy(deployed, attribute, value):
    state = deployed.read_state()
    changed = copy.deepcopy(state)
    instances(changed, "google_cloud_run_v2_service")[0]["template"][0][attribute] = value
    deployed.write_state(changed)
    done = deployed.run("plan", "-input=false", "-no-color", "-detailed-exitcode", status=None)
    deployed.write_state(state)
    assert done.returncode == 2 and value in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("applied", ["default"], indirect=True)
def test_a_change_of_the_template_keeps_what_was_deployed(deployed):
    before, after = deployed.planned("google_cloud_run_v2_service.app", "-var=name=Universe")
    template = after["template"][0]
    environment = {v["name"]: v["value"] for v in template["containers"][0]["env"]}
    assert environment["NAME"] == "Universe"
    assert template["containers"][0]["image"] == IMAGE
    assert template["labels"]["commit"] == COMMIT
    assert not template["revision"], "a name would collide with the revision that has it"
    assert after["traffic"] == before["traffic"]


# --- Mistakes -------------------------------------------------------------------------------

# Each row is a plan: values that are wrong, and what the message says what to do.
MISTAKES = [
    {
        "project_id": ("My project", "gcloud projects list"),
        "region": ("europe-west1-b", "gcloud run regions list"),
        "repository": ("https://github.com/example/hello", "without https://github.com/"),
        "github_app_installation_id": (0, "https://github.com/settings/installations/NUMBER"),
        "github_token_secret": ("projects/p/secrets/s", "Give the ID only, never the token"),
        "greeting": ("", "1 to 64 characters"),
        "name": ("two\nlines", "without control characters"),
        "cpu": (3, "1, 2, 4, 6 or 8"),
        "memory": ("512MB", "for example 512Mi"),
        "concurrency": (1001, "from 1 to 1000"),
        "max_instances": (1, "from 2 to 1000"),
        "binary_authorization": ("on", "off, dry_run or enforced"),
        "alert_email": ("nobody", "Leave it out"),
        "budget": (
            {"billing_account": "mine", "amount": 1}, "gcloud billing accounts list"),
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
    },
    {"domain": ({"name": "https://hello.example.com"}, "without https://")},
    {"domain": ({"name": "hello.example.com", "requests_per_minute": 0}, "1 or more")},
    {"domain": (
        {"name": "hello.example.com", "load_balancer": False, "cdn": True},
        "belong to the load balancer")},
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
        event["diagnostic"]["detail"] for event in map(json.loads, done.stdout.splitlines())
        if event["type"] == "diagnostic"
    ]
    for name, (value, advice) in mistakes.items():
        if advice:
            assert any(name in answer and advice in answer for answer in answers), (
                f"{name} = {value!r}: no message with {advice!r} in\n" + "\n".join(answers)
            )


# --- From the first step to the last --------------------------------------------------------


def test_the_example_is_a_working_start(checkout, stand_in):
    example = checkout.directory / "terraform.tfvars.example"
    done = checkout.run("plan", "-input=false", "-no-color", f"-var-file={example}")
    assert " 0 to change, 0 to destroy" in done.stdout


def test_the_service_is_deleted_only_when_the_protection_is_off(project):
    project.set({})
    project.run("apply", "-input=false", "-auto-approve")
    refused = project.run("destroy", "-input=false", "-auto-approve", "-no-color", status=1)
    assert "deletion_protection" in refused.stderr

    project.set({"deletion_protection": False})
    project.run("apply", "-input=false", "-auto-approve")
    project.run("destroy", "-input=false", "-auto-approve")
    assert project.read_state()["resources"] == []


def test_the_bucket_is_made_once(project):
    variables = ["-var=project_id=example-project", "-var=region=europe-west1"]
    project.run("init", "-input=false", root="bootstrap")
    project.run("apply", "-input=false", "-auto-approve", *variables, root="bootstrap")
    project.run("plan", "-input=false", "-detailed-exitcode", *variables, root="bootstrap")
