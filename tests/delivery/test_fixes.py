"""Each fix of the rollout, taken out again: the random histories have to find that.

    /usr/bin/python3 tests/delivery/test_fixes.py      prints for each the first seed that finds it
"""

import contextlib
import functools

import histories
import pytest
import rollback_target
import rollout_steps
import traffic
from cloud_run import Service
from gcloud import Failure

AT_MOST = 3000  # histories


@contextlib.contextmanager
def changed(place, **values):
    """Attributes of a module or class that are others for a while."""
    before = {name: getattr(place, name) for name in values}
    try:
        for name, value in values.items():
            setattr(place, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(place, name, value)


def overwrite(service, state, fields, patch=Service.patch):
    """A write that does not ask whether the service is as it was read, as gcloud's."""
    service.say("looks")
    version = service.api.service["version"]
    return patch(service, traffic.dataclasses.replace(state, etag=f'"{version}"'), fields)


def settle_anyway(state, candidate, serves, change, there=None):
    return traffic.Goal({serves: 100}, None, state.record.but(change=change))


PREVIOUS = rollback_target.previous


def previous_by_region(places):
    """Each region to what it has served before, whatever the others do."""
    decided = [PREVIOUS([place]) for place in places]
    return decided[0][0], {region: name for _, one in decided for region, name in one.items()}


def fail_when_late(rollout, wait=rollout_steps.Rollout.take_turn):
    """No second wait: whoever finds a tag when its revision is made gives up."""
    for region in rollout.regions:
        if region.service.read().candidate:
            raise Failure("another rollout has begun")
    return wait(rollout)


def previous_revision(places):
    """The revision before, be it of the same image."""
    lead = rollback_target.leading(places)
    left = lead.state.candidate or lead.state.serving
    target = rollback_target.last_served(lead, lambda name: True, left)
    if target is None:
        raise Failure("none")
    image = rollback_target.image_of(lead, target)
    targets = {place.region: rollback_target.find(place, image) for place in places}
    return rollback_target.image_of(lead, left), targets


def newest_of_commit(place, wanted):
    for name, revision in place.revisions.items():
        if name in wanted or (revision.commit or "-").startswith(tuple(wanted)):
            return name
    raise Failure("none")


def release_and_leave_the_tag(rollout):
    """Where a region was taken away its tag is somebody else's, too."""
    ends = []
    for region in rollout.regions:
        ends.append(rollout.persist(region, rollout_steps.Region.release))
        if ends[-1] == "lost":
            return ends + [rollout.persist(other, rollout_steps.Region.retract)
                           for other in rollout.regions if other is not region]  # fmt: skip
    return ends


FIXES = {
    "1 conditional writes": (Service, {"patch": overwrite}),
    "2 no remedy overrules a rollback": (traffic, {"settle": settle_anyway}),
    "3 one target for all regions": (rollback_target, {"previous": previous_by_region}),
    "4 waiting for each holder": (rollout_steps.Rollout, {"take_turn": fail_when_late}),
    "5 twins": (rollback_target, {"previous": previous_revision}),
    "6 only what has served": (rollback_target, {"named": newest_of_commit}),
    "7 only what is there": (Service, {"there": lambda service, state: None}),
    "8 no tag behind gcloud": (rollout_steps.Rollout, {"release": release_and_leave_the_tag}),
    "9 what was called off": (rollout_steps.Region, {"refuse_called_off": lambda region, state: None}),
}


@functools.lru_cache(maxsize=None)
def find(fix):
    """The first seed of a history that goes wrong without the fix, and what is wrong with it."""
    place, values = FIXES[fix]
    with changed(place, **values):
        for seed in range(AT_MOST):
            violations = histories.play(seed).violations
            if violations:
                return seed, violations[0]
    return None


@pytest.mark.parametrize("fix", FIXES)
def test_without_a_fix_a_history_goes_wrong_which_does_not_with_it(fix):
    found = find(fix)
    assert found, f"{AT_MOST} histories have not missed the fix {fix}"
    assert not histories.play(found[0]).violations


if __name__ == "__main__":
    for fix in FIXES:
        print(fix, *(find(fix) or ["not found"]), sep=": ", flush=True)
