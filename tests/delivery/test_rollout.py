"""cloudbuild/rollout: who serves, which tags are left and what is said, whatever happens."""

import json
import subprocess
import time

import pytest
import run_model
from cloud import GOOD, IMAGE, OTHER_REGION, REGION, SCRIPTS, Ended, read_until
from outcome import NEW, OLD, check, check_put_back, told_to_run

# --- When all is well -------------------------------------------------------------------------


def test_a_good_commit_gets_the_traffic_in_steps_and_the_tag_goes(cloud, repository):
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {NEW: 100}, "has 10 %", "has 50 %", "has 100 %", "serves 100 %")
    assert cloud.calls() == GOOD, ended


def test_the_deploy_is_by_digest_without_traffic_and_leaves_the_template_unnamed(cloud, repository):
    ended = cloud.rollout(repository.new)
    deploys = [call for call in cloud.state()["calls"] if call[:2] == ["run", "deploy"]]
    assert len(deploys) == 1, ended
    flags = {word.partition("=")[0] for word in deploys[0] if word.startswith("--")}
    assert flags == {
        *("--image", "--no-traffic", "--update-labels", "--region", "--project", "--quiet")
    }, ended
    revision = cloud.state()["services"][REGION]["revisions"]["hello-fcgi-00002-abc"]
    assert revision["image"].startswith(f"{IMAGE}@sha256:"), ended
    assert revision["labels"]["commit"] == repository.new, ended
    assert len(revision["labels"]["rollout"]) == 12, ended
    assert revision["labels"]["committed"] == "1700000002", ended


def test_the_first_deploy_replaces_the_placeholder(make_cloud, repository):
    cloud = make_cloud(old=None)
    check(cloud.rollout(repository.new), cloud, 0, {NEW: 100}, "serves something without a commit")


def test_a_first_deploy_that_fails_leaves_the_placeholder(make_cloud, repository):
    cloud = make_cloud(old=None)
    cloud.breaks_at = {REGION: 10}
    check_put_back(cloud.rollout(repository.new), cloud, "00001-abc serves 100 % again")


def test_the_same_commit_is_rolled_out_again(cloud, repository):
    check(cloud.rollout(repository.old), cloud, 0, {NEW: 100})


def test_greetings_are_expected_as_the_revision_is_told_to_greet(cloud, repository):
    services = cloud.state()["services"]
    services[REGION]["template"]["env"] = [
        {"name": "GREETING", "value": "Grüezi"},
        {"name": "GREETING_NAME", "value": "mitenand"},
    ]
    cloud.change(services=services)
    check(cloud.rollout(repository.new), cloud, 0, {NEW: 100})


@pytest.mark.parametrize("breaks_at", [101, 50])
def test_changes_may_be_seen_late(cloud, repository, breaks_at):
    cloud.change(behaviour={"late": 3})
    cloud.hide = 3
    cloud.breaks_at = {REGION: breaks_at}
    ended = cloud.rollout(repository.new)
    if breaks_at > 100:
        check(ended, cloud, 0, {NEW: 100})
    else:
        check_put_back(ended, cloud)


# --- A bad candidate --------------------------------------------------------------------------


def test_a_candidate_that_never_gets_ready_gets_no_traffic(cloud, repository):
    cloud.change(behaviour={"regions": {REGION: {"never_ready": True}}})
    ended = cloud.rollout(repository.new)
    check_put_back(ended, cloud, "FAILED: .*00002-abc is not ready", "was not touched")
    assert not [call for call in cloud.calls() if "traffic" in call], ended


def test_a_candidate_of_another_commit_gets_no_traffic(cloud, repository):
    ended = cloud.rollout(repository.new, contains=repository.newer)
    check_put_back(ended, cloud, "FAILED: GET .*/version was to be answered", "serves 100 % again")
    assert repository.newer in ended.log, ended
    assert "traffic 2=10 1=90" not in cloud.calls(), ended


@pytest.mark.parametrize("share", [10, 50, 100])
def test_a_candidate_that_fails_under_its_share_is_put_back(cloud, repository, share):
    cloud.breaks_at = {REGION: share}
    ended = cloud.rollout(repository.new)
    check_put_back(
        ended,
        cloud,
        f"has {share} %",
        "FAILED: GET .* answered 503",
        "00001-abc serves 100 % again",
    )
    given = [call for call in cloud.calls() if call.startswith("traffic")]
    shares = ["traffic 2=10 1=90", "traffic 2=50 1=50", "traffic 2=100"]
    assert given == shares[: [10, 50, 100].index(share) + 1] + ["traffic 1=100 untag"], ended


def test_when_the_public_address_does_not_show_the_commit_the_old_revision_serves(
    cloud, repository
):
    cloud.stuck = True
    ended = cloud.rollout(repository.new, ROLLOUT_PATIENCE="3")
    check_put_back(
        ended, cloud, "has 100 %", "FAILED: GET http://127.0.1.0:.*/version", "100 % again"
    )


# --- Older commits ----------------------------------------------------------------------------


@pytest.fixture
def clone(cloud, repository, tmp_path):
    """A function that gives the rollout what a build has: one commit without its history."""

    def clone(commit, reachable):
        path = tmp_path / "clone"
        path.mkdir()
        origin = f"file://{repository.directory}"
        for command in (
            ["init", "--quiet"],
            ["remote", "add", "origin", origin],
            ["fetch", "--quiet", "--depth=1", "origin", commit],
            ["checkout", "--quiet", commit],
            ["remote", "set-url", "origin", origin if reachable else "file:///nowhere"],
        ):
            subprocess.run(["git", *command], cwd=path, check=True, capture_output=True)
        cloud.repository = path

    return clone


def serve(cloud, commit, **labels):
    """Has the cloud serve that commit."""
    services = cloud.state()["services"]
    services[REGION]["revisions"]["hello-fcgi-00001-abc"]["labels"] = {"commit": commit, **labels}
    cloud.change(services=services)


REFUSED = (
    "FAILED: {0.old} is older than {0.newer}, which serves. To go back on purpose: make rollback"
)


def test_an_older_commit_is_refused(cloud, repository):
    serve(cloud, repository.newer)
    ended = cloud.rollout(repository.old)
    check_put_back(ended, cloud, REFUSED.format(repository))
    assert "deploy" not in cloud.calls(), ended


def test_an_older_commit_is_refused_in_a_clone_without_history(cloud, repository, clone):
    serve(cloud, repository.newer)
    clone(repository.old, reachable=True)
    check_put_back(cloud.rollout(repository.old), cloud, REFUSED.format(repository))


def test_an_older_commit_is_refused_by_its_time_where_history_is_out_of_reach(
    cloud, repository, clone
):
    serve(cloud, repository.newer, committed="1700000003")
    clone(repository.old, reachable=False)
    check_put_back(cloud.rollout(repository.old), cloud, REFUSED.format(repository))


def test_a_commit_that_git_does_not_know_is_refused(cloud, repository, clone):
    """As in the build that deploys an image, which has a clone of main's newest commit."""
    serve(cloud, repository.old, committed="1700000001")
    clone(repository.newer, reachable=False)
    check_put_back(cloud.rollout(repository.new), cloud, f"FAILED: git does not know {repository.new}")
    assert "deploy" not in cloud.calls()


@pytest.mark.parametrize("reachable", [True, False])
def test_a_newer_commit_is_taken_from_a_clone_without_history(cloud, repository, clone, reachable):
    serve(cloud, repository.old, committed="1700000001")
    clone(repository.new, reachable)
    check(cloud.rollout(repository.new), cloud, 0, {NEW: 100})


def test_a_commit_whose_age_cannot_be_told_is_taken_with_a_warning(cloud, repository, clone):
    serve(cloud, "0" * 40)
    clone(repository.new, reachable=False)
    check(cloud.rollout(repository.new), cloud, 0, {NEW: 100}, "WARNING: git knows too little")


# --- Private, and behind a load balancer ------------------------------------------------------


@pytest.mark.parametrize("behind", [False, True])
def test_a_private_candidate_is_asked_with_an_identity_token(cloud, repository, behind):
    cloud.private, cloud.behind_load_balancer = True, behind
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {NEW: 100})
    assert "an-access-token" not in ended.log and "for:" not in ended.log, ended


@pytest.mark.parametrize("behind", [False, True])
def test_a_candidate_behind_identity_aware_proxy_is_asked_with_a_signed_token(
    cloud, repository, behind
):
    cloud.private, cloud.behind_load_balancer = "iap", behind
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {NEW: 100})
    assert "an-access-token" not in ended.log and "for:" not in ended.log, ended


def test_without_a_token_for_a_private_candidate_the_old_revision_serves(cloud, repository):
    cloud.private = cloud.no_tokens = True
    ended = cloud.rollout(repository.new)
    check_put_back(ended, cloud, "FAILED: .* gets no identity token", "100 % again")
    assert "serviceAccountOpenIdTokenCreator" in ended.log, ended


def test_a_private_candidate_that_is_taken_for_a_public_one_gets_no_traffic(cloud, repository):
    cloud.private = True
    cloud.add_image(repository.new)
    ended = cloud.run(cloud.rollout_command(repository.new, private="false"))
    check_put_back(ended, cloud, "FAILED: GET .*answered 403", "100 % again")


def test_behind_a_load_balancer_the_candidate_of_the_region_is_asked(make_cloud, repository):
    cloud = make_cloud(regions=(REGION, OTHER_REGION))
    cloud.behind_load_balancer = True
    check(cloud.rollout(repository.new), cloud, 0, {NEW: 100})


def test_behind_a_load_balancer_a_candidate_that_fails_is_put_back(make_cloud, repository):
    cloud = make_cloud(regions=(REGION, OTHER_REGION))
    cloud.behind_load_balancer = True
    cloud.breaks_at = {OTHER_REGION: 0}
    ended = cloud.rollout(repository.new)
    check_put_back(ended, cloud, f"{REGION}: .* has 100 %", "FAILED: GET .* answered 503")


# --- Two regions ------------------------------------------------------------------------------


@pytest.fixture
def two_regions(make_cloud):
    return make_cloud(regions=(REGION, OTHER_REGION))


def test_regions_follow_one_another(two_regions, repository):
    ended = two_regions.rollout(repository.new)
    first, second = (f"{region}: .* has 100 %" for region in (REGION, OTHER_REGION))
    check(ended, two_regions, 0, {NEW: 100}, first, f"{OTHER_REGION}: .* has 10 %", second)


def test_a_second_region_that_fails_puts_both_back_the_last_first(two_regions, repository):
    two_regions.breaks_at = {OTHER_REGION: 50}
    ended = two_regions.rollout(repository.new)
    check_put_back(
        ended,
        two_regions,
        f"{REGION}: .* has 100 %",
        "FAILED: GET",
        f"{OTHER_REGION}: .*00001-xyz serves 100 % again",
        f"{REGION}: .*00001-abc serves 100 % again",
    )


def test_a_second_region_that_never_gets_ready_keeps_traffic_from_the_first(two_regions, repository):
    two_regions.change(behaviour={"regions": {OTHER_REGION: {"never_ready": True}}})
    ended = two_regions.rollout(repository.new)
    check_put_back(ended, two_regions, "is not ready", "traffic was not touched")
    assert not [call for call in two_regions.calls() if "traffic" in call], ended


def test_a_first_region_that_fails_keeps_traffic_from_the_second(two_regions, repository):
    two_regions.breaks_at = {REGION: 10}
    ended = two_regions.rollout(repository.new)
    check_put_back(ended, two_regions, f"{REGION}: .* serves 100 % again")
    assert not [call for call in two_regions.calls(OTHER_REGION) if "traffic" in call], ended


def test_a_revision_that_terraform_makes_in_the_second_region_meanwhile_does_no_harm(
    two_regions, repository
):
    two_regions.disturb(8, "apply", "after", region=OTHER_REGION)
    check(two_regions.rollout(repository.new), two_regions, 0, {NEW: 100}, regions=[REGION])
    assert two_regions.tags(OTHER_REGION) == {}
    [(_, serves)] = serving(two_regions, OTHER_REGION)
    assert serves["labels"]["commit"] == repository.new


def test_a_region_that_cannot_be_put_back_does_not_keep_the_other_from_it(two_regions, repository):
    two_regions.breaks_at = {OTHER_REGION: 50}
    two_regions.disturb_all(f"{OTHER_REGION} PATCH traffic 1=100", "fail", status=403)
    ended = two_regions.rollout(repository.new)
    check(ended, two_regions, 3, {OLD: 100}, regions=[REGION])
    check(
        ended, two_regions, 3, {OLD: 50, NEW: 50}, regions=[OTHER_REGION], tags={"candidate": NEW}
    )
    two_regions.change(disturbances={})
    check(two_regions.run(told_to_run(ended)), two_regions, 0, {OLD: 100})


# --- Somebody else ----------------------------------------------------------------------------


def test_of_two_rollouts_at_once_the_second_waits_and_wins(cloud, repository):
    cloud.add_image(repository.newer)
    cloud.add_image(repository.new)
    first = cloud.start(cloud.rollout_command(repository.new), ROLLOUT_SOAK="0.7")
    said = read_until(first, "answers as it should")
    second = cloud.run(cloud.rollout_command(repository.newer))
    assert Ended(first).status == 0, said
    check(
        second,
        cloud,
        0,
        {3: 100},
        "00002-abc is being rolled out; waiting",
        f"serves {repository.new}",
    )


def test_of_two_rollouts_at_once_an_older_second_one_is_refused(cloud, repository):
    cloud.add_image(repository.newer)
    cloud.add_image(repository.new)
    first = cloud.start(cloud.rollout_command(repository.newer), ROLLOUT_SOAK="0.7")
    said = read_until(first, "answers as it should")
    second = cloud.run(cloud.rollout_command(repository.new))
    assert Ended(first).status == 0, said
    check(second, cloud, 1, {NEW: 100}, "waiting", f"FAILED: {repository.new} is older")


def test_of_two_rollouts_of_one_commit_at_once_one_serves_and_both_are_well(cloud, repository):
    cloud.add_image(repository.new)
    first = cloud.start(cloud.rollout_command(repository.new), ROLLOUT_SOAK="0.7")
    said = read_until(first, "answers as it should")
    second = cloud.run(cloud.rollout_command(repository.new))
    assert Ended(first).status == 0, said
    check(second, cloud, 0, {NEW: 100}, "another rollout of the same image has brought it")


SHORT = {"ROLLOUT_LIMIT": "10", "ROLLOUT_PATIENCE": "2"}


@pytest.mark.parametrize("call", ["read", "tag 2"])
def test_a_tag_that_nobody_answers_for_is_waited_for_and_then_taken(cloud, repository, call):
    cloud.disturb(GOOD.index(call), "other rollout")
    ended = cloud.rollout(repository.new, **SHORT)
    check(ended, cloud, 0, {3 if call == "read" else NEW: 100}, "waiting until", "was killed")


def after_tag(calls):
    return [pytest.param(number, id=f"{number} {GOOD[number]}")
            for number in range(GOOD.index("tag 2"), len(GOOD)) if GOOD[number] in calls]  # fmt: skip


TRAFFIC = ["traffic 2=10 1=90", "traffic 2=50 1=50"]


@pytest.mark.parametrize("number", range(GOOD.index(TRAFFIC[1]), GOOD.index("untag") + 1))
def test_traffic_that_a_person_has_set_with_gcloud_stays_and_the_tag_goes(cloud, repository, number):
    cloud.disturb(number, "update-traffic")
    check_put_back(cloud.rollout(repository.new), cloud, "somebody else has changed the traffic")


def test_what_somebody_has_deleted_is_not_put_back(cloud, repository):
    """There is nothing else here, so that a person has to know that what failed serves."""
    cloud.breaks_at[REGION] = 100
    cloud.disturb(GOOD.index("traffic 2=100"), "delete", "after")
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {NEW: 100}, "there is nothing left but", tags={"candidate": NEW})
    check(cloud.run(told_to_run(ended)), cloud, 0, {NEW: 100})


@pytest.mark.parametrize("number", after_tag(TRAFFIC))
def test_a_rollout_that_loses_the_tag_leaves_the_traffic_alone(cloud, repository, number):
    cloud.disturb(number, "other rollout", "after")
    ended = cloud.rollout(repository.new)
    shares = {TRAFFIC[0]: {OLD: 90, NEW: 10}, TRAFFIC[1]: {OLD: 50, NEW: 50}}[GOOD[number]]
    check(
        ended, cloud, 1, shares, "FAILED", "the tag is somebody else's now", tags={"candidate": 3}
    )


# A rollback that lands between the look and the write is what no sequence of calls of gcloud could
# see: before each write, then, the last one included.
@pytest.mark.parametrize("number", after_tag([*TRAFFIC, "traffic 2=100", "untag", "read"])[:-2])
def test_a_person_who_rolls_back_meanwhile_is_not_overruled(cloud, repository, number):
    cloud.disturb(number, "rollback", "before")
    ended = cloud.rollout(repository.new)
    check_put_back(ended, cloud)
    assert "A PERSON HAS TO ACT" not in ended.log, ended


def test_shares_that_somebody_has_changed_are_put_back(cloud, repository):
    cloud.disturb(GOOD.index(TRAFFIC[1]), "shares", "before")
    ended = cloud.rollout(repository.new)
    check_put_back(ended, cloud, "FAILED: somebody else has changed", "100 % again")


def test_a_service_that_a_person_has_split_is_not_rolled_out(cloud, repository):
    cloud.rollout(repository.new)
    cloud.disturb(len(cloud.state()["calls"]), "shares")
    ended = cloud.rollout(repository.newer)
    check(ended, cloud, 1, {OLD: 75, NEW: 25}, "FAILED: .*make rollback TO=COMMIT")


def leave_killed_rollout(cloud, share, until):
    """Leaves what a rollout has set that was killed at that share."""
    services = cloud.state()["services"]
    service, old = services[REGION], "hello-fcgi-00001-abc"
    killed = run_model.deploy(service, "an-image", {"commit": "0" * 40}, time.time())
    shares = {old: 100 - share, killed: share}
    service["traffic"] = run_model.targets(
        {name: percent for name, percent in shares.items() if percent}, {"candidate": killed}
    )
    service["annotations"]["delivery"] = json.dumps({"served": [old], "turn": [killed, old, until]})
    cloud.change(services=services)


@pytest.mark.parametrize("share", [0, 10, 100])
def test_what_a_killed_rollout_has_left_is_taken_over(cloud, repository, share):
    leave_killed_rollout(cloud, share, until=0)
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {3: 100}, "the rollout of hello-fcgi-00002-abc was killed")


def test_what_a_killed_rollout_has_left_is_put_back_even_when_the_next_one_fails(cloud, repository):
    leave_killed_rollout(cloud, 10, until=0)
    cloud.disturb_all("run deploy", "fail")
    check_put_back(cloud.rollout(repository.new), cloud, "00002-abc was killed", "was not touched")


def test_a_rollout_waits_no_longer_than_another_one_may_take(cloud, repository):
    leave_killed_rollout(cloud, 10, until=time.time() + 2)
    ended = cloud.rollout(repository.new, ROLLOUT_PATIENCE="2")
    check(ended, cloud, 0, {3: 100}, "waiting until that is done", "was killed")


# --- What is left in the template ---------------------------------------------------------------


@pytest.mark.parametrize("share", [10, 100])
def test_after_putting_back_the_template_has_the_image_that_serves(cloud, repository, share):
    cloud.breaks_at = {REGION: share}
    check_put_back(cloud.rollout(repository.new), cloud, "the template has .* again")
    [(name, serves)] = serving(cloud, REGION)
    template = cloud.state()["services"][REGION]["template"]
    assert (template["image"], template["labels"]["commit"]) == (serves["image"], repository.old)
    assert "rollout" not in template["labels"]


def test_a_template_that_cannot_be_restored_is_a_warning(cloud, repository):
    cloud.breaks_at = {REGION: 10}
    cloud.disturb_all("PATCH template", "fail", status=403)
    check_put_back(cloud.rollout(repository.new), cloud, "WARNING: the template may have an image")


def serving(cloud, region):
    """The revisions that have a share, with what they are."""
    service = cloud.state()["services"][region]
    return [(name, service["revisions"][name]) for name in run_model.shares(service)]


# --- What is needed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image", f"{IMAGE}:latest"),
        ("commit", "main"),
        ("regions", " "),
        ("service", ""),
        ("private", "perhaps"),
        ("candidate-origin", "example.com"),
    ],
)
def test_a_wrong_option_is_named_before_anything_is_done(cloud, repository, option, value):
    ended = cloud.run(cloud.rollout_command(repository.new, **{option: value}))
    assert ended.status == 2 and f"--{option}" in ended.log, ended
    assert cloud.state()["calls"] == [], ended


def test_a_service_that_is_not_there_is_said(cloud, repository):
    cloud.add_image(repository.new)
    ended = cloud.run(cloud.rollout_command(repository.new, service="other"))
    check_put_back(ended, cloud, "FAILED: GET .*services/other was answered .*PERMISSION_DENIED")


def test_without_gcloud_it_says_so(cloud, repository):
    ended = cloud.run(["/usr/bin/python3", *cloud.rollout_command(repository.new)], PATH="/nowhere")
    assert "Traceback" not in ended.log, ended
    check_put_back(ended, cloud, "FAILED: gcloud cannot be started .* install the Google Cloud CLI")


def test_help_tells_what_it_does(cloud):
    ended = cloud.run([SCRIPTS / "rollout", "--help"])
    assert ended.status == 0 and "Exit status: 0 the new revision serves" in ended.log, ended
