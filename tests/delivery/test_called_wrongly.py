"""Every program in cloudbuild/, called wrongly in each way that can be derived from how it is called
rightly, and called rightly where nothing that it needs is installed: one line, and no traceback."""

import os
import pathlib
import re
import subprocess

import pytest
from service import REPOSITORY

SHA, IMAGE = "0" * 40, f"europe-docker.pkg.dev/a/b/c@sha256:{'0' * 64}"
PLACE = ["--project=a-project", "--service=hello-fcgi", "--regions=europe-west1"]
# How each is called, and the arguments of it that may be empty or left out.
RIGHT = {
    "attach-sbom": (["a-project", IMAGE, "bucket"], {"bucket": "empty"}),
    "build": (["image", "image", SHA, "cache", "-now"], {"cache": "both", "-now": "both"}),
    "check.py": (["http://127.0.0.1:1", SHA], {}),
    "deploy": ([], {}),
    "package-changes": ([], {}),
    "provenance": (["--project=a-project", f"--image={IMAGE}", f"--commit={SHA}"], {}),
    "push": (["image", SHA], {}),
    "push-cache": (["cache"], {}),
    "push-commit": ([], {}),
    "rebuild": (["serving", *PLACE], {}),
    "rebuild start": (["start", PLACE[0], "--region=europe-west1", "--trigger=merge"], {}),
    "rebuild-now": (["anyway"], {"anyway": "out"}),
    "report": ([], {}),
    "rollback": (["a-revision"], {"a-revision": "out"}),
    "rollout": ([*PLACE, f"--image={IMAGE}", f"--commit={SHA}"], {}),
    "sbom": (["image", "build/sbom.json"], {}),
    "scan": (
        ["--project=a-project", f"--image={IMAGE}", "--location=us"],
        {"--location=us": "empty"},
    ),
    "settle": ([*PLACE, "--candidate=one", "--serves=other"], {}),
    "smoke": (["image", SHA], {}),
    "status": ([], {}),
    "test": (["image", SHA, "cache", "-now"], {"cache": "both", "-now": "both"}),
}
TAKES_MORE = {"rollback"}
# Where they are set, and how a word or a number can be wrong.
SETTINGS = {
    "SMOKE_PATIENCE": ["smoke"],
    "ROLLOUT_PATIENCE": "deploy provenance push-commit rebuild rebuild-now rollback scan status".split(),
    "ROLLOUT_LIMIT": ["rollout"],
    "ROLLOUT_SOAK": ["rollout"],
    "ROLLOUT_JUDGED": ["rollout"],
    "ROLLOUT_METRICS": ["rollout"],
}


def programs():
    directory = REPOSITORY / "cloudbuild"
    found = {file.name for file in directory.iterdir() if os.access(file, os.X_OK) and file.is_file()}
    return sorted(found | {"check.py"})


def test_every_program_is_in_the_list():
    assert programs() == sorted({name.partition(" ")[0] for name in RIGHT})


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """A directory with the programs, and neither a repository, nor a build, nor a tool."""
    place = tmp_path_factory.mktemp("nowhere")
    for name in ("cloudbuild", "scripts", "terraform/environments"):
        (place / name).parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", REPOSITORY / name, place / name], check=True)
    (place / "bin").mkdir()
    for name in ("sh", "bash", "env", "python3", "dirname", "cat", "sed", "tail", "mkdir", "rm"):
        (place / "bin" / name).symlink_to(f"/usr/bin/{name}")
    return place


def call(nowhere, name, *arguments, **settings):
    """Returns the exit status and the lines of a program, but for those that say what it does."""
    program = nowhere / "cloudbuild" / name.partition(" ")[0]
    start = ["python3"] if program.suffix else []
    environment = {"PATH": str(nowhere / "bin"), "PYTHONDONTWRITEBYTECODE": "1", **settings}
    ended = subprocess.run(
        [*start, program, *arguments], cwd=nowhere, env=environment, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    doing = re.compile(r"\[ *\d+ s\] (?!.*FAILED)")  # a rollout says in its log that it has failed
    lines = [line for line in ended.stdout.splitlines() if not doing.match(line)]
    return ended.returncode, lines


def label(name):
    """How a program calls itself: by what make calls it, where that is another name."""
    return {"push-commit": "push", "rebuild-now": "rebuild"}.get(name, name.partition(" ")[0])


def wrong_calls(name):
    """(what is wrong, the arguments)."""
    right, exceptions = RIGHT[name]
    for number, argument in enumerate(right):
        before, behind = right[:number], right[number + 1 :]
        option, is_option, _ = argument.partition("=")
        last = number == len(right) - 1 or is_option
        allowed = exceptions.get(argument, "")
        if not allowed:
            yield f"without {argument}", before + (behind if last else [])
        if allowed not in ("empty", "both"):
            yield f"{argument} empty", [*before, f"{option}=" if is_option else "", *behind]
        if is_option:
            yield f"{option} without a value", [*before, option, *behind]
            yield f"{option} shortened", [*before, argument.replace(option, option[:-1]), *behind]
    if name not in TAKES_MORE:
        yield "one too many", [*right, "more"]
    if right:
        yield "an option that there is not", [*right, "--no-such-option=1"]
        if not any(exceptions.get(each) == "out" for each in right):
            yield "nothing", []


@pytest.mark.parametrize("name", RIGHT)
def test_a_wrong_call_is_one_line_that_says_what_is_wrong(nowhere, name):
    for what, arguments in wrong_calls(name):
        status, lines = call(nowhere, name, *arguments)
        assert status == 2 and len(lines) == 1, f"{what}: {status} {lines}"
        assert re.match(rf"{label(name)}( \w+)?: .*\w{{3}}", lines[0]), f"{what}: {lines}"
        assert re.search(r"takes", lines[0]), f"{what}: does not say what to do: {lines}"


@pytest.mark.parametrize(
    ("setting", "name"), [(setting, name) for setting, names in SETTINGS.items() for name in names]
)
@pytest.mark.parametrize("value", ["", "soon", "-1", "0", "nan", "inf"])
def test_a_wrong_setting_is_one_line_that_names_it(nowhere, setting, name, value):
    status, lines = call(nowhere, name, *RIGHT[name][0], **{setting: value})
    assert status == 2 and len(lines) == 1 and setting in lines[0], f"{status} {lines}"


@pytest.mark.parametrize("name", RIGHT)
def test_where_nothing_is_there_one_line_says_what(nowhere, name):
    status, lines = call(nowhere, name, *RIGHT[name][0], ROLLOUT_PATIENCE="0.1")
    assert status in (1, 2) and len(lines) == 1, f"{status} {lines}"
    assert re.search("cannot|not installed|no container engine|no answer|there is no", lines[0]), lines


@pytest.mark.parametrize(("name", "writer"), [
    ("report", "cloudbuild/test"),
    ("package-changes", "cloudbuild/rebuild serving"),
    ("rebuild start", "cloudbuild/package-changes"),
])  # fmt: skip
def test_what_another_program_has_not_left_is_named(nowhere, name, writer):
    status, (line,) = call(nowhere, name, *RIGHT[name][0])
    assert status == 2 and f"{writer} writes it, so run that before" in line, (status, line)


def test_the_documentation_of_each_names_its_settings():
    for setting, names in SETTINGS.items():
        texts = [pathlib.Path(REPOSITORY, "cloudbuild", name).read_text() for name in names]
        everywhere = texts + [(REPOSITORY / "cloudbuild/gcloud.py").read_text()]
        assert any(setting in text.partition("import")[0] for text in everywhere), setting
