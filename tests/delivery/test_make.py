"""What people run: make status, rollback, deploy and push."""

import re

import pytest
from cloud import GOOD, OTHER_REGION, PROJECT, REGION, REPOSITORY, TRIGGER, digest_of, read_until
from outcome import NEW, OLD, check


@pytest.fixture
def make(cloud):
    """A function that runs make in a project that Terraform knows."""
    return maker(cloud)


def maker(cloud):
    cloud.put_outputs()

    def make(*arguments, **environment):
        cloud.repository, before = REPOSITORY, cloud.repository
        try:
            return cloud.run(["make", "--silent", *arguments], **environment)
        finally:
            cloud.repository = before

    return make


@pytest.fixture
def two_regions(make_cloud):
    return make_cloud(regions=(REGION, OTHER_REGION))


def roll_out(cloud, commit):
    ended = cloud.rollout(commit)
    assert ended.status == 0, ended
    cloud.change(calls=[], disturbances={})


# --- status -----------------------------------------------------------------------------------


def test_status_shows_revisions_with_traffic_tag_commit_and_image(cloud, make, repository):
    services = cloud.state()["services"]
    roll_out(cloud, repository.new)
    services = cloud.state()["services"]
    services[REGION]["traffic"] = [
        {"key": "hello-fcgi-00001-abc", "percent": 90, "tag": None},
        {"key": "hello-fcgi-00002-abc", "percent": 10, "tag": "candidate"},
    ]
    cloud.change(services=services)
    ended = make("status")
    assert ended.status == 0, ended
    rows = [line.split() for line in ended.log.splitlines() if line.startswith("hello-fcgi-0")]
    assert [row[:-2] for row in rows] == [
        ["hello-fcgi-00002-abc", "10", "%", "candidate", "yes", repository.new],
        ["hello-fcgi-00001-abc", "90", "%", "-", "yes", repository.old],
    ], ended
    assert all("@sha256:" in row[-1] for row in rows), ended
    assert f"{REGION}  {cloud.address('service')}" in ended.log, ended


def test_status_shows_what_was_gone_back_from(cloud, make, repository):
    roll_out(cloud, repository.new)
    assert make("rollback").status == 0
    assert re.search("00002-abc .* gone back from .*" + repository.new, make("status").log)


def test_status_shows_every_region(two_regions):
    ended = maker(two_regions)("status")
    assert ended.status == 0 and "00001-abc" in ended.log and "00001-xyz" in ended.log, ended


# --- rollback ---------------------------------------------------------------------------------


def test_rollback_gives_the_traffic_to_the_revision_before(cloud, make, repository):
    roll_out(cloud, repository.new)
    check(
        make("rollback"),
        cloud,
        0,
        {OLD: 100},
        "writes hello-fcgi-00001-abc 100 %",
        "00001-abc serves 100 %",
    )


def test_rollback_skips_what_was_never_rolled_out(cloud, make, repository):
    cloud.breaks_at = {REGION: 10}
    assert cloud.rollout(repository.new).status == 1
    cloud.breaks_at = {}
    roll_out(cloud, repository.newer)
    assert cloud.shares() == {4: 100}  # 3 has put the image that serves into the template again
    check(make("rollback"), cloud, 0, {OLD: 100})


def test_rollback_twice_goes_back_twice_and_then_wants_to_be_told(cloud, make, repository):
    roll_out(cloud, repository.new)
    roll_out(cloud, repository.newer)
    check(make("rollback"), cloud, 0, {NEW: 100})
    check(make("rollback"), cloud, 0, {OLD: 100})
    check(make("rollback"), cloud, 2, {OLD: 100}, "nothing with another image .* TO=COMMIT")


@pytest.mark.parametrize("to", ["hello-fcgi-00001-abc", "commit", "short commit"])
def test_rollback_goes_to_a_revision_or_commit(cloud, make, repository, to):
    roll_out(cloud, repository.new)
    roll_out(cloud, repository.newer)
    to = {"commit": repository.old, "short commit": repository.old[:7]}.get(to, to)
    check(make("rollback", f"TO={to}"), cloud, 0, {OLD: 100})


@pytest.mark.parametrize("to", ["hello-fcgi-00009-abc", "0000000", "abc"])
def test_rollback_to_what_is_not_there_changes_nothing(cloud, make, repository, to):
    roll_out(cloud, repository.new)
    ended = make("rollback", f"TO={to}")
    check(ended, cloud, 2, {NEW: 100}, f"there is no revision or commit {to}. See make status")


def test_rollback_to_a_revision_that_never_got_ready_is_refused(cloud, make, repository):
    cloud.change(behaviour={"regions": {REGION: {"never_ready": True}}})
    assert cloud.rollout(repository.new).status == 1
    check(make("rollback", "TO=hello-fcgi-00002-abc"), cloud, 2, {OLD: 100}, "never got ready")


def test_rollback_calls_off_a_rollout_that_leaves_the_traffic_alone_then(cloud, make, repository):
    cloud.add_image(repository.new)
    rollout = cloud.start(
        cloud.rollout_command(repository.new), ROLLOUT_SOAK="3"
    )
    said = read_until(rollout, "has 10 %")
    check(make("rollback"), cloud, 0, {OLD: 100})
    said += rollout.communicate(timeout=30)[0]
    assert rollout.returncode == 1 and "FAILED" in said, said
    assert cloud.shares() == {OLD: 100} and cloud.tags() == {}, said


def test_rollback_by_commit_reaches_every_region(two_regions, repository):
    roll_out(two_regions, repository.new)
    check(maker(two_regions)("rollback", f"TO={repository.old}"), two_regions, 0, {OLD: 100})


def test_rollback_to_what_one_region_does_not_have_changes_none(two_regions, repository):
    roll_out(two_regions, repository.new)
    ended = maker(two_regions)("rollback", "TO=hello-fcgi-00001-abc")
    check(ended, two_regions, 2, {NEW: 100}, f"{OTHER_REGION}: there is no revision or commit")


def test_rollback_takes_one_revision_for_each_region(two_regions, repository):
    roll_out(two_regions, repository.new)
    ended = maker(two_regions)("rollback", "TO=hello-fcgi-00001-abc hello-fcgi-00001-xyz")
    check(ended, two_regions, 0, {OLD: 100})


def test_rollback_goes_on_when_a_region_fails_and_names_it(two_regions, repository):
    roll_out(two_regions, repository.new)
    two_regions.disturb_all(f"api {REGION} PATCH", "fail", status=403)
    make = maker(two_regions)
    ended = make("rollback")
    check(ended, two_regions, 2, {OLD: 100}, regions=[OTHER_REGION])
    check(ended, two_regions, 2, {NEW: 100}, f"not rolled back: {REGION}", regions=[REGION])
    two_regions.change(disturbances={})
    check(make("rollback"), two_regions, 0, {OLD: 100})  # and not further where it was done


@pytest.mark.parametrize("calls_off", ["has 10 %", f"{OTHER_REGION}: .* has 10 %"])
def test_rollback_of_a_rollout_over_two_regions_takes_both_to_what_served(
    two_regions, repository, calls_off
):
    roll_out(two_regions, repository.new)
    two_regions.add_image(repository.newer)
    rollout = two_regions.start(
        two_regions.rollout_command(repository.newer), ROLLOUT_SOAK="1.5"
    )
    said = read_until(rollout, calls_off)
    check(maker(two_regions)("rollback"), two_regions, 0, {NEW: 100})
    said += rollout.communicate(timeout=30)[0]
    assert rollout.returncode == 1 and "PERSON" not in said, said
    check(Outcome(said), two_regions, 0, {NEW: 100})


class Outcome:
    """What has ended well, as check() has it."""

    status = 0

    def __init__(self, log):
        self.log = log


def test_rollback_with_nothing_to_go_back_to_ends_the_rollout_and_says_so(cloud, make, repository):
    """It used to go to the candidate itself, and to say that all was well."""
    cloud.breaks_at[REGION] = 100
    cloud.disturb(GOOD.index("traffic 2=100"), "delete", "after")
    assert cloud.rollout(repository.new).status == 3
    check(make("rollback"), cloud, 2, {NEW: 100}, "hello-fcgi-00002-abc serves on, since there is nothing else")


def test_rollback_skips_the_twin_of_what_serves(cloud, make, repository):
    roll_out(cloud, repository.new)
    roll_out(cloud, repository.new)
    assert cloud.shares() == {3: 100}
    check(make("rollback"), cloud, 0, {OLD: 100})


def test_rollback_goes_to_the_build_before_of_the_same_commit(cloud, make, repository):
    roll_out(cloud, repository.new)
    rebuilt = digest_of(repository.new).replace("000", "abc")
    cloud.change(images={**cloud.state()["images"], rebuilt: repository.new})
    ended = cloud.run(cloud.rollout_command(repository.new, image=rebuilt))
    check(ended, cloud, 0, {3: 100})
    check(make("rollback"), cloud, 0, {NEW: 100})


def test_rollback_does_not_go_back_to_what_was_gone_back_from(cloud, make, repository):
    roll_out(cloud, repository.new)
    assert make("rollback").status == 0
    roll_out(cloud, repository.newer)
    check(make("rollback"), cloud, 0, {OLD: 100})


def test_rollback_to_a_commit_takes_the_revision_of_it_that_has_served(cloud, make, repository):
    roll_out(cloud, repository.new)
    cloud.breaks_at = {REGION: 10}
    assert cloud.rollout(repository.new).status == 1  # the same commit once more, which fails
    cloud.breaks_at = {}
    roll_out(cloud, repository.newer)
    check(make("rollback", f"TO={repository.new}"), cloud, 0, {NEW: 100})


def test_rollback_to_a_commit_that_never_served_says_what_it_would_take(cloud, make, repository):
    cloud.breaks_at = {REGION: 10}
    assert cloud.rollout(repository.new).status == 1
    cloud.breaks_at = {}
    ended = make("rollback", f"TO={repository.new}")
    says = "no revision of .* has ever served: hello-fcgi-00002-abc did not pass"
    check(ended, cloud, 2, {OLD: 100}, says, "make rollback TO=hello-fcgi-00002-abc")
    check(make("rollback", "TO=hello-fcgi-00002-abc"), cloud, 0, {NEW: 100})


def test_after_a_rollback_the_template_has_the_image_that_serves(cloud, make, repository):
    roll_out(cloud, repository.new)
    assert make("rollback").status == 0
    service = cloud.state()["services"][REGION]
    serves = service["revisions"]["hello-fcgi-00001-abc"]
    assert service["template"]["image"] == serves["image"]


def test_a_rollout_that_waits_with_a_commit_that_is_gone_back_from_is_not_begun(
    cloud, make, repository
):
    cloud.add_image(repository.new)
    first = cloud.start(cloud.rollout_command(repository.new), ROLLOUT_SOAK="60")
    read_until(first, "has 10 %")
    second = cloud.start(cloud.rollout_command(repository.new))
    waits = read_until(second, "waiting")
    check(make("rollback"), cloud, 0, {OLD: 100})
    first.terminate()
    first.communicate(timeout=30)
    waits += second.communicate(timeout=30)[0]
    assert second.returncode == 1 and "somebody has gone back from" in waits, waits
    assert cloud.shares() == {OLD: 100} and cloud.tags() == {}, waits


# --- deploy -----------------------------------------------------------------------------------


def test_deploy_applies_starts_the_trigger_and_waits_for_the_build(cloud, make):
    cloud.change(build_statuses=["QUEUED", "WORKING", "WORKING", "SUCCESS"])
    ended = make("deploy")
    assert ended.status == 0, ended
    assert (cloud.directory / "applied").exists(), ended
    assert "$ scripts/terraform apply\n" in ended.log, ended
    command = f"$ gcloud builds triggers run {TRIGGER} --region={REGION} --project={PROJECT} --branch=main"
    assert command in ended.log, ended
    assert len(cloud.state()["build_statuses"]) == 1, ended


def test_deploy_fails_with_the_build(cloud, make):
    cloud.change(build_statuses=["WORKING", "FAILURE"])
    ended = make("deploy")
    assert ended.status == 2 and "ended with FAILURE. Read https://console" in ended.log, ended


def test_deploy_builds_nothing_when_terraform_fails(cloud, make):
    (cloud.directory / "apply-fails").touch()
    ended = make("deploy")
    assert ended.status == 2 and "terraform ended with status 1" in ended.log, ended
    assert "docs/deploy.md" in ended.log, ended
    assert not [call for call in cloud.state()["calls"] if call[0] == "builds"], ended


# --- push -------------------------------------------------------------------------------------


def test_push_refuses_what_is_not_committed(cloud, tmp_path):
    cloud.put_outputs()
    copy = tmp_path / "copy"
    for command in (
        ["git", "init", "--quiet", copy],
        ["cp", "-r", *(REPOSITORY / name for name in ("cloudbuild", "scripts", "terraform")), copy],
    ):
        assert cloud.run(command).status == 0
    ended = cloud.run([copy / "cloudbuild/push-commit"])
    assert ended.status == 1 and "push: commit or stash first" in ended.log, ended
    assert "?? cloudbuild/" in ended.log, ended


# --- What is needed ---------------------------------------------------------------------------

TARGETS = ["status", "rollback", "deploy", "push", "rebuild"]


@pytest.mark.parametrize("target", TARGETS)
def test_without_credentials_each_says_so(cloud, make, target):
    cloud.change(logged_in=False)
    ended = make(target)
    assert ended.status == 2, ended
    assert ended.log.startswith(
        f"{target}: gcloud has no credentials that work: gcloud auth login (ERROR: "
    ), ended
    assert len(ended.log.splitlines()) == 2, ended  # this, and what make says of it


KNOWING = [target for target in TARGETS if target != "deploy"]  # a deploy makes the project


@pytest.mark.parametrize("target", KNOWING)
def test_without_a_project_each_says_so(cloud, make, target):
    (cloud.directory / "outputs.json").unlink()
    ended = make(target)
    assert ended.status == 2, ended
    cause = 'Error: Backend initialization required, please run "terraform init"'
    assert f"{target}: Terraform is not connected to a project here ({cause})" in ended.log, ended
    assert "ENV=production scripts/terraform init" in ended.log, ended
    assert "docs/deploy.md" in ended.log and "terraform init" in ended.log, ended
    assert len(ended.log.splitlines()) <= 2, ended  # this, and what make says of it


@pytest.mark.parametrize("target", KNOWING)
@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ENV", "nowhere", "ENV=nowhere: there is no file terraform/environments/nowhere.tfvars. There are: production staging"),
        ("TERRAFORM", "/no/terraform", "TERRAFORM=/no/terraform is not installed"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_first_and_no_other_advice_is_given(
    cloud, make, target, variable, value, says
):
    (cloud.directory / "outputs.json").unlink()
    ended = make(target, **{variable: value})
    assert ended.status == 2 and ended.log.startswith(f"{target}: {says}"), ended
    assert "init" not in ended.log and len(ended.log.splitlines()) == 2, ended


@pytest.mark.parametrize("target", KNOWING)
def test_where_terraform_cannot_say_its_reason_is_given(cloud, make, target, tmp_path):
    program = tmp_path / "failing"
    program.write_text("#!/bin/sh\necho 'Error: Failed to get existing workspaces: 403' >&2; exit 1\n")
    program.chmod(0o755)
    ended = make(target, TERRAFORM=str(program), ENV="staging")
    says = "Terraform cannot say what there is (Error: Failed to get existing workspaces: 403)"
    assert ended.log.startswith(f"{target}: {says}"), ended
    assert "ENV=staging scripts/terraform output" in ended.log and " init" not in ended.log, ended


def test_nothing_is_coloured_that_goes_to_no_terminal(cloud, make):
    (cloud.directory / "outputs.json").unlink()
    assert "\033" not in make("status").log


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("missing", ["gcloud", "terraform"])
def test_without_a_tool_each_names_it(cloud, make, target, missing, tmp_path):
    tools = tmp_path / "few"
    tools.mkdir()
    for name in {"gcloud", "terraform"} - {missing}:
        (tools / name).symlink_to(cloud.tools() / name)
    for name in ("python3", "git", "make", "cat", "uname", "bash", "sh"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    ended = make(target, PATH=str(tools))
    what = {"gcloud": "gcloud cannot be started", "terraform": "terraform is not installed"}[
        missing
    ]
    assert ended.status == 2 and what in ended.log, ended
    assert "Traceback" not in ended.log, ended
