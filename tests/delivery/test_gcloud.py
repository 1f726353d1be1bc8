"""Build files and command lines of gcloud, held against gcloud itself where it is installed.

gcloud's own parsers are asked, which need neither network nor credentials. Elsewhere the fields of
the build files are held against the list in here, which is gcloud's.
"""

import json
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
from cloud import HERE, OTHER_REGION, PROJECT, REGION, SCRIPTS, digest_of
from service import REPOSITORY

BUILD_FILES = [
    *("cloudbuild.yaml", "cloudbuild.pr.yaml", "cloudbuild/build.yaml", "cloudbuild/deploy.yaml"),
    "cloudbuild/rebuild.yaml",
]
# What can be set in a build file (cloudbuild_v1_messages of gcloud 528).
FIELDS = {
    "Build": """artifacts availableSecrets dependencies images logsBucket options queueTtl secrets
        serviceAccount steps substitutions tags timeout""".split(),
    "BuildStep": """allowExitCodes allowFailure args automapSubstitutions dir entrypoint env id name
        script secretEnv timeout volumes waitFor""".split(),
    "BuildOptions": """automapSubstitutions defaultLogsBucketBehavior diskSizeGb
        dynamicSubstitutions env logStreamingOption logging machineType pool requestedVerifyOption
        secretEnv sourceProvenanceHash substitutionOption volumes workerPool""".split(),
}

# Run with gcloud's modules: prints the fields that it knows, or fails at a file as gcloud would.
GCLOUD_PARSER = """
import json, sys
sys.path[:0] = [f"{sys.argv[1]}/lib", f"{sys.argv[1]}/lib/third_party"]
from googlecloudsdk.api_lib.cloudbuild import config
from googlecloudsdk.generated_clients.apis.cloudbuild.v1 import cloudbuild_v1_messages as messages
for path in sys.argv[2:]:
    config.LoadCloudbuildConfigFromPath(path, messages)
kinds = (messages.Build, messages.BuildStep, messages.BuildOptions)
print(json.dumps({kind.__name__: [field.name for field in kind.all_fields()] for kind in kinds}))
"""


def gcloud_root():
    """Where gcloud is installed. Skips the test where it is not."""
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("gcloud is not installed")
    root = pathlib.Path(program).resolve().parents[1]
    if not (root / "lib/googlecloudsdk").is_dir():
        pytest.skip(f"gcloud's modules are not below {root}")
    return root


def load(name):
    yaml = pytest.importorskip(
        "yaml", reason="needs python3-yaml, which make setup-pipeline installs"
    )
    return yaml.safe_load((REPOSITORY / name).read_text())


# --- Build files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILD_FILES)
def test_build_files_have_only_fields_that_cloud_build_knows(name):
    build = load(name)
    found = [("Build", build), ("BuildOptions", build.get("options", {}))]
    for kind, fields in found + [("BuildStep", step) for step in build["steps"]]:
        unknown = set(fields) - set(FIELDS[kind])
        assert not unknown, f"{name}: a {kind} has no {unknown}"


def parse_with_gcloud(tmp_path, *paths):
    script = tmp_path / "parse.py"
    script.write_text(GCLOUD_PARSER)
    return subprocess.run(
        ["/usr/bin/python3", "-B", script, gcloud_root(), *paths], capture_output=True, text=True
    )


def test_gcloud_reads_the_build_files_and_has_the_fields_of_the_list(tmp_path):
    ended = parse_with_gcloud(tmp_path, *(REPOSITORY / name for name in BUILD_FILES))
    assert ended.returncode == 0, ended.stderr
    for kind, known in json.loads(ended.stdout).items():
        assert set(FIELDS[kind]) <= set(known), f"{kind}: the list is not gcloud's"


def test_gcloud_does_not_read_a_build_file_with_a_wrong_field(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("steps: [{name: image, arguments: []}]")
    ended = parse_with_gcloud(tmp_path, wrong)
    assert ended.returncode != 0 and "arguments" in ended.stderr, ended


@pytest.mark.parametrize(
    ("name", "trigger"),
    [
        ("cloudbuild.yaml", "merge"),
        ("cloudbuild.pr.yaml", "pull_request"),
        ("cloudbuild/build.yaml", "build"),
        ("cloudbuild/deploy.yaml", "deploy"),
        ("cloudbuild/rebuild.yaml", "rebuild"),
    ],
)
def test_build_files_use_the_substitutions_that_their_trigger_sets(name, trigger):
    terraform = (REPOSITORY / "terraform/delivery.tf").read_text()
    block = re.search(
        rf'resource "google_cloudbuild_trigger" "{trigger}" {{.*?\n}}\n', terraform, re.DOTALL
    )[0]
    shared = re.search(r"deploy_substitutions = {.*?\n  }\n", terraform, re.DOTALL)[0]
    sets = set(re.findall(r"\b(_[A-Z_]+) +=|\b(_[A-Z_]+) =", block))
    sets = {first or second for first, second in sets}
    if "local.deploy_substitutions" in block:
        sets |= set(re.findall(r"(_[A-Z_]+) += ", shared))
    assert f'"{name}"' in block, f"the trigger does not start {name}: {block}"
    uses = set(re.findall(r"\$\{?(_[A-Z_]+)", (REPOSITORY / name).read_text()))
    uses -= set(load(name).get("substitutions", {})) - sets  # have defaults
    assert uses <= sets, f"{name} uses {uses - sets}, which the trigger {trigger} does not set"
    assert sets - uses <= {"_ACTION", "_IMAGE"}, f"the trigger {trigger} sets {sets - uses} for nobody"


def test_the_version_of_gcloud_that_is_used_is_the_one_that_was_checked():
    used = set(re.findall(r"google-cloud-cli:(\S+)-slim", "".join(map(text_of, BUILD_FILES))))
    assert len(used) == 1, f"the build files use gcloud {used}"


def text_of(name):
    return (REPOSITORY / name).read_text()


# --- Command lines ----------------------------------------------------------------------------


def lint(commands, tmp_path):
    """What gcloud says of command lines: (the line, whether it is right, what is wrong)."""
    root, path = gcloud_root(), tmp_path / "commands.json"
    path.write_text(json.dumps([{"command_string": command} for command in commands]))
    ended = subprocess.run(
        [root / "bin/gcloud", "meta", "lint-gcloud-commands", f"--commands-file={path}"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "CLOUDSDK_CONFIG": str(tmp_path / "config")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [(each["command_string"], each["success"], each["error_message"])
            for each in json.loads(ended.stdout)]  # fmt: skip


def test_gcloud_takes_every_command_line_of_the_scripts(make_cloud, repository, tmp_path):
    gcloud_root()
    cloud = make_cloud(regions=(REGION, OTHER_REGION))
    cloud.put_outputs()
    cloud.private = True
    cloud.rollout(repository.new)
    cloud.breaks_at = {OTHER_REGION: 10}
    cloud.rollout(repository.newer)
    cloud.change(build_statuses=["SUCCESS"], provenance={digest_of(repository.new): [{}]})
    for name in ("status", "rollback", "deploy"):
        cloud.run([SCRIPTS / name])
    options = {"project": PROJECT, "image": digest_of(repository.new), "commit": repository.new}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    cloud.run([SCRIPTS / "provenance", *arguments], ROLLOUT_PATIENCE="1")
    called = [call for call in cloud.state()["calls"] if call[0] != "api"]
    calls = sorted({shlex.join(["gcloud", *call]) for call in called})
    image = digest_of(repository.new)
    calls += [  # attach-sbom, scan and rebuild
        f"gcloud artifacts sbom load --source=a.json --uri={image} --destination=gs://b"
        f" --project={PROJECT} --quiet",
        f"gcloud artifacts docker images scan {image} --remote --location=europe"
        f" --project={PROJECT} --format='value(response.scan)' --quiet",
        "gcloud artifacts docker images list-vulnerabilities"
        f" projects/{PROJECT}/locations/europe/scans/0a1b --project={PROJECT} --format=json --quiet",
        f"gcloud builds triggers run merge --region={REGION} --project={PROJECT}"
        f" --sha={repository.new} --substitutions=_REBUILD=-20261125T1900Z --quiet",
    ]
    calls.append("gcloud auth configure-docker europe-west1-docker.pkg.dev --quiet")  # push-commit
    kinds = {" ".join(re.findall(r" ([a-z-]+)(?= )", call)[:3]) for call in calls}
    assert len(kinds) >= 6, f"the scripts were to use more of gcloud than {kinds}"
    wrong = [each for each in lint(calls, tmp_path) if not each[1]]
    assert not wrong, wrong


def test_gcloud_and_the_stub_refuse_the_same(cloud, tmp_path):
    commands = [
        "gcloud run services describe hello-fcgi --regions=europe-west1 --project=a-project",
        "gcloud run services update-traffic hello-fcgi --to-revision=a=1 --project=a-project",
        "gcloud run service describe hello-fcgi --project=a-project",
    ]
    for command in commands:
        ended = cloud.run([HERE / "gcloud", *shlex.split(command)[1:]])
        assert ended.status == 2, f"the stub takes {command}: {ended}"
    assert [right for _, right, _ in lint(commands, tmp_path)] == [False] * 3
