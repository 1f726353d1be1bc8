"""The build files, run on this machine: the real image, engine and registry; a stub for the cloud.

What is real and what is not is said in pipeline.py. The tests of the files share one place, so that
all but the first find layers in the engine's cache, and images in the registry.
"""

import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

pytest.importorskip("yaml", reason="needs python3-yaml, which make setup-pipeline installs")

from cloud import PLACEHOLDER, PROJECT, SCRIPTS, TRIGGER  # noqa: E402
from outcome import check  # noqa: E402
from pipeline import DOCKER, GCLOUD, Pipeline, Refused, StepFailed  # noqa: E402
from service import REPOSITORY, one_build_at_a_time  # noqa: E402

SLIM = f"{GCLOUD}:528.0.0-slim"


class Place(Pipeline):
    """A pipeline whose output can be read."""

    def __init__(self, directory):
        self.log = directory / "log"
        super().__init__(open(self.log, "w"))

    def run(self, path, without=(), **substitutions):
        """Returns what was said. A failure has the end of it."""
        begin = len(self.log.read_text())
        try:
            super().run(path, without, **substitutions)
        except StepFailed as failure:
            said = self.log.read_text()[begin:].splitlines()[-200:]
            raise StepFailed("\n".join([str(failure), *said])) from None
        return self.log.read_text()[begin:]

    def build_image(self, name, directory, *options):
        with one_build_at_a_time():
            subprocess.run(
                [self.engine, "build", "--pull=false", *options, "--tag", name, directory],
                check=True,
                capture_output=True,
                env={**os.environ, "BUILDAH_FORMAT": "docker"},
            )

    def digests(self, tag=None):
        """The digest that the registry has for a tag, the commit's if none is given."""
        host, _, name = self.image.partition("/")
        accept = "application/vnd.oci.image.manifest.v1+json"
        docker = "application/vnd.docker.distribution.manifest.v2+json"
        request = urllib.request.Request(
            f"http://{host}/v2/{name}/manifests/{tag or self.commit}",
            headers={"Accept": f"{accept}, {docker}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.headers["Docker-Content-Digest"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"))
    try:
        place.__enter__()
    except Refused as refusal:
        pytest.skip(str(refusal))
    try:
        yield place
    finally:
        place.__exit__()


@pytest.fixture(scope="module")
def first_run(place):
    """What cloudbuild.yaml said, the first time."""
    return place.run(REPOSITORY / "cloudbuild.yaml")


@pytest.fixture
def run(place, tmp_path):
    """A function that runs a build of these steps."""

    def run(*steps, **build):
        path = tmp_path / "build.yaml"
        path.write_text(json.dumps({"steps": steps, **build}))
        return place.run(path)

    return run


# --- The project's files ----------------------------------------------------------------------


def test_cloudbuild_yaml_takes_the_commit_from_its_tests_to_all_the_traffic(place, first_run):
    steps = re.findall('Finished Step #[0-9]+ - "([a-z]+)"', first_run)
    before = ["terraform", "test", "image", "smoke", "sbom", "push", "attach", "scan"]
    assert steps == [*before, "rollout", "cache", "report"], first_run
    assert place.cloud.shares() == {2: 100} and place.cloud.tags() == {}, first_run
    revisions = place.cloud.state()["services"]["europe-west1"]["revisions"]
    assert revisions["hello-fcgi-00001-abc"]["image"] == PLACEHOLDER
    deployed = revisions["hello-fcgi-00002-abc"]
    assert deployed["image"] == f"{place.image}@{place.digests()}", first_run
    assert deployed["labels"]["commit"] == place.commit, first_run


def test_a_rerun_of_the_commit_deploys_the_image_that_is_there(place, first_run):
    digest, before = place.digests(), len(
        place.cloud.state()["services"]["europe-west1"]["revisions"]
    )
    said = place.run(REPOSITORY / "cloudbuild.yaml")
    assert place.digests() == digest and f"pushed: {place.image}@{digest}" in said, said
    assert "It is, and is used as it is" in said and "used as it is" not in first_run, said
    assert place.cloud.shares() == {before + 1: 100}, said


def test_a_pull_request_is_built_and_tried_and_pushes_nothing(place, first_run):
    calls = place.cloud.state()["calls"]
    said = place.run(REPOSITORY / "cloudbuild.pr.yaml")
    steps = re.findall('Finished Step #[0-9] - "([a-z]+)"', said)
    assert steps == ["terraform", "test", "image", "smoke", "report"], said
    assert "pushed" not in said.lower() and place.cloud.state()["calls"] == calls, said


def provenance(place, **changes):
    """What Artifact Analysis says of an image that Cloud Build has built."""
    digest = place.digests().partition(":")[2]
    statement = {
        "subject": [{"name": f"https://{place.image}", "digest": {"sha256": digest}}],
        "predicate": {
            "buildDefinition": {
                "resolvedDependencies": [
                    {"uri": "git+https://github.com/o/r", "digest": {"gitCommit": place.commit}}
                ]
            },
            "runDetails": {
                "builder": {"id": "https://cloudbuild.googleapis.com/GoogleHostedWorker"}
            },
        },
    }
    return {
        "kind": "BUILD",
        "noteName": "projects/verified-builder/notes/intoto_slsa_v1_0a1b",
        "build": {"inTotoSlsaProvenanceV1": statement},
        **changes,
    }


def describe(place, *occurrences):
    """What `gcloud artifacts docker images describe` answers, one after the other."""
    name = f"{place.image}@{place.digests()}"
    summaries = [
        {"image_summary": {}, **({"provenance_summary": {"provenance": [each]}} if each else {})}
        for each in occurrences
    ]
    place.cloud.change(provenance={name: summaries})
    return {"_ACTION": "INSERT", "_DIGEST": name, "_TAG": f"{place.image}:{place.commit}"}


def test_two_builds_push_at_the_end_and_deploy_what_has_provenance(place, first_run):
    said = place.run(REPOSITORY / "cloudbuild/build.yaml")
    pushed = said.rpartition(f"PUSH {place.image}:{place.commit}")[0]
    assert 'Finished Step #5 - "report"' in pushed, f"it was not pushed behind the last step: {said}"
    message = describe(place, None, None, provenance(place))  # it comes some time after the image
    said = place.run(REPOSITORY / "cloudbuild/deploy.yaml", **message)
    assert f"was built by Cloud Build from {place.commit}" in said, said
    assert place.cloud.shares() == {max(place.cloud.shares()): 100}, said


@pytest.mark.parametrize(
    "changes",
    [
        {"noteName": f"projects/{PROJECT}/notes/mine"},
        {"build": {}},
        {"kind": "BUILD", "build": {"inTotoSlsaProvenanceV1": {"predicate": {"runDetails": {}}}}},
    ],
)
def test_an_image_without_cloud_builds_provenance_is_not_deployed(place, first_run, changes):
    shares = place.cloud.shares()
    message = describe(place, provenance(place, **changes))
    with pytest.raises(StepFailed, match="provenance"):
        place.run(REPOSITORY / "cloudbuild/deploy.yaml", **message)
    assert "Was it pushed by hand?" in place.log.read_text()
    assert place.cloud.shares() == shares


# --- Built again ------------------------------------------------------------------------------

REBUILD = REPOSITORY / "cloudbuild/rebuild.yaml"


def serve(place, image, commit):
    """Makes an image the one that serves everything, without a rollout."""
    services = place.cloud.state()["services"]
    for service in services.values():
        name = max(service["revisions"])
        service["revisions"][name].update(image=image, labels={"commit": commit})
        service["traffic"] = [{"key": name, "percent": 100, "tag": None}]
    place.cloud.change(services=services, calls=[])


def triggered(place):
    calls = place.cloud.state()["calls"]
    return [call[3:] for call in calls if call[:3] == ["builds", "triggers", "run"]]


def push_with_older_nginx(place, directory):
    """An image as it would be had Debian had another nginx. Returns its name with the digest."""
    status = "/var/lib/dpkg/status.d/nginx"
    (directory / "entry").write_text("Package: nginx\nVersion: 1.2.3-4\nArchitecture: amd64\n")
    (directory / "Dockerfile").write_text(f"FROM {place.image}:{place.commit}\nCOPY entry {status}\n")
    name = f"{place.image}:{place.commit}-older"
    place.build_image(name, directory)
    ended = place.cloud.run(
        [SCRIPTS / "push", place.image, f"{place.commit}-older"],
        CONTAINERS_REGISTRIES_CONF=os.environ["CONTAINERS_REGISTRIES_CONF"],
    )
    assert ended.status == 0, ended
    return re.search("^pushed: (.*)$", ended.log, re.MULTILINE)[1]


def test_what_has_the_packages_of_today_is_not_built_again(place, first_run):
    serve(place, f"{place.image}@{place.digests()}", place.commit)
    said = place.run(REBUILD)
    assert "packages, none has changed" in said and "no package has changed" in said, said
    assert triggered(place) == [], said


def test_what_has_older_packages_is_built_again_and_rolled_out_the_same_way(
    place, first_run, tmp_path
):
    image = push_with_older_nginx(place, tmp_path)
    serve(place, image, place.commit)
    said = place.run(REBUILD)
    changes = re.findall(r"^(\S+) \S+ -> \S+$", said, re.MULTILINE)
    assert set(changes) == {"nginx"} and "nginx 1.2.3-4 -> 1." in said, said
    (call,) = triggered(place)
    assert call[0] == TRIGGER and f"--sha={place.commit}" in call, call
    (rebuild,) = re.findall(r"--substitutions=_REBUILD=(-\d{8}T\d{4}Z)\b", " ".join(call))

    before = place.digests()
    slow = ("test", "report")  # all of its packages would be installed anew
    said = place.run(REPOSITORY / "cloudbuild.yaml", slow, _REBUILD=rebuild)
    assert place.digests() == before, "the commit's own tag has moved"
    newest = max(place.cloud.shares())
    assert place.cloud.shares() == {newest: 100}, said
    revisions = place.cloud.state()["services"]["europe-west1"]["revisions"]
    revision = revisions[f"hello-fcgi-{newest:05d}-abc"]
    assert revision["image"] == f"{place.image}@{place.digests(place.commit + rebuild)}", said
    assert revision["labels"]["commit"] == place.commit


def test_a_commit_that_somebody_has_left_is_not_brought_back_by_a_rebuild(place, first_run):
    serve(place, f"{place.image}@{place.digests()}", "0" * 40)
    with pytest.raises(StepFailed, match="serving"):
        place.run(REBUILD)
    assert f"{'0' * 40} serves, and main is at {place.commit}" in place.log.read_text()
    assert triggered(place) == []


def test_nothing_is_built_again_during_a_rollout(place, first_run):
    serve(place, f"{place.image}@{place.digests()}", place.commit)
    services = place.cloud.state()["services"]
    (target,) = services["europe-west1"]["traffic"]
    services["europe-west1"]["traffic"] = [
        {**target, "percent": 90},
        {**target, "key": min(services["europe-west1"]["revisions"]), "percent": 10},
    ]
    place.cloud.change(services=services)
    with pytest.raises(StepFailed, match="serving"):
        place.run(REBUILD)
    assert "a rollout is under way, or one was left" in place.log.read_text()
    serve(place, f"{place.image}@{place.digests()}", place.commit)


# --- The bill of materials, and the report ----------------------------------------------------


def test_the_image_that_was_pushed_gets_its_bill_of_materials(place, first_run):
    loaded = place.cloud.state()["sboms"]
    destination, document = loaded[f"{place.image}@{place.digests()}"]
    assert destination == "gs://hello-fcgi-sbom"
    assert {"nginx", "libc6"} <= {each["name"] for each in document["components"]}


def test_a_scan_that_finds_something_stops_before_the_rollout(place, first_run):
    shares = place.cloud.shares()
    issue = {"affectedPackage": "nginx", "fixAvailable": True}
    about = {"effectiveSeverity": "CRITICAL", "packageIssue": [issue]}
    found = {"noteName": "projects/goog-vulnz/notes/CVE-2026-1", "vulnerability": about}
    place.cloud.change(vulnerabilities=[found])
    try:
        with pytest.raises(StepFailed, match='"scan"'):
            place.run(REPOSITORY / "cloudbuild.yaml")
    finally:
        place.cloud.change(vulnerabilities=[])
    assert place.cloud.shares() == shares


def test_the_last_lines_count_the_tests_and_name_what_was_skipped(first_run):
    report = first_run.partition("Tests of this build:\n")[2]
    assert re.search(r"^unit: [1-9]\d+ passed, 0 failed$", report, re.MULTILINE), first_run
    assert "SKIPPED in this build: the suite image: no container engine works" in report, first_run


def test_a_suite_that_was_skipped_in_part_is_named_too(tmp_path):
    (tmp_path / "cloudbuild").mkdir()
    (tmp_path / "build").mkdir()
    for name in ("report", "arguments.sh"):
        shutil.copy(REPOSITORY / "cloudbuild" / name, tmp_path / "cloudbuild")
    totals = "e2e: 9 passed, 0 failed, 3 skipped\nunit: 2 passed, 0 failed\n"
    (tmp_path / "build/totals").write_text(totals)
    report = subprocess.run([tmp_path / "cloudbuild/report"], capture_output=True, text=True, check=True)
    said = "SKIPPED in this build: 3 tests of the suite e2e\n"
    assert report.stdout == f"Tests of this build:\n{totals}{said}", report.stdout


def test_a_test_that_fails_ends_the_build(place, monkeypatch):
    monkeypatch.setenv("SUITES", "tests/no-such-suite")
    with pytest.raises(StepFailed, match='"test" failed'):
        place.run(REPOSITORY / "cloudbuild.pr.yaml")


# --- The smoke test ---------------------------------------------------------------------------

START = "os.execv('/usr/bin/python3', ['python3', '-I', '-S', '/app/supervisor/start.pyc'])"
SPAWN = START.replace("os.execv(", "os.spawnv(os.P_WAIT, ")


def python(code):
    return f"ENTRYPOINT {json.dumps(['/usr/bin/python3', '-I', '-S', '-c', f'import os; {code}'])}"


@pytest.mark.parametrize(
    ("dockerfile", "says"),
    [
        ("USER 0:0", "its user is '0'"),
        ("USER hello", "its user is 'hello'"),
        (python(f"os.environ['PORT'] = '19' + os.environ['PORT'][1:4]; {START}"), "got no answer"),
        (python("print('no')"), "it has ended by itself, with 0"),
        (
            "COPY --chown=65532:65532 Dockerfile /data/\nENV RUN_DIR=/data/run",
            "(?s)it has ended by itself, with 1.*Read-only file system",
        ),
        ("ENV GREETING=Goodbye", "GET .*/ was to be answered 200 .*Hello World"),
        (
            python(f"os.write(2, b'ready\\n'); {START}"),
            "no JSON with severity and message: 'ready'",
        ),
        (
            python(f"import _signal; _signal.signal(15, _signal.SIG_IGN); {SPAWN}"),
            "told to stop, it ended with 137",
        ),
    ],
)
def test_an_image_that_does_not_keep_the_contract_is_not_pushed(
    place, first_run, tmp_path, dockerfile, says
):
    (tmp_path / "Dockerfile").write_text(f"FROM {place.image}:{place.commit}\n{dockerfile}\n")
    name = f"{place.image}-broken:{tmp_path.name}"
    try:
        place.build_image(name, tmp_path)
        ended = place.cloud.run([SCRIPTS / "smoke", name, place.commit], SMOKE_PATIENCE="2")
        assert ended.status == 1 and re.search(says, ended.log), ended
    finally:
        subprocess.run([place.engine, "rmi", "--force", name], capture_output=True)


def test_an_image_of_another_commit_is_not_pushed(place, first_run):
    name = f"{place.image}:{place.commit}"
    ended = place.cloud.run([SCRIPTS / "smoke", name, "0" * 40])
    assert ended.status == 1 and "'commit': '0000" in ended.log and place.commit in ended.log, ended


def test_the_smoke_test_leaves_no_container(place, first_run):
    names = subprocess.run(
        [place.engine, "ps", "--all", "--format={{.Names}} {{.Image}}"],
        capture_output=True,
        text=True,
    ).stdout
    assert not re.search(f"smoke-.*{re.escape(place.image)}", names), names


# --- make push --------------------------------------------------------------------------------


def test_make_push_builds_tries_and_pushes_the_commit(place, first_run):
    cloud = place.cloud
    cloud.put_outputs(image=f"{place.image}-by-hand")
    cloud.repository = place.clone()
    configuration = os.environ["CONTAINERS_REGISTRIES_CONF"]
    with one_build_at_a_time():
        ended = cloud.run(["make", "push"], CONTAINERS_REGISTRIES_CONF=configuration)
    check(
        ended,
        cloud,
        0,
        cloud.shares(),
        r"\$ cloudbuild/build image",
        r"\$ cloudbuild/smoke",
        "pushed: ",
    )
    assert f"{place.image}-by-hand@sha256:" in ended.log, ended
    subprocess.run(
        [place.engine, "rmi", f"{place.image}-by-hand:{place.commit}"], capture_output=True
    )


def test_an_image_for_another_kind_of_machine_is_not_pushed(place, tmp_path):
    """It would have the commit's tag, which nobody can move, and Cloud Run could not start it."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    name = f"{place.image}-arm"
    place.build_image(f"{name}:1", tmp_path, "--platform=linux/arm64")
    ended = place.cloud.run([SCRIPTS / "push", name, "1"])
    assert ended.status == 1 and "-arm:1 is for arm64, and Cloud Run takes amd64" in ended.log, ended


# --- The runner itself ------------------------------------------------------------------------


def step(*script, **fields):
    return {"name": SLIM, "entrypoint": "sh", "args": ["-c", *script], **fields}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"name": "gcr.io/cloud-builders/npm"}, "gcr.io/cloud-builders/npm are not known"),
        ({"name": f"{GCLOUD}:latest"}, f"{GCLOUD}:latest are not known"),
        ({"waitFor": ["-"]}, "field waitFor"),
        ({"secretEnv": ["TOKEN"]}, "field secretEnv"),
        ({"volumes": []}, "field volumes"),
        ({"args": ["$_NOWHERE"]}, r"substitution \$_NOWHERE"),
        ({"env": ["A=${_NOWHERE}"]}, r"substitution \$_NOWHERE"),
    ],
)
def test_a_step_that_it_cannot_run_faithfully_is_refused_before_any_is_run(
    run, place, fields, names
):
    with pytest.raises(Refused, match=f"step #1 odd: .*{names}|step #1 odd has the {names}"):
        run(step("echo ran >&2", id="good"), step("true", id="odd", **fields))
    assert "good" not in place.log.read_text()


@pytest.mark.parametrize(
    "build",
    [{"availableSecrets": {}}, {"options": {"machineType": "E2_HIGHCPU_8"}}, {"timeout": "1h"}],
)
def test_a_build_that_it_cannot_run_faithfully_is_refused(run, build):
    with pytest.raises(Refused, match=list(build)[0][:4]):
        run(step("true"), **build)


def test_substitutions_are_filled_in_and_doubled_dollars_are_the_shells(run, place):
    said = run(step("A=1; echo $_SERVICE ${COMMIT_SHA}x $$A $${A} $(echo 2) $_REGIONS"))
    assert f"hello-fcgi {place.commit}x 1 1 2 europe-west1" in said, said


@pytest.mark.parametrize("name", ["jq", "docker", "podman", "kubectl"])
def test_a_step_finds_only_what_its_image_has(run, name):
    with pytest.raises(StepFailed, match="status 127"):
        run(step(f"{name} --version"))


def test_a_step_of_the_docker_image_has_no_gcloud(run):
    with pytest.raises(StepFailed, match="status 127"):
        run(step("gcloud version", name=DOCKER))


def test_a_step_that_fails_ends_the_build(run, place):
    with pytest.raises(StepFailed, match='Step #0 - "bad" failed: status 3'):
        run(step("exit 3", id="bad"), step("echo not reached", id="next"))
    assert "not reached" not in place.log.read_text()


def test_a_step_that_may_fail_does_not_end_the_build(run):
    assert "reached" in run(step("exit 3", allowFailure=True), step("echo reached"))


def test_a_step_that_takes_too_long_is_told_to_stop(run, place):
    with pytest.raises(StepFailed, match="no end after 1 s"):
        run(step("trap 'echo told; exit 0' TERM; sleep 60 & wait", timeout="1s"))
    assert "told" in place.log.read_text()


def test_pipeline_local_exits_with_an_error_that_names_what_it_refuses(place, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(json.dumps({"steps": [{"name": "gcr.io/odd/image", "args": []}]}))
    ended = place.cloud.run(
        ["make", "-C", REPOSITORY, "--silent", "pipeline-local", f"FILE={path}"]
    )
    assert (
        ended.status == 2
        and "the programs of the image gcr.io/odd/image are not known" in ended.log
    )
