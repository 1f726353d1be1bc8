"""cloudbuild/rollout when a call fails or a signal comes, at each of its calls.

The same at every call of random histories: test_histories.py. Here are the programs themselves.
"""

import json
import signal

import pytest
from cloud import CHANGING, GOOD, REGION, SCRIPTS, Ended, read_until
from outcome import NEW, OLD, check, check_put_back, told_to_run
from test_make import maker

CALLS = [pytest.param(number, id=f"{number} {call}") for number, call in enumerate(GOOD)]
CHANGES = [pytest.param(number, id=f"{number} {GOOD[number]}") for number in CHANGING]
DONE = GOOD.index("untag")  # from this call on the rollout has succeeded
UNTAGGED = GOOD.index("tag 2")  # up to this call nothing is to be put back
WRITES = [each for each in CHANGES if GOOD[each.values[0]] != "deploy"]


def check_interrupted(ended, cloud, number):
    """From the call that takes the tag away, the new revision stays; before, the old one does."""
    if number >= DONE:
        check(ended, cloud, 0, {NEW: 100})
    else:
        check_put_back(ended, cloud, "FAILED: ")
    for pattern in ("Traceback", "A PERSON HAS TO ACT"):
        assert pattern not in ended.log, ended


@pytest.mark.parametrize("status", [429, 500, 503])
def test_calls_that_fail_once_change_nothing(cloud, repository, status):
    for number, call in enumerate(GOOD):
        if call not in ("token", "deploy"):
            cloud.disturb(2 * number, "fail", status=status)
    check(cloud.rollout(repository.new), cloud, 0, {NEW: 100})


@pytest.mark.parametrize("what", ["fail", "cut", "hang"])
@pytest.mark.parametrize("number", WRITES)
def test_a_write_that_was_done_and_not_answered_is_not_done_twice(
    cloud, repository, number, what
):
    cloud.disturb(number, what, "after")
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {NEW: 100}, "once more")
    assert cloud.calls().count(GOOD[number]) == 1, ended


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_deploy_that_fails_is_tried_again_if_it_has_made_nothing(cloud, repository, moment):
    cloud.disturb(GOOD.index("deploy"), "fail", moment)
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {NEW: 100})
    assert cloud.calls().count("deploy") == {"before": 2, "after": 1}[moment], ended


def test_a_token_that_has_expired_is_renewed(cloud, repository):
    cloud.disturb(GOOD.index("traffic 2=50 1=50"), "expire")
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 0, {NEW: 100})
    assert cloud.calls().count("token") == 2, ended


@pytest.mark.parametrize("number", CALLS[1:])
def test_what_is_not_allowed_is_put_back(cloud, repository, number):
    if GOOD[number] == "deploy":
        cloud.disturb_all("run deploy", "fail")
    else:
        cloud.disturb(number, "fail", status=403)
    ended = cloud.rollout(repository.new)
    if number < DONE - 1:
        check_put_back(ended, cloud, "FAILED: ")
    else:  # taking the tag away is tried again, and the template is no reason to fail
        check(ended, cloud, 0, {NEW: 100})


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", CHANGES)
def test_a_signal_puts_back(cloud, repository, number, moment):
    sleep = 30 if GOOD[number] == "deploy" else 0
    cloud.disturb(number, "signal", moment, signal="SIGTERM", sleep=sleep)
    check_interrupted(cloud.rollout(repository.new), cloud, number)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_other_signals_put_back_too(cloud, repository, name):
    cloud.disturb(UNTAGGED + 3, "signal", signal=name)
    check_put_back(cloud.rollout(repository.new), cloud, f"FAILED: {name} came", "100 % again")


def test_a_signal_between_the_calls_puts_back(cloud, repository):
    cloud.add_image(repository.new)
    process = cloud.start(cloud.rollout_command(repository.new), ROLLOUT_SOAK="60")
    read_until(process, "has 10 %")
    process.send_signal(signal.SIGTERM)
    check_put_back(Ended(process), cloud, "FAILED: SIGTERM came", "100 % again")


def test_a_second_signal_does_not_interrupt_putting_back(cloud, repository):
    cloud.disturb(GOOD.index("traffic 2=50 1=50"), "signal", signal="SIGTERM")
    cloud.disturb_all("traffic 1=100", "signal", signal="SIGTERM")
    check_put_back(cloud.rollout(repository.new), cloud, "FAILED: SIGTERM came", "100 % again")


@pytest.mark.parametrize("number", [number for number in CHANGING if number > UNTAGGED][:-1])
def test_a_rollout_that_takes_too_long_is_put_back(cloud, repository, number):
    cloud.disturb(number, "hang")
    ended = cloud.rollout(repository.new, ROLLOUT_LIMIT="2", ROLLOUT_PATIENCE="20")
    check_put_back(ended, cloud, "FAILED: the time is up")


def test_a_gcloud_that_hangs_is_ended(cloud, repository):
    cloud.disturb_all("run deploy", "hang")
    # Five times as long for one call, three times: a gcloud that answers needs a part of it, on a busy machine too.
    ended = cloud.rollout(repository.new, ROLLOUT_PATIENCE="2")
    check_put_back(ended, cloud, r"FAILED: gcloud run deploy .* did not end in 10 s")


def test_traffic_that_cloud_run_cannot_route_is_put_back(cloud, repository):
    cloud.change(behaviour={"fails": "Revision is not ready"})
    cloud.disturb_all("traffic 1=100", "mend")
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {OLD: 100}, "has failed: Revision is not ready")


# --- Killed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", CHANGES)
def test_what_a_kill_leaves_shows_by_the_tag_and_is_put_back(cloud, repository, number, moment):
    cloud.disturb(number, "signal", moment, signal="SIGKILL")
    ended = cloud.rollout(repository.new)
    assert ended.status == -signal.SIGKILL, ended
    tagged = (UNTAGGED, "after") <= (number, {"before": "", "after": "after"}[moment])
    if GOOD[number] == "untag" and moment == "after":
        assert (cloud.shares(), cloud.tags()) == ({NEW: 100}, {}), ended
        return
    if tagged:
        assert cloud.tags() == {"candidate": NEW}, ended  # which is what the alert looks at
    else:
        assert (cloud.shares(), cloud.tags()) == ({OLD: 100}, {}), ended
    if (number + (moment == "after")) % 2 and tagged:
        check(maker(cloud)("rollback"), cloud, 0, {OLD: 100})
    else:
        expire(cloud)
        ended = cloud.rollout(repository.newer)
        check(ended, cloud, 0, {len(cloud.state()["services"][REGION]["revisions"]): 100})


def expire(cloud):
    """Lets the time of the rollout that was killed be over."""
    services = cloud.state()["services"]
    annotations = services[REGION]["annotations"]
    if "delivery" in annotations:
        record = json.loads(annotations["delivery"])
        record["turn"][2] = 0
        annotations["delivery"] = json.dumps(record)
        cloud.change(services=services)


# --- When putting back or cleaning up fails ---------------------------------------------------


@pytest.mark.parametrize("match", ["traffic 1=100", "GET|traffic 1=100"])
def test_what_cannot_be_put_back_is_left_to_a_person_with_the_command(cloud, repository, match):
    cloud.breaks_at = {REGION: 50}
    cloud.disturb_all("traffic 1=100", "fail", status=403)
    if "GET" in match:
        for number in range(GOOD.index("traffic 2=50 1=50") + 2, 60):
            cloud.disturb(number, "fail", status=403)
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {OLD: 50, NEW: 50}, "FAILED", "PERSON", tags={"candidate": NEW})
    cloud.change(disturbances={})
    check(cloud.run(told_to_run(ended)), cloud, 0, {OLD: 100})


def test_a_tag_that_cannot_be_taken_away_is_left_to_a_person(cloud, repository):
    cloud.disturb_all("PATCH untag", "fail", status=403)
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {NEW: 100}, "release:", "PERSON", tags={"candidate": NEW})
    cloud.change(disturbances={})
    check(cloud.run(told_to_run(ended)), cloud, 0, {NEW: 100})


def test_what_a_person_is_told_does_nothing_once_somebody_has_rolled_back(cloud, repository):
    cloud.disturb_all("PATCH untag", "fail", status=403)
    ended = cloud.rollout(repository.new)
    cloud.change(disturbances={})
    check(maker(cloud)("rollback"), cloud, 0, {OLD: 100})
    check(cloud.run(told_to_run(ended)), cloud, 0, {OLD: 100}, "nothing to do")


def test_what_a_person_is_told_gives_nothing_to_what_somebody_has_taken_traffic_from(
    cloud, repository
):
    cloud.disturb_all("PATCH untag", "fail", status=403)
    ended = cloud.rollout(repository.new)
    cloud.change(disturbances={})
    services = cloud.state()["services"]
    services[REGION]["traffic"][0]["key"] = "hello-fcgi-00001-abc"
    cloud.change(services=services)
    check(cloud.run(told_to_run(ended)), cloud, 0, {OLD: 100})


def test_settle_says_what_it_is_for(cloud):
    ended = cloud.run([SCRIPTS / "settle", "--help"])
    assert ended.status == 0 and "Does nothing where somebody else has" in ended.log, ended
