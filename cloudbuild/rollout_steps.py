"""A rollout, step by step: docs/rollout.md says which steps there are and what ends each.

Decisions are in traffic.py, what changes Cloud Run is in cloud_run.py; this is the order of it.
"""

import time
import traceback

import commits
import traffic
from agreement import align
from check import Wrong
from gcloud import PATIENCE, PAUSE, Failure, say
from traffic import Busy, Lost

SHARES = (10, 50, 100)
JUDGED = 50  # the share at which both revisions get as much, so that they can be compared
GRACE = 5 * PATIENCE  # what a rollout whose time is up may take to put back
ATTEMPTS = 3  # at deploying, at putting back and at releasing
NOT_ROLLED_OUT, PERSON_HAS_TO_ACT = 1, 3


class Stopped(BaseException):
    """A signal came. Not an Exception: no handler of those is to catch it."""


class Region:
    """The rollout in one region. Its methods are in the order in which they are called."""

    def __init__(self, service, rollout):
        self.service, self.rollout, self.name = service, rollout, service.region
        self.first = None  # the name of what served when the rollout began
        self.called_off = ()  # what had been gone back from by then
        self.serving = None  # the one that its commit was held against, and that is put back
        self.deploying, self.deployed, self.candidate = False, None, None
        self.written = self.released = None  # the last Goal that was seen; the one of release
        self.taking = False  # whether the tag was asked for
        self.turns = 0  # how often it was asked for
        self.touched = False  # whether traffic was changed, its own or a killed one's

    def say(self, text):
        say(f"{self.name}: {text}")

    def change(self, name, decide):
        """One change of the traffic, under a name that no other one has. Returns what was written
        and the State in which it is seen."""
        what, self.touched = f"{self.rollout.id} {self.turns} {name}", True
        return self.service.change(what, lambda state: decide(state, what))

    def begin(self):
        state = self.service.read()
        self.first, self.called_off = traffic.before(state), state.record.called_off

    def look(self):
        """Reads what serves, and refuses what should not be rolled out over that. Returns whether
        it is this rollout's turn."""
        state = self.service.read()
        if state.candidate:
            return False
        if not state.shares:
            raise Failure(f"{self.name}: nothing serves, so there is nothing to go back to")
        if state.shares != {state.serving: 100}:
            raise Failure(
                f"{self.name}: a person has split the traffic: {state}. Decide which one serves"
                " first: make rollback TO=COMMIT"
            )
        if self.serving is None or self.serving.name != state.serving:
            self.serving = self.service.revision(state.serving)
            commit = self.serving.commit or "something without a commit"
            self.say(f"{self.serving.name} serves {commit}")
        self.refuse_called_off(state)
        self.rollout.history.refuse_older(self.rollout.commit, self.serving)
        return True

    def refuse_called_off(self, state):
        """Fails when somebody has gone back from this very image while the rollout waited. Not by the
        time: that of whoever went back is another clock's."""
        if any(
            image == self.rollout.image and [image, who] not in self.called_off
            for image, who in state.record.called_off
        ):
            raise Failure(
                f"somebody has gone back from {self.rollout.image} since this rollout began. To try it"
                " again, run the build again"
            )

    def serves_by_now(self):
        """Whether a twin, a rollout of the same image, has ended while this one waited."""
        return self.serving.name != self.first and (
            (self.serving.commit, self.serving.image)
            == (self.rollout.commit, self.rollout.image)
        )

    def deploy(self):
        """Makes the new revision, which serves nobody, and finds it by a label that is only its."""
        self.deploying = True
        committed = self.rollout.history.committed(self.rollout.commit) or 0  # not what the template has of another
        labels = {"commit": self.rollout.commit, "rollout": self.rollout.id, "committed": committed}
        for attempt in range(ATTEMPTS):
            reason = None
            try:
                self.service.deploy(self.rollout.image, labels)
            except Failure as failure:
                reason = failure
            mine = [one for one in self.service.revisions() if one.rollout == self.rollout.id]
            if mine or not reason:
                break
            self.say(f"once more: {reason}")
            self.rollout.clock.sleep(PAUSE)
        if not mine:
            raise reason or Failure(f"{self.name}: the new revision is not in the list")
        self.deployed = mine[0]
        if not self.deployed.ready:
            raise Failure(f"{self.name}: {self.deployed.name} is not ready ({reason})")

    def take(self):
        """Gives the new revision an address of its own, which is the turn at the same time."""
        self.taking, self.turns = True, self.turns + 1
        self.candidate = self.deployed.name
        until = self.rollout.clock.time() + self.rollout.limit

        def decide(state, what):
            self.refuse_called_off(state)  # what serves may be what served before that
            return traffic.take(state, self.serving.name, self.candidate, what, until)

        self.written, self.state = self.change("take", decide)
        origin = self.rollout.candidate_origin
        self.url = origin or self.state.candidate_url
        self.public_url = origin or self.state.url

    def require(self):
        """Fails unless what is there is still what this rollout has written last."""
        traffic.require(self.service.read(), self.written)

    def give(self, share):
        """More traffic, as long as no region was taken away from this rollout. The others are
        looked at after this one was read: whoever changes this one in between is met by the etag."""

        def decide(state, what):
            goal = traffic.give(state, self.written, share, what)
            self.rollout.require_others(self)
            return goal

        self.written, self.state = self.change(f"give {share}", decide)
        self.say(f"{self.candidate} has {share} % of the traffic")

    def shift(self):
        """Gives the candidate more and more of the traffic."""
        self.rollout.soon(lambda: self.rollout.checks.candidate(self))
        self.say(f"{self.candidate} answers as it should")
        gate = self.rollout.gate
        for share in SHARES:
            self.give(share)
            begun, judged = self.rollout.clock.time(), gate if share == JUDGED else None
            probes = self.watch(max(self.rollout.soak, judged.seconds(self) if judged else 0))
            if judged:
                judged.judge(self, begun, probes)

    def watch(self, seconds):
        """Checks again and again for as long as a share lasts. One wrong answer is one too many.
        Returns when the candidate was asked, for each time."""
        deadline, asked = self.rollout.clock.monotonic() + seconds, []
        while self.rollout.clock.monotonic() < deadline:
            self.rollout.clock.sleep(seconds / 12)
            asked += [self.rollout.clock.time()] * self.rollout.checks.candidate(self)
        return asked

    def release(self):
        """Takes the tag away from the revision that serves everything."""
        try:
            self.released = self.change(
                "release", lambda state, what: traffic.release(state, self.written, what)
            )[0]
        except Lost:
            if not traffic.has_passed(self.service.read(), self.candidate):
                raise
            return self.say(f"{self.candidate} has passed; the next rollout has its turn already")
        self.say(f"{self.candidate} serves 100 %")

    def put_back(self):
        """Lets what served before serve everything, as long as the turn is this rollout's."""
        if not self.taking:
            return self.say("traffic was not touched")
        candidate, unsure = self.candidate, self.written is None

        def decide(state, what):
            goal = traffic.put_back(state, candidate, what, unsure, self.service.there(state))
            if candidate in goal.shares:
                raise Failure(f"there is nothing left but {candidate}: what has served was deleted")
            return goal

        _, state = self.change("put back", decide)
        self.taking, self.written = False, None
        self.say(f"{state.serving} serves 100 % again")

    def give_way(self):
        """Takes back a tag that was asked for, also one of which no answer has told."""
        try:
            if self.taking:
                self.put_back()
        except Lost:
            self.taking, self.written = False, None

    def retract(self):
        """Takes a release back, or what there is to put back: another region was taken away."""
        if not self.released:
            return self.put_back()
        self.change(
            "retract",
            lambda state, what: traffic.retract(state, self.released, self.serving.name, what),
        )
        self.say(f"{self.serving.name} serves 100 % again")

    def remedy(self, serves):
        """The command that brings about what release or put_back could not."""
        return (
            f"{self.rollout.settle()} --regions={self.name} --candidate={self.candidate} --serves={serves}"
        )


class Rollout:
    """The rollout in all regions. They have their turn together: the tag is taken in each before
    traffic is touched in one, always in the same order, so that two never wait for each other."""

    soak, candidate_origin, gate = 60, "", None

    def __init__(self, identifier, image, commit, limit, checks, clock=time, history=commits):
        self.id, self.image, self.commit = identifier, image, commit
        self.checks, self.clock, self.limit = checks, clock, limit
        self.history, self.regions = history, []

    def add(self, service):
        self.regions.append(Region(service, self))

    def settle(self):
        service = self.regions[0].service
        return f"cloudbuild/settle --project={service.project} --service={service.name}"

    def require_others(self, region):
        for other in self.regions:
            if other is not region:
                other.require()

    def soon(self, check):
        """Repeats a check until it succeeds: addresses and shares are not everywhere at once."""
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            try:
                return check()
            except Wrong:
                if self.clock.monotonic() > deadline:
                    raise
            self.clock.sleep(PAUSE)

    def wait_for_turn(self):
        """Waits until no rollout has the tag. Returns whether there is still something to do."""
        while True:
            for region in self.regions:
                self.wait_for_holder(region)
            if all([region.look() for region in self.regions]):
                return not all(region.serves_by_now() for region in self.regions)

    def wait_for_holder(self, region):
        """Waits as long as somebody has the tag, each of them for as long as they may take. One
        whose time is up must have been killed; what it has left is put back."""
        holder = None
        state = region.service.read()
        while state.candidate:
            if holder != state.candidate:
                holder, sight = state.candidate, self.clock.time()
                region.say(f"{holder} is being rolled out; waiting until that is done")
            if self.clock.time() > traffic.until(state, sight + self.limit) + GRACE:
                self.tidy(region, holder)
            self.clock.sleep(5 * PAUSE)
            state = region.service.read()

    def tidy(self, region, holder):
        region.say(f"the rollout of {holder} was killed")
        try:
            region.change(
                f"tidy {holder}",
                lambda state, what: traffic.put_back(
                    state, holder, what, there=region.service.there(state)
                ),
            )
        except Lost as reason:
            region.say(f"it was not: {reason}")

    def take_turn(self):
        """Returns whether there is still something to do when the turn has come."""
        while self.wait_for_turn():
            try:
                for region in sorted(self.regions, key=lambda one: one.name):
                    region.take()
                return True
            except Busy as reason:
                say(f"another rollout was quicker: {reason}")
            for region in self.regions:
                region.give_way()
        return False

    def run(self, signals):
        """Returns whether a candidate is to be released; without one, its twin serves already."""
        for region in self.regions:
            region.begin()
        if not self.wait_for_turn():
            return False
        for region in self.regions:
            region.deploy()
        if self.gate:
            self.limit += self.gate.prepare(self.regions)
        if not self.take_turn():
            return False
        signals.limit(self.limit)
        for region in self.regions:
            region.shift()
        for region in self.regions:
            region.require()
            self.soon(lambda: self.checks.public(region))
        return True

    # --- The end --------------------------------------------------------------------------------

    def attempt(self, signals):
        """Returns whether there is something to release, and why not. From then on no signal
        interrupts."""
        passed, reason = False, None
        try:
            signals.listen()
            try:
                passed = self.run(signals)
            except (Failure, Wrong) as failure:
                reason = failure
            except Exception as error:  # a mistake in here: what was changed is put back all the same
                traceback.print_exc()
                reason = repr(error)
            signals.ignore()
        except Stopped as stopped:
            passed, reason = False, reason or stopped
        return passed, reason

    def conclude(self, signals):
        """The whole rollout. Returns the exit status."""
        passed, reason = self.attempt(signals)
        if passed:
            ends = self.release()
        elif reason:
            say(f"FAILED: {reason}")
            ends = [self.persist(region, Region.put_back) for region in reversed(self.regions)]
            say("make status shows what serves")
        else:
            say("another rollout of the same image has brought it to all the traffic")
            ends = []
        agreed = self.agree()
        for region in self.regions:
            if region.deploying:
                region.service.restore_template()
        if "failed" in ends or agreed == "failed":
            return PERSON_HAS_TO_ACT
        return NOT_ROLLED_OUT if reason or "lost" in (*ends, agreed) else 0

    def agree(self):
        """The last look at all regions, behind the last write. Says "lost" where this candidate was
        released and does not serve."""
        if len(self.regions) == 1 or not any(region.touched for region in self.regions):
            return "done"
        services = [region.service for region in self.regions]
        for _ in range(ATTEMPTS):
            try:
                align(services, f"{self.id} align", self.clock)
                lost = any(
                    region.released and region.candidate in region.service.read().record.left
                    for region in self.regions
                )
                return "lost" if lost else "done"
            except Exception as error:
                say(f"the last look: {error}")
                self.clock.sleep(PAUSE)
        names = " ".join(region.name for region in self.regions)
        say(f'A PERSON HAS TO ACT. Run: {self.settle()} --regions="{names}"')
        return "failed"

    def release(self):
        """All regions, or none: where one was taken away, the others are given back as well. The tag
        is taken away also there, if it is what is left: gcloud leaves it where it is."""
        ends = []
        for region in self.regions:
            ends.append(self.persist(region, Region.release))
            if ends[-1] == "lost":
                undo = [Region.put_back if one is region else Region.retract for one in self.regions]
                return ends + list(map(self.persist, self.regions, undo))
        return ends

    def persist(self, region, action):
        """Tries an action of a region a few times; says what to do when it cannot be done. What
        somebody else has decided meanwhile is left."""
        for _ in range(ATTEMPTS):
            try:
                action(region)
                return "done"
            except Lost as reason:
                region.say(str(reason))
                return "lost"
            except Exception as error:
                region.say(f"{action.__name__}: {error}")
                self.clock.sleep(PAUSE)
        serves = region.candidate if action is Region.release else region.serving.name
        region.say(f"A PERSON HAS TO ACT. Run: {region.remedy(serves)}")
        return "failed"
