"""A rollback: one decision for all regions, then one write in each that holds whatever is there."""

import time

import traffic
from agreement import Moved, align, look
from gcloud import PATIENCE, Failure, say
from rollback_target import choose


class Overtaken(Failure):
    """Another one was released in a region since this rollback was there."""


class Rollback:
    """Decides anew until a first write meets what it has looked at. From then on it holds the
    decision, as long as no other has overtaken it where it has written."""

    def __init__(self, services, wanted, identifier, clock):
        # As rollouts take their turn, so that one that has begun meanwhile is met by the first write.
        self.services = sorted(services, key=lambda one: one.region)
        self.wanted, self.id, self.clock = wanted, identifier, clock
        self.written = []  # services

    def decide(self):
        self.places = [look(service) for service in self.services]
        self.left, self.targets = choose(self.places, self.wanted)

    def switch(self, service, seen):
        """Returns whether the target serves everything."""
        target = self.targets[service.region]

        def decide(state):
            if not self.written and not state.is_like(seen):
                raise Moved()
            self.require_written()
            return traffic.go_back(state, target, self.left, self.id)

        try:
            service.change(self.id, decide)
        except (Moved, Overtaken):
            raise
        except Exception as failure:
            service.say(str(failure))
            return False
        service.say(f"{target} serves 100 %")
        self.written.append(service)
        return True

    def require_written(self):
        """Looked at after the region was read that is to be written: whoever changes that one in
        between is met by the etag."""
        for service in self.written:
            state = service.read()
            serving = traffic.before(state) if state.candidate else state.serving
            if serving != self.targets[service.region]:
                raise Overtaken(f"{service.region}: overtaken, {state}. See make status")

    def run(self):
        deadline = self.clock.monotonic() + 2 * PATIENCE
        while True:
            self.decide()
            try:
                failed = [
                    place.region
                    for service, place in zip(self.services, self.places)
                    if not self.switch(service, place.state)
                ]
                break
            except Moved:
                if self.clock.monotonic() > deadline:
                    raise Failure("the traffic changes again and again. See make status, and try again")
            say("somebody has changed the traffic meanwhile; decides again")
        if failed:
            raise Failure(f"not rolled back: {', '.join(failed)}. See make status, and try again")

    def require_gone(self):
        """Fails if what was to be left serves on: the rollout that gave it the traffic is over then."""
        for place in self.places:
            target = self.targets[place.region]
            if target == place.state.candidate and not self.wanted:
                raise Failure(
                    f"{place.region}: {target} serves on, since there is nothing else: what has served before"
                    " was deleted. Build an earlier commit again, or merge a better one"
                )

    def end(self):
        """The last look, and what is told where it cannot be had."""
        if len(self.services) > 1:
            try:
                align(self.services, f"{self.id} align", self.clock)
            except Exception as failure:
                raise Failure(f"not sure to be rolled back: {failure}. See make status, and try again")


def roll_back(services, wanted, identifier, clock=time):
    rollback = Rollback(services, wanted, identifier, clock)
    try:
        rollback.run()
    except Overtaken:
        rollback.end()
        raise
    rollback.end()
    for service in services:
        service.restore_template()
    rollback.require_gone()
    say("The next merge to main is rolled out again. If its commit is still bad, revert it first")
