"""Random histories of rollouts, a rollback, a kill, signals and calls that fail, each from a seed.

The scripts' own modules run, over Cloud Run in memory (run_model.py) and a clock of their own. An
actor is a thread; only one runs, and at each call of the API, of gcloud and of the service the one
goes on whose time has come. So a seed is one history, again and again:

    /usr/bin/python3 tests/delivery/histories.py SEED           says what happened
    /usr/bin/python3 tests/delivery/histories.py FIRST COUNT    looks for violations
"""

import collections
import pathlib
import random
import shlex
import sys
import threading
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "cloudbuild"))

import agreement  # noqa: E402
import check  # noqa: E402
import cloud_run  # noqa: E402
import google_api  # noqa: E402
import rollback_steps  # noqa: E402
import rollout_steps  # noqa: E402
import run_model  # noqa: E402
import traffic  # noqa: E402
from gcloud import Failure  # noqa: E402

PROJECT, SERVICE = "a-project", "hello-fcgi"
REGIONS = ("europe-west1", "us-central1")
LIMIT = 600
BACK = "back"  # what the rollback is called in the record


def commit(number):
    return f"{number:x}" * 40


def image_of(name):
    return f"registry/hello@sha256:{name}"


def commit_in(image):
    """The commit of an image."""
    return commit(int(image.rpartition(":")[2])) if image else None


class Killed(BaseException):
    """SIGKILL: nothing of the actor runs any more, so all of its calls raise it again."""


class History:
    """Which commit is older: the smaller number."""

    @staticmethod
    def committed(_):
        return None

    @staticmethod
    def refuse_older(mine, serving):
        if serving.commit and mine < serving.commit:
            raise Failure(f"{mine[:2]} is older than {serving.commit[:2]}")


# --- Taking turns -----------------------------------------------------------------------------


class Actor:
    def __init__(self, world, name, start, function):
        self.world, self.name, self.wake, self.function = world, name, start, function
        self.start, self.go = start, threading.Semaphore(0)
        self.result, self.lines, self.killed, self.calls = None, [], False, 0
        self.kill_at = self.stop_at = None  # the number of a call
        self.skew = 0  # seconds that its clock is fast
        self.listening = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        self.go.acquire()
        try:
            self.result = self.function(self)
        except Killed:
            self.result = "killed"
        except Failure as failure:
            self.result = f"failed: {failure}"
        except BaseException:
            self.result = f"broken: {traceback.format_exc()}"
        self.world.finish(self)

    # The clock, as the scripts see it.

    def time(self):
        return self.world.now + self.skew

    def monotonic(self):
        return self.world.now

    def sleep(self, seconds):
        self.pause(max(seconds, 0.001))

    def pause(self, seconds):
        if self.killed:
            raise Killed()
        self.wake = self.world.now + seconds
        self.world.switch(self)
        if self.killed:
            raise Killed()

    # The signals of a rollout.

    def listen(self):
        self.listening = True

    def ignore(self):
        self.listening, self.deadline = False, None

    deadline = None

    def limit(self, seconds):
        self.deadline = self.world.now + seconds

    def call(self, pace=1):
        """One call begins: the moment for a kill or a signal."""
        self.calls += 1
        if self.calls == self.kill_at:
            self.world.note(self, "KILLED")
            self.killed = True
        self.pause(self.world.latency() * pace)
        if self.listening and (
            self.calls == self.stop_at or (self.deadline and self.world.now > self.deadline)
        ):
            self.ignore()
            raise rollout_steps.Stopped("a signal came")


class World:
    def __init__(self, seed, regions):
        self.random, self.now, self.regions = random.Random(seed), 1000.0, regions
        self.actors, self.waiting, self.current = [], [], None
        self.pending, self.log, self.violations = [], [], []
        self.failing, self.lag, self.slow = 0.0, 0, 0.02
        self.outage = (0, 0)  # from when to when no write is done
        self.dark = (0, 0, None)  # from when to when a region answers nothing but 503
        self.pace = dict.fromkeys(regions, 1)  # how much slower than usual a region's calls are
        self.released = []  # commits in the order in which they had passed in the last region
        self.patches = []  # what each write did to the shares
        self.done = threading.Semaphore(0)
        self.services = {
            region: run_model.new_service(
                SERVICE, PROJECT, region, "abc", image_of("0"), {"commit": commit(0)}
            )
            for region in regions
        }

    def violation(self, text):
        self.violations.append(text)
        self.log.append(f"VIOLATION: {text}")

    def note(self, actor, text):
        self.log.append(f"{self.now:9.1f} {actor.name}: {text}")
        actor.lines.append(text)

    def latency(self):
        if self.random.random() < self.slow:
            return self.random.uniform(10, 900)
        return self.random.uniform(0.05, 3)

    def act(self, name, start, function):
        actor = Actor(self, name, self.now + start, function)
        self.actors.append(actor)
        self.waiting.append(actor)
        return actor

    def run(self):
        """Lets all actors run until they have ended."""
        for actor in self.waiting:
            actor.thread.start()
        if self.waiting:
            self.next().go.release()
            self.done.acquire()

    def next(self):
        actor = min(self.waiting, key=lambda one: one.wake)
        while self.pending and min(self.pending)[0] <= actor.wake:
            first = min(self.pending)
            self.pending.remove(first)
            self.now = max(self.now, first[0])
            first[2]()
        self.now, self.current = max(self.now, actor.wake), actor
        return actor

    def switch(self, actor):
        other = self.next()
        if other is not actor:
            other.go.release()
            actor.go.acquire()

    def finish(self, actor):
        self.waiting.remove(actor)
        if self.waiting:
            self.next().go.release()
        else:
            self.done.release()

    def serving(self, region):
        """The commit at 100 %, None where there is no such one."""
        service = self.services[region]
        found = run_model.shares(service)
        [name] = found if len(found) == 1 else [None]
        return name and service["revisions"][name]["labels"].get("commit")

    def settled(self, region):
        service = self.services[region]
        return len(run_model.shares(service)) == 1 and not run_model.tags(service)


# --- The API ----------------------------------------------------------------------------------


class Api:
    """In the place of google_api.Api."""

    def __init__(self, actor, region):
        self.actor, self.world, self.service = actor, actor.world, actor.world.services[region]
        self.region = region

    def call(self, method, path, body=None, **query):
        world, fate = self.world, None
        self.actor.call(world.pace[self.region])
        if world.random.random() < world.failing:
            fate = world.random.choice(["before", "after", "late"] if body else ["before"])
        if body and world.outage[0] < world.now < world.outage[1]:
            fate = "before"
        if self.region == world.dark[2] and world.dark[0] < world.now < world.dark[1]:
            fate = "before"
        if fate == "before":
            raise google_api.Unanswered("503")
        if fate == "late":
            when = world.now + world.random.uniform(0, 20)
            late = (when, len(world.log) + world.random.random(), lambda: self.try_late(body, query))
            world.pending.append(late)
            raise google_api.Unanswered("timeout")
        try:
            answer = self.answer(path, body, query)
        except run_model.Refused as refused:
            raise google_api.failure(refused.code, f"{refused.body}")
        self.actor.pause(world.latency() / 2)  # the answer is on its way
        if fate == "after":
            raise google_api.Unanswered("reset")
        return answer

    def answer(self, path, body, query):
        rest = path.partition(f"services/{SERVICE}")[2].strip("/")
        if body:
            return self.patch(body, query["updateMask"])
        if rest:
            return run_model.get_below(
                self.service, rest, query.get("pageSize"), query.get("pageToken")
            )
        return run_model.get(self.service)

    def try_late(self, body, query):
        try:
            self.patch(body, query["updateMask"])
        except run_model.Refused:
            pass

    def patch(self, body, mask):
        world, service = self.world, self.service
        old, tagged = run_model.shares(service), run_model.tags(service)
        before, answer = run_model.patch(service, body, mask, world.now)
        new = run_model.shares(service)
        service["late"] = {"looks": world.random.randint(0, world.lag), "shown": before}
        passed = tagged.get("candidate")
        if new == {passed: 100} and not run_model.tags(service):
            labels = service["revisions"][passed]["labels"]
            if all(world.serving(one) == labels["commit"] for one in world.regions):
                world.released.append(labels["commit"])
        if sum(new.values()) != 100:
            world.violation(f"{self.region}: {new} is not 100 %")
        if "traffic" in mask:
            world.log.append(f"{world.now:9.1f} {self.actor.name}: {self.region}: {old}{tagged} ->"
                             f" {new}{run_model.tags(service)}")  # fmt: skip
            world.patches.append(
                Patch(world.now, self.actor, self.region, old, new, tagged, run_model.tags(service))
            )
        return answer


class Patch(collections.namedtuple("Patch", "when actor region old new tagged tags")):
    @property
    def takes(self):
        """Whether this was the turn."""
        return "candidate" in self.tags and "candidate" not in self.tagged


# What a person has set with gcloud, and what had the tag then.
Hand = collections.namedtuple("Hand", "when region chosen tagged")


class Service(cloud_run.Service):
    """The scripts' own, but for gcloud."""

    def __init__(self, actor, region):
        super().__init__(SERVICE, region, PROJECT, Api(actor, region), actor)
        self.actor, self.stored = actor, actor.world.services[region]

    def deploy(self, image, labels):
        """gcloud reads the service, and its write fails if that is not what is there any more."""
        self.actor.call()
        version, world = self.stored["version"], self.actor.world
        fails = world.random.random() < world.failing
        self.actor.pause(world.latency())
        if version != self.stored["version"] or (fails and world.random.random() < 0.5):
            raise Failure("gcloud run deploy failed with status 1")
        run_model.deploy(self.stored, image, labels, world.now)
        self.actor.pause(world.random.uniform(5, 60))
        if fails:
            raise Failure("gcloud run deploy failed with status 1")


class Questions:
    """The candidate answers, as long as its commit is not bad at the share that it has."""

    def __init__(self, actor, breaks_at):
        self.actor, self.breaks_at = actor, breaks_at

    def candidate(self, region):
        self.actor.call()
        service = region.service.stored
        share = run_model.shares(service).get(region.candidate, 0)
        if run_model.tags(service).get("candidate") != region.candidate:
            raise check.Wrong("404")
        if share >= self.breaks_at:
            raise check.Wrong("503")
        return 1

    def public(self, region):
        self.actor.call()
        if self.actor.world.serving(region.name) != region.rollout.commit:
            raise check.Wrong("another commit")


# --- Actors -----------------------------------------------------------------------------------


class Scenario:
    """What a seed means: who begins when, and what goes wrong."""

    def __init__(self, seed):
        chance = random.Random(f"scenario {seed}")
        self.world = World(seed, REGIONS[: chance.choice([1, 1, 2])])
        self.world.failing = chance.choice([0, 0, 0.01, 0.05, 0.15])
        self.world.lag = chance.choice([0, 0, 3])
        self.world.slow = chance.choice([0, 0, 0.01])
        if chance.random() < 0.2:
            begin = self.world.now + chance.uniform(0, 700)
            self.world.outage = begin, begin + chance.uniform(100, 2000)
        self.chance, self.rollouts, self.rollback = chance, {}, None
        self.bad = {number: chance.choice([101, 101, 101, 0, 10, 50, 100]) for number in (3, 4, 5)}
        self.prepare()
        for number in range(chance.choice([1, 2, 2, 2, 3])):
            self.add_rollout(number, chance.choice([3, 4, 5]), chance.uniform(0, 400))
        self.wanted = ()
        if chance.random() < 0.6:
            self.wanted = chance.choice([(), (), (commit(1),), (commit(0)[:8],), (commit(2),)])
            self.rollback = self.world.act("rollback", chance.uniform(0, 900), self.roll_back)
        some = list(self.world.actors)
        if chance.random() < 0.3:
            chance.choice(some).kill_at = chance.randint(1, 60)
        if chance.random() < 0.2:
            chance.choice(some).stop_at = chance.randint(1, 100)
        self.hand, self.cleaned = None, False
        self.add_hazards(random.Random(f"hazards {seed}"))

    def add_hazards(self, chance):
        """What is nobody's fault here: clocks, a slow region, one that is gone, persons with gcloud."""
        world = self.world
        if chance.random() < 0.2:
            for actor in world.actors:
                actor.skew = chance.uniform(-120, 120)
        if chance.random() < 0.2:
            world.pace[chance.choice(world.regions)] = chance.choice([3, 10])
        if chance.random() < 0.15:
            begin = world.now + chance.uniform(0, 900)
            world.dark = begin, begin + chance.uniform(30, 900), chance.choice(world.regions)
        if chance.random() < 0.15:
            world.act("cleaner", chance.uniform(0, 1200), lambda actor: self.clean(actor, chance))
        if chance.random() < 0.15:
            world.act("hand", chance.uniform(0, 1200), lambda actor: self.by_hand(actor, chance))

    def clean(self, actor, chance):
        """A person deletes revisions. Cloud Run refuses those that may get requests, and the newest."""
        for region in self.world.regions:
            service = self.world.services[region]
            needed = {*run_model.shares(service), *run_model.tags(service).values()}
            needed |= {service["latest_ready"], service["latest_created"]}
            for name in [name for name in service["revisions"] if name not in needed]:
                if chance.random() < 0.5:
                    service["revisions"][name]["deleted"] = True
                    self.world.note(actor, f"{region}: deletes {name}")
        self.cleaned = True

    def by_hand(self, actor, chance):
        """A person's `gcloud run services update-traffic`: not conditional, and in no record."""
        region = chance.choice(self.world.regions)
        service = self.world.services[region]
        names = [name for name, one in run_model.there(service).items() if one["ready"]]
        chosen, tagged = chance.choice(names), run_model.tags(service)
        if run_model.shares(service) == {chosen: 100}:
            return
        service["traffic"] = run_model.targets({chosen: 100}, tagged)
        service["version"] += 1
        self.world.note(actor, f"{region}: {chosen} 100 % by hand, {tagged}")
        self.hand = Hand(self.world.now, region, chosen, tagged.get("candidate"))

    def prepare(self):
        """What was before: 0 and 1 have served, 1 perhaps twice; 2 was tried and did not pass, and
        so was 1 once more."""
        world, twice = self.world, self.chance.random() < 0.5
        for service in world.services.values():
            first = service["latest_created"]
            names = [
                run_model.deploy(service, image_of("1"), {"commit": commit(1)}, number)
                for number in range(1, 3 if twice else 2)
            ]
            never = [
                run_model.deploy(service, image_of("2"), {"commit": commit(2)}, 4),
                run_model.deploy(service, image_of("0"), {"commit": commit(0)}, 5),
                run_model.deploy(service, image_of("1"), {"commit": commit(1)}, 6),
            ]
            assert names and never
            service["traffic"] = run_model.targets({names[-1]: 100}, {})
            service["annotations"]["delivery"] = str(traffic.Record(served=(first, *names)))
        world.released = [commit(0), commit(1)]

    def services(self, actor):
        return [Service(actor, region) for region in self.world.regions]

    def add_rollout(self, name, number, start, breaks_at=None):
        def roll_out(actor):
            identifier = f"id{name}"
            checks = Questions(actor, self.bad[number] if breaks_at is None else breaks_at)
            image = image_of(str(number))
            rollout = rollout_steps.Rollout(
                identifier, image, commit(number), LIMIT, checks, actor, History
            )
            for service in self.services(actor):
                rollout.add(service)
            actor.rollout = rollout
            status = rollout.conclude(actor)
            self.world.note(actor, f"exit {status}")
            return status

        actor = self.world.act(f"rollout{name}-{number}", start, roll_out)
        self.rollouts[actor] = number
        return actor

    def roll_back(self, actor):
        decided = rollback_steps.choose

        def choose(places, wanted=()):
            actor.truth = list(self.world.released)
            actor.called_off = any(place.state.candidate for place in places)
            actor.plan = decided(places, wanted)
            actor.stays = [place.region for place in places if place.state.candidate == actor.plan[1][place.region]]
            self.world.note(actor, f"decides {actor.plan}")
            return actor.plan

        rollback_steps.choose, actor.plan = choose, None
        try:
            services = self.services(actor)
            rollback_steps.roll_back(services, self.wanted, BACK, actor)
        finally:
            rollback_steps.choose = decided
        return 0

    def settle(self, line):
        """Runs the command that a person is told to run."""
        words = shlex.split(line)
        options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))

        def run(actor):
            services = [Service(actor, region) for region in options["regions"].split()]
            if "candidate" not in options:
                agreement.align(services, f"settle {actor.name}", actor)
                return 0
            [service] = services
            try:
                service.change(
                    f"settle {actor.name}",
                    lambda state: traffic.settle(
                        state,
                        options["candidate"],
                        options["serves"],
                        "settle",
                        service.there(state),
                    ),
                )
            except traffic.Lost as reason:
                self.world.note(actor, str(reason))
            return 0

        self.world.act(f"person {line[-30:]}", 0, run)
        self.world.run()

    # --- What has to hold -----------------------------------------------------------------------

    def run(self):
        world = self.world
        world.run()
        actors = list(world.actors)
        for actor in actors:
            if str(actor.result).startswith("broken"):
                world.violation(f"{actor.name}: {actor.result}")
        self.check_rollback()
        self.check_hand()
        quiet = not any(actor.killed for actor in actors)
        world.failing = world.lag = world.slow = 0
        world.outage, world.dark, world.pace = (0, 0), (0, 0, None), dict.fromkeys(world.regions, 1)
        for service in world.services.values():
            service["late"]["looks"] = 0  # whoever is called comes minutes later
        while world.pending:  # what was on its way lands, or conflicts
            when, _, land = min(world.pending)
            world.pending.remove(min(world.pending))
            world.now = max(world.now, when)
            land()
        if quiet:
            self.check_ends(actors)
        else:
            self.check_repair()
        return world.violations

    def told(self, actors):
        """The commands that persons are told to run."""
        return [
            line.partition("Run: ")[2]
            for actor in actors
            for line in actor.lines
            if "A PERSON HAS TO ACT" in line
        ]

    def check_ends(self, actors):
        world = self.world
        told = self.told(actors)
        unsettled = [region for region in world.regions if not world.settled(region)]
        if unsettled and not told:
            world.violation(f"nobody is told of {unsettled}")
        first = told and self.chance.random() < 0.5 and self.roll_back_first()
        for line in told:
            self.settle(line)
        serve = {world.serving(region) for region in world.regions}
        if first and serve != first:
            world.violation(f"what a person was told to run left {serve}, after a rollback to {first}")
        for region in world.regions:
            if not world.settled(region):
                world.violation(f"{region} is not settled: {run_model.shares(world.services[region])}"
                                f" {run_model.tags(world.services[region])}")  # fmt: skip
        failed = self.rollback and "try again" in str(self.rollback.result)
        if not told and not failed:
            serve = {world.serving(region) for region in world.regions}
            if len(serve) != 1 and not self.hand:
                world.violation(f"the regions serve {serve}")
            if not self.hand and not self.cleaned:  # of which nothing is newer than what is left
                self.check_newest(serve)
            self.check_template()

    def roll_back_first(self):
        """A rollback before a person does what a rollout has told. Returns the commits that serve."""
        self.wanted = ()
        actor = self.world.act("rollback first", 0, self.roll_back)
        self.world.run()
        return actor.result == 0 and {self.world.serving(region) for region in self.world.regions}

    def check_newest(self, serve):
        """Without a rollback the newest of the commits that say that they serve does."""
        world = self.world
        good = [number for actor, number in self.rollouts.items() if actor.result == 0]
        if self.rollback is None and serve != {commit(max(good, default=1))}:
            world.violation(f"{serve} serves, and {good} said that they do")
        calm = self.rollback is None and not any(actor.stop_at for actor in world.actors)
        newest = max(self.rollouts.values())
        # One that waits long enough behind a slow one is not slow itself.
        if calm and self.bad[newest] > 100 and not self.was_failing and not self.was_slow:
            for actor, number in self.rollouts.items():
                if number == newest and actor.result != 0:
                    world.violation(f"{actor.name}, the newest and good, ended with {actor.result}")

    def check_template(self):
        """What Terraform makes a revision of next is what serves."""
        if self.hand or any("WARNING" in line for actor in self.world.actors for line in actor.lines):
            return
        for region, service in self.world.services.items():
            [name] = run_model.shares(service)
            image, serves = service["template"]["image"], service["revisions"][name]["image"]
            touched = any(actor.calls > 6 for actor in self.rollouts)
            if image != serves and touched and not self.was_failing:
                self.world.violation(f"{region}: the template has {image}, and {serves} serves")

    def check_rollback(self):
        actor, world = self.rollback, self.world
        if actor is None or actor.plan is None:
            return
        left, targets = actor.plan
        for region, target in targets.items():
            labels = world.services[region]["revisions"][target]["labels"]
            if region in actor.stays and not self.wanted:
                if actor.result == 0 or not self.cleaned:
                    world.violation(f"goes back to what it leaves, {labels}, and ends with {actor.result}")
                continue
            if self.wanted and not any(labels["commit"].startswith(word) for word in self.wanted):
                world.violation(f"goes back to {target}, of {labels}, and {self.wanted} was asked for")
            if labels["commit"] not in actor.truth and not self.hand:
                world.violation(f"goes back to {labels}, which has never served: {actor.truth}")
            if target not in self.passed(region) and not self.hand:
                world.violation(f"goes back to {target}, which has never served")
            if not self.wanted and not self.hand and not self.cleaned:
                self.check_previous(commit_in(left), labels["commit"], actor)
        commits = {world.services[one]["revisions"][name]["labels"]["commit"]
                   for one, name in targets.items()}  # fmt: skip
        first = next((one for one in world.patches if one.actor is actor), None)
        if first and "candidate" in first.tagged and not self.wanted and not actor.called_off:
            world.violation(f"goes back from what served beside {first.tagged}: one too far")
        if len(commits) != 1:
            world.violation(f"goes back to {commits}")
        self.check_overruled(actor, left)
        self.check_arrived(actor, commits)

    def passed(self, region):
        """The revisions that have served when all has ended, whoever may have removed them."""
        served = traffic.Record.of(self.world.services[region]["annotations"]).served
        return set(served)

    def check_previous(self, left, to, actor):
        """To what served before the commit that is left, and another one."""
        if actor.called_off:
            return  # to what serves beside the candidate, be it of the same commit
        truth = actor.truth
        before = truth[: len(truth) - 1 - truth[::-1].index(left)] if left in truth else truth
        before = [each for each in before if each != left]
        if not before or to != before[-1]:
            self.world.violation(f"left {left[:2]} for {to[:2]}, and before that served {truth}")

    def check_overruled(self, actor, left):
        """Once it has written, no rollout whose turn came before gives its candidate anything."""
        world = self.world
        writes = [one for one in world.patches if one.actor is actor]
        first = {}
        for one in writes:
            first.setdefault(one.region, one.when)
        if not first:
            return
        raised = collections.Counter()
        for one in world.patches:
            mine = getattr(one.actor, "rollout", None)
            if mine is None or one.when <= min(first.values()):
                continue
            candidates = {region.candidate for region in mine.regions}
            if not any(one.new.get(name, 0) > one.old.get(name, 0) for name in candidates):
                continue
            turn = max(each.when for each in world.patches if each.actor is one.actor
                       and each.region == one.region and each.takes and each.when <= one.when)  # fmt: skip
            written = first.get(one.region, one.when + 1)
            knew = any([left, BACK] in region.called_off for region in mine.regions)
            twin = mine.image == left and not knew  # when it began
            if one.when > written and (turn < written or twin):
                world.violation(f"{one.actor.name} gave more in {one.region} after the rollback")
            raised[one.actor] += turn < min(first.values())
        for overruled, count in raised.items():
            if count > 1 and actor.result == 0:  # one that could not reach a region says so
                world.violation(f"{overruled.name} went on for {count} steps during the rollback")

    def check_arrived(self, actor, commits):
        """What it says serves does, if no rollout had its turn after it."""
        world = self.world
        writes = [one.when for one in world.patches if one.actor is actor]
        later = [one for one in world.patches
                 if one.actor is not actor and writes and one.when > writes[0]
                 and one.takes]  # fmt: skip
        disturbed = self.hand or any(one.killed for one in world.actors)
        if actor.result == 0 and not later and not disturbed:
            serve = {world.serving(region) for region in world.regions}
            if serve != commits:
                world.violation(f"rolled back to {commits}, and {serve} serves")

    def check_hand(self):
        """After a person's change by hand no rollout whose turn it was gives its candidate more. The
        last look may take the region to what the others serve: gcloud writes no record."""
        if not self.hand:
            return
        when, region, chosen, tagged = self.hand
        later = [one for one in self.world.patches if one.region == region and one.when > when]
        turn = next((one.when for one in later if one.takes or one.actor is self.rollback), None)
        for one in later:
            if turn is not None and one.when >= turn:
                return
            if tagged and one.new.get(tagged, 0) > one.old.get(tagged, 0) and chosen != tagged:
                self.world.violation(f"{one.actor.name} gave {tagged} more after {chosen} by hand")

    def check_repair(self):
        """Whatever a kill has left: the next rollout puts it back, and so does make rollback."""
        world = self.world
        for actor in world.actors:
            actor.kill_at = actor.stop_at = None
        tags = [region for region in world.regions if run_model.tags(world.services[region])]
        split = [region for region in world.regions if not world.settled(region)]
        if set(split) - set(tags):
            world.violation(f"the alert does not see {split}, only {tags}")
        if self.chance.random() < 0.5:
            repair = self.add_rollout("next", 9, self.chance.choice([0, 5000]), breaks_at=101)
            expected = {commit(9)}
        else:
            self.wanted = ()
            repair = self.world.act("repair", 0, self.roll_back)
            expected = None
        world.run()
        serve = {world.serving(region) for region in world.regions}
        nothing_before = not split and "has served before" in str(repair.result)
        disturbed = self.cleaned or self.hand
        nothing_before |= bool(disturbed and "TO=COMMIT" in str(repair.result))
        nothing_before |= self.cleaned and "there is nothing else" in str(repair.result)
        if repair.result != 0 and not nothing_before:
            world.violation(f"{repair.name} ended with {repair.result}")
        for region in world.regions:
            if not world.settled(region):
                world.violation(f"{region} is not settled after {repair.name}")
        if expected and serve != expected:
            world.violation(f"{serve} serves after {repair.name}")


def play(seed):
    """Runs a history. Returns its world, with violations and a log."""
    scenario = Scenario(seed)
    world = scenario.world
    scenario.was_failing = world.failing or world.outage[1] or world.dark[1]
    scenario.was_slow = world.slow or max(world.pace.values()) > 1

    def say(text):
        scenario.world.note(scenario.world.current, text)

    for module in (cloud_run, rollout_steps, rollback_steps):
        module.say = say
    scenario.run()
    return scenario.world


def main(first, count=None):
    if count is None:
        world = play(int(first))
        print(*world.log, *world.violations, sep="\n")
        return len(world.violations)
    found = 0
    for seed in range(int(first), int(first) + int(count)):
        for violation in play(seed).violations:
            print(f"seed {seed}: {violation}", flush=True)
            found += 1
    print(f"{count} histories from seed {first} on: {found} violations")
    return found


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
