"""cloudbuild/rollout when gcloud fails or a signal comes, at each of its calls of gcloud."""

import signal

import pytest
from cloud import CHANGING, GOOD, REGION, Ended
from outcome import NEW, OLD, check, check_put_back, told_to_run

CALLS = [pytest.param(number, id=f"{number} {call}") for number, call in enumerate(GOOD)]
CHANGES = [pytest.param(number, id=f"{number} {GOOD[number]}") for number in CHANGING]
DONE = len(GOOD) - 2  # from this call on the rollout has succeeded


def check_interrupted(ended, cloud, number):
    """From the call that takes the tag away, the new revision stays; before, the old one does."""
    if number >= DONE:
        check(ended, cloud, 0, {NEW: 100})
    else:
        check_put_back(ended, cloud, "FAILED: ")
    for pattern in ("Traceback", "A PERSON HAS TO ACT"):
        assert pattern not in ended.log, ended


@pytest.mark.parametrize("number", CALLS)
def test_when_gcloud_fails_the_old_revision_serves(cloud, repository, number):
    cloud.disturb(number, "fail")
    check_interrupted(cloud.rollout(repository.new), cloud, number)


@pytest.mark.parametrize("number", CHANGES)
def test_when_gcloud_fails_but_did_what_it_should_the_old_revision_serves(
    cloud, repository, number
):
    cloud.disturb(number, "fail", "after")
    check_interrupted(cloud.rollout(repository.new), cloud, number)


@pytest.mark.parametrize("number", CALLS)
def test_a_signal_before_gcloud_has_done_anything_puts_back(cloud, repository, number):
    cloud.disturb(number, "signal", signal="SIGTERM", sleep=30 if number < DONE else 0.1)
    check_interrupted(cloud.rollout(repository.new), cloud, number)


@pytest.mark.parametrize("number", CHANGES)
def test_a_signal_when_gcloud_has_done_it_puts_back(cloud, repository, number):
    cloud.disturb(number, "signal", "after", signal="SIGTERM", sleep=30 if number < DONE else 0.1)
    check_interrupted(cloud.rollout(repository.new), cloud, number)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_other_signals_put_back_too(cloud, repository, name):
    cloud.disturb(9, "signal", signal=name, sleep=30)
    check_put_back(cloud.rollout(repository.new), cloud, f"FAILED: {name} came", "100 % again")


def test_a_signal_between_the_calls_puts_back(cloud, repository):
    cloud.add_image(repository.new)
    process = cloud.start(cloud.rollout_command(repository.new), ROLLOUT_SOAK="60")
    said = ""
    while "has 10 %" not in said:
        said += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    check_put_back(Ended(process), cloud, "FAILED: SIGTERM came", "100 % again")


def test_a_second_signal_does_not_interrupt_putting_back(cloud, repository):
    cloud.disturb(9, "signal", signal="SIGTERM", sleep=30)
    cloud.disturb_all("--remove-tags", "signal", signal="SIGTERM", sleep=0.2)
    check_put_back(cloud.rollout(repository.new), cloud, "FAILED: SIGTERM came", "100 % again")


@pytest.mark.parametrize("number", [2, 5, 8, 13])
def test_a_rollout_that_takes_too_long_is_put_back(cloud, repository, number):
    cloud.disturb(number, "hang")
    ended = cloud.rollout(repository.new, ROLLOUT_LIMIT="1.5")
    check_put_back(ended, cloud, "FAILED: the time is up")


def test_a_gcloud_that_hangs_is_ended(cloud, repository):
    cloud.disturb(8, "hang")
    ended = cloud.rollout(repository.new, ROLLOUT_PATIENCE="0.4")
    check_put_back(ended, cloud, r"FAILED: gcloud .*to-revisions.* did not end in 2 s")


# --- When putting back or cleaning up fails ---------------------------------------------------


def test_what_cannot_be_put_back_is_left_to_a_person_with_the_command(cloud, repository):
    cloud.breaks_at = {REGION: 50}
    cloud.disturb_all("to-revisions=hello-fcgi-00001-abc=100", "fail")
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {OLD: 50, NEW: 50}, "FAILED", "PERSON", tags={"candidate": NEW})
    cloud.change(disturbances={})
    check(cloud.run(told_to_run(ended)), cloud, 0, {OLD: 100})


def test_a_person_is_told_even_when_nothing_can_be_read(cloud, repository):
    cloud.breaks_at = {REGION: 50}
    cloud.disturb_all("services describe", "fail")
    cloud.change(
        disturbances={str(number): {"what": "fail", "when": "before"} for number in range(13, 30)}
    )
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {OLD: 50, NEW: 50}, tags={"candidate": NEW})
    cloud.change(disturbances={})
    check(cloud.run(told_to_run(ended)), cloud, 0, {OLD: 100})


def test_a_tag_that_cannot_be_taken_away_is_left_to_a_person(cloud, repository):
    cloud.disturb_all("--remove-tags", "fail")
    ended = cloud.rollout(repository.new)
    check(ended, cloud, 3, {NEW: 100}, "release:", "PERSON", tags={"candidate": NEW})
    cloud.change(disturbances={})
    check(cloud.run(told_to_run(ended)), cloud, 0, {NEW: 100})


def test_putting_back_is_tried_again(cloud, repository):
    cloud.breaks_at = {REGION: 10}
    cloud.disturb(len(GOOD[: GOOD.index("traffic 2=10 1=90")]) + 2, "fail")
    check_put_back(cloud.rollout(repository.new), cloud, "put_back: gcloud", "100 % again")
