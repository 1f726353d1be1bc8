"""What an apply, a deploy by the pipeline, the next apply and a destroy leave behind."""

import copy
import json

import pytest
from working_copy import WorkingCopy

VARIANTS = {
    "default": {},
    "private": {"public": False},
    "domain": {"domain": {"name": "hello.example.com", "managed_zone": True}},
    "two regions": {"additional_regions": ["us-central1"]},
    "two builds": {"provenance": True},
    "behind a proxy": {"public": False, "iap_members": ["group:staff@example.com"]},
    "everything": {
        "public": False,
        "provenance": True,
        "binary_authorization": "enforced",
        "scan_images": True,
        "additional_regions": ["us-central1"],
        "domain": {"name": "hello.example.com", "cdn": True},
        "labels": {"team": "web"},
        "metrics_sidecar": True,
        "cpu_idle": False,
        "vpc": {"network": "inside", "all_traffic": True},
        "env": {"GREETING": "Hi"},
        "secrets": {"PASSWORD": {"secret": "password", "version": "3"}},
        "budget": {"billing_account": "012345-6789AB-CDEF01", "amount": 20},
    },
}


@pytest.fixture(scope="module", params=VARIANTS)
def applied(request, stand_in, tmp_path_factory):
    """A project that a variant has been applied to."""
    made = WorkingCopy(tmp_path_factory.mktemp("applied"))
    made.variant = request.param
    made.run("init", "-input=false")
    made.apply(VARIANTS[request.param])
    return made


def instances(state, kind):
    return [
        instance["attributes"]
        for resource in state["resources"]
        if resource["type"] == kind
        for instance in resource["instances"]
    ]


# --- Applying -------------------------------------------------------------------------------


def test_the_plan_after_an_apply_is_empty(applied):
    applied.plan_is_empty()


def test_nothing_is_made_before_what_it_needs(applied):
    needs = {
        f"{resource['type']}.{resource['name']}": resource["instances"][0].get("dependencies", [])
        for resource in applied.read_state()["resources"]
        if resource["mode"] == "managed"
    }
    apis, token = "google_project_service.api", "google_secret_manager_secret_iam_member.connection"
    assert [name for name, needed in needs.items() if apis not in needed] == [
        apis,
        "terraform_data.owner",
    ]
    assert token in needs["google_cloudbuildv2_connection.github"]
    if proxy := needs.get("google_compute_target_https_proxy.app"):
        assert "google_certificate_manager_certificate_map_entry.domain" in proxy


# Who may do what, complete: "who: role on resource" for every grant of every kind.
def expected_grants(variables):
    regions = ["europe-west1", *variables.get("additional_regions", [])]
    provenance = variables.get("provenance", False)
    pusher = "build" if provenance else "deploy"
    grants = {
        "deploy: roles/logging.logWriter on the project",
        "pr: roles/logging.logWriter on the project",
        "rebuild: roles/logging.logWriter on the project",
        "deploy: roles/monitoring.viewer on the project",
        "deploy: roles/containeranalysis.notes.editor on the project",
        "deploy: roles/containeranalysis.occurrences.editor on the project",
        "deploy: roles/storage.objectUser on bucket example-project-hello-fcgi-sbom",
        "deploy: roles/iam.serviceAccountUser on identity run",
        "rebuild: roles/cloudbuild.builds.editor on the project",
        f"rebuild: roles/iam.serviceAccountUser on identity {pusher}",
        "rebuild: roles/artifactregistry.reader on repository hello-fcgi",
        f"{pusher}: roles/artifactregistry.writer on repository hello-fcgi",
        f"{pusher}: roles/artifactregistry.writer on repository hello-fcgi-cache",
        "agent gcp-sa-cloudbuild: roles/secretmanager.secretAccessor on secret hello-fcgi-github-token",
    }
    grants |= {
        f"{who} on service hello-fcgi in {region}"
        for region in regions
        for who in ("deploy: roles/run.developer", "rebuild: roles/run.viewer")
    }
    grants |= {
        f"run: roles/secretmanager.secretAccessor on secret {each['secret']}"
        for each in variables.get("secrets", {}).values()
    }
    if variables.get("scan_images"):
        grants.add("deploy: roles/ondemandscanning.admin on the project")
    if variables.get("metrics_sidecar"):
        grants |= {
            "run: roles/monitoring.metricWriter on the project",
            "run: roles/secretmanager.secretAccessor on secret hello-fcgi-metrics",
        }
    if provenance:
        grants |= {
            "build: roles/logging.logWriter on the project",
            "deploy: roles/containeranalysis.occurrences.viewer on the project",
            "deploy: roles/artifactregistry.reader on repository hello-fcgi",
        }
    if members := variables.get("iap_members"):
        grants.add("deploy: roles/iam.serviceAccountTokenCreator on identity deploy")
        for region in regions:
            grants.add(f"agent gcp-sa-iap: roles/run.invoker on service hello-fcgi in {region}")
            grants |= {
                f"{who}: roles/iap.httpsResourceAccessor on the proxy of hello-fcgi in {region}"
                for who in ("deploy", *members)
            }
    elif not variables.get("public", True):
        grants.add("deploy: roles/iam.serviceAccountOpenIdTokenCreator on identity deploy")
        for caller in ("deploy", "agent gcp-sa-monitoring-notification"):
            grants |= {
                f"{caller}: roles/run.invoker on service hello-fcgi in {region}"
                for region in regions
            }
    return grants


def actual_grants(state):
    kinds = {resource["type"] for resource in state["resources"] if "_iam_" in resource["type"]}
    places = {
        "google_project_iam_member": lambda grant: "the project",
        "google_service_account_iam_member": lambda grant: "identity "
        + short(grant["service_account_id"].split("/")[-1]),
        "google_artifact_registry_repository_iam_member": lambda grant: "repository "
        + grant["repository"].split("/")[-1],
        "google_cloud_run_v2_service_iam_member": lambda grant: f"service {grant['name'].split('/')[-1]} in {grant['location']}",
        "google_storage_bucket_iam_member": lambda grant: "bucket "
        + grant["bucket"].removeprefix("b/"),
        "google_iap_web_cloud_run_service_iam_member": lambda grant: "the proxy of "
        f"{grant['cloud_run_service_name'].split('/')[-1]} in {grant['location']}",
        "google_secret_manager_secret_iam_member": lambda grant: "secret "
        + grant["secret_id"].split("/")[-1],
    }
    assert kinds <= set(places), f"grants of a kind that nobody expects: {kinds - set(places)}"
    return sorted(
        f"{short(grant['member'])}: {grant['role']} on {places[kind](grant)}"
        for kind in kinds
        for grant in instances(state, kind)
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


# Which kinds take labels is the provider's to say: those whose things have such an attribute.
def test_everything_that_takes_labels_has_them(applied):
    wanted = {"service": "hello-fcgi"} | VARIANTS[applied.variant].get("labels", {})
    state = applied.read_state()
    labelled = {
        (resource["type"], resource["name"]): attributes.get("effective_labels")
        or attributes.get("user_labels")
        for resource in state["resources"]
        if resource["mode"] == "managed"
        for attributes in [resource["instances"][0]["attributes"]]
        if {"effective_labels", "user_labels"} & set(attributes)
    }
    assert len(labelled) > 12
    without = [name for name, labels in labelled.items() if not (labels or {}).items() >= wanted.items()]
    assert not without, f"without the labels {wanted}: {without}"


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
    in the middle of a rollout (cloudbuild/rollout): gcloud writes its name, a label that makes the
    revision new, the service's labels once more on the template, and no name of a revision."""
    state = copy.deepcopy(state)
    for service in instances(state, "google_cloud_run_v2_service"):
        old, new = "hello-fcgi-00001-abc", "hello-fcgi-00002-xyz"
        deployed = {"commit": COMMIT, "committed": "1760000000", "rollout": "0123abcd"}
        labels = service["effective_labels"] | deployed
        service.update(
            {
                "client": "gcloud",
                "client_version": "528.0.0",
                "effective_labels": labels,
                "effective_annotations": {"delivery": '{"served": ["hello-fcgi-00001-abc"]}'},
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
            }
        )
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
    before = deployed.read_state()
    done = deployed.apply({"env": {"GREETING_NAME": "Universe"}})
    after = deployed.read_state()
    deployed.plan_is_empty()
    deployed.set({})
    deployed.write_state(before)

    assert {address for address, *_ in done} == {'google_cloud_run_v2_service.app["europe-west1"]'}
    (service,) = instances(after, "google_cloud_run_v2_service")
    template = service["template"][0]
    environment = {
        variable["name"]: variable["value"] for variable in template["containers"][0]["env"]
    }
    assert environment["GREETING_NAME"] == "Universe"
    assert template["containers"][0]["image"] == IMAGE
    assert template["labels"]["commit"] == COMMIT
    assert not template["revision"], "a name would collide with the revision that has it"
    assert service["traffic"] == instances(before, "google_cloud_run_v2_service")[0]["traffic"]


# --- From the first step to the last --------------------------------------------------------

BOTH = ["europe-west1", "us-central1"]
DOMAIN = {"name": "hello.example.com"}
# What is taken away, and who named it. Google refuses to delete what is still named.
CHANGES = {
    "the domain takes over and a region leaves": (
        {"additional_regions": ["us-central1"], "domain": DOMAIN | {"keep_run_app_url": True}},
        {"domain": DOMAIN},
        [
            (
                f'google_monitoring_uptime_check_config.app["{region}"]',
                "google_monitoring_alert_policy.uptime[0]",
            )
            for region in BOTH
        ]
        + [
            (
                'google_compute_region_network_endpoint_group.app["us-central1"]',
                "google_compute_backend_service.app[0]",
            ),
            (
                'google_monitoring_uptime_check_config.candidate["us-central1"]',
                "google_monitoring_alert_policy.candidate",
            ),
        ],
    ),
    "the run.app address comes back and nobody is told any more": (
        {"domain": DOMAIN},
        {"domain": DOMAIN | {"keep_run_app_url": True}, "alert_email": None},
        [
            (
                'google_compute_backend_service.candidate["europe-west1"]',
                "google_compute_url_map.app[0]",
            ),
            (
                'google_monitoring_uptime_check_config.app["hello.example.com"]',
                "google_monitoring_alert_policy.uptime[0]",
            ),
            (
                "google_monitoring_notification_channel.email[0]",
                "google_monitoring_alert_policy.instances",
            ),
        ],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_goes_is_let_go_of_first(project, change):
    before, after, pairs = CHANGES[change]
    project.apply(before | {"deletion_protection": False})
    done = project.apply(after)
    for gone, user in pairs:
        deleted, updated = (gone, "delete", "start"), (user, "update", "complete")
        assert deleted in done and updated in done, done
        assert done.index(updated) < done.index(deleted), f"{gone} is deleted while {user} names it"


def test_the_service_is_deleted_only_when_the_protection_is_off(project):
    project.apply({})
    refused = project.run("destroy", "-input=false", "-auto-approve", "-no-color", status=1)
    assert "deletion_protection" in refused.stderr

    project.apply({"deletion_protection": False})
    project.run("destroy", "-input=false", "-auto-approve")
    assert project.read_state()["resources"] == []


def test_the_bucket_is_made_once(project):
    variables = [
        "-var=project_id=example-project",
        "-var=region=europe-west1",
        '-var=labels={ team = "web" }',
    ]
    project.run("init", "-input=false", root="bootstrap")
    project.run("apply", "-input=false", "-auto-approve", *variables, root="bootstrap")
    project.run("plan", "-input=false", "-detailed-exitcode", *variables, root="bootstrap")
    made = [json.loads(file.read_text()) for file in project.state.rglob("terraform.tfstate")]
    (state,) = [state for state in made if state.get("resources")]
    for kind in ("google_storage_bucket", "google_pubsub_topic"):
        assert instances(state, kind)[0]["effective_labels"]["team"] == "web"
