"""A rollback: one decision for all regions, then one write in each that holds whatever is there."""

import time

import traffic
from gcloud import Failure, say
from rollback_target import Place, choose


def look(service):
    state = service.read()  # first, so that all of its revisions are in the list
    return Place(service.region, state, {one.name: one for one in service.revisions()})


def switch(service, target, left, identifier, clock):
    """Returns whether the target serves everything."""
    try:
        service.change(
            identifier,
            lambda state: traffic.go_back(state, target, left, clock.time(), identifier),
        )
    except Exception as failure:
        service.say(str(failure))
        return False
    service.say(f"{target} serves 100 %")
    return True


def roll_back(services, wanted, identifier, clock=time):
    places = [look(service) for service in services]  # all are looked at before one is changed
    left, targets = choose(places, wanted)
    failed = [
        service.region
        for service in services
        if not switch(service, targets[service.region], left, identifier, clock)
    ]
    if failed:
        raise Failure(f"not rolled back: {', '.join(failed)}. See make status, and try again")
    for service in services:
        try:
            service.restore_template()
        except Exception as error:
            service.say(f"WARNING: the template still has another image: {error}")
    say("The next merge to main is rolled out again. If its commit is still bad, revert it first")
