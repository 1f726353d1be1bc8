"""The traffic of a service in one region: what it is, and what it may become (docs/rollout.md).

Nothing in here asks anybody or changes anything. A decision takes the State that was read and
returns the Goal to be written, or raises why there is none.
"""

import dataclasses
import json
from typing import Optional

from gcloud import Failure

CANDIDATE = "candidate"  # the tag of a revision that is being tried; Terraform knows it too
RECORD = "delivery"  # the annotation of the service that is written together with its traffic
# Revisions, and goings back, in the record: a service keeps 1000, and an annotation is not to grow.
REMEMBERED, CALLED_OFF = 50, 10
LISTS = ("served", "left", "turn", "called_off")  # JSON has no tuples
BY_NAME = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


class Lost(Failure):
    """What is there is not what this rollout has written: somebody else has decided."""


class Busy(Exception):
    """Another rollout has been quicker."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What is written in the same call as the traffic, so that neither is true without the other."""

    served: tuple = ()  # revisions that have passed with all the traffic, the oldest first
    left: tuple = ()  # those of them that somebody has gone back from
    change: str = ""  # who has written, and which of its changes this was
    # The candidate that the tag was given to, what served then, and the second since 1970 at which
    # its rollout has to have ended.
    turn: tuple = ()
    called_off: tuple = ()  # the images that were gone back from last, each with who did that

    def passed(self, revision):
        served = tuple(name for name in self.served if name != revision)
        return self.but(served=(*served, revision)[-REMEMBERED:])

    def but(self, **changes):
        return dataclasses.replace(self, **changes)

    @classmethod
    def of(cls, annotations):
        """What the annotation says; nothing where it is missing or was made by somebody else."""
        try:
            members = json.loads(annotations.get(RECORD, "{}"))
            lists = {name: tuple(members.pop(name, ())) for name in LISTS}
            return cls(**lists, **members)
        except (ValueError, TypeError, AttributeError):
            return cls()

    def __str__(self):
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))


@dataclasses.dataclass(frozen=True)
class State:
    """A service as it was read. Shares and tags are what was asked for; seen is whether that is how
    requests are routed, too."""

    shares: dict  # revision: percent, of those that have one
    tags: dict  # tag: revision
    record: Record
    seen: bool = True
    failure: str = ""  # why Cloud Run cannot bring about what was asked for
    etag: str = ""
    generation: int = 0
    annotations: dict = dataclasses.field(default_factory=dict)
    labels: dict = dataclasses.field(default_factory=dict)
    template: dict = dataclasses.field(default_factory=dict)
    latest_created: str = ""
    url: Optional[str] = None
    candidate_url: Optional[str] = None

    @property
    def candidate(self):
        return self.tags.get(CANDIDATE)

    def is_like(self, other):
        """Whether nobody has changed the traffic in between. The etag changes with the template, too."""
        return (self.shares, self.candidate, self.record.change) == (
            other.shares,
            other.candidate,
            other.record.change,
        )

    @property
    def serving(self):
        """The revision that answers most; None where nothing does."""
        return max(self.shares, key=self.shares.get, default=None)

    def __str__(self):
        shares = ", ".join(f"{name} {share} %" for name, share in sorted(self.shares.items()))
        return f"{shares or 'nothing serves'}; tag {CANDIDATE}: {self.candidate or 'none'}"


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is to be written."""

    shares: dict
    candidate: Optional[str]
    record: Record

    def is_in(self, state):
        """Whether this very write is what is there. Shares and tag alone could have come back."""
        return (
            state.shares == self.shares
            and state.candidate == self.candidate
            and state.record.change == self.record.change
        )

    def targets(self, tags):
        """As Cloud Run wants it; tags that others have set stay."""
        tags = {tag: name for tag, name in tags.items() if tag != CANDIDATE}
        if self.candidate:
            tags[CANDIDATE] = self.candidate
        return [
            *({"type": BY_NAME, "revision": name, "percent": share}
              for name, share in self.shares.items()),
            *({"type": BY_NAME, "revision": name, "tag": tag} for tag, name in tags.items()),
        ]  # fmt: skip

    def __str__(self):
        shares = ", ".join(f"{name} {share} %" for name, share in self.shares.items())
        return f"{shares}; tag {CANDIDATE}: {self.candidate or 'none'}"


# --- What a service says of itself ------------------------------------------------------------


def short(name):
    return (name or "").rpartition("/")[2]


def route(targets, latest):
    """The shares by revision, and the tags, of a list of targets. No target is the newest one."""
    shares, tags = {}, {}
    for target in targets or [{"percent": 100}]:
        name = short(target.get("revision")) or latest
        if target.get("percent"):
            shares[name] = shares.get(name, 0) + target["percent"]
        if target.get("tag"):
            tags[target["tag"]] = name
    return shares, tags


def state_of(service):
    """The State of what the API's services.get answers."""
    latest = short(service.get("latestReadyRevision"))
    shares, tags = route(service.get("traffic"), latest)
    statuses = service.get("trafficStatuses", [])
    ended = service.get("terminalCondition", {})
    failed = ended.get("state") == "CONDITION_FAILED" and not service.get("reconciling")
    return State(
        shares,
        tags,
        Record.of(service.get("annotations", {})),
        seen=route(statuses, latest) == (shares, tags) and not service.get("reconciling"),
        failure=ended.get("message", "it does not say why") if failed else "",
        etag=service.get("etag", ""),
        generation=int(service.get("generation", 0)),
        annotations=service.get("annotations", {}),
        labels=service.get("labels", {}),
        template=service.get("template", {}),
        latest_created=short(service.get("latestCreatedRevision")),
        url=service.get("uri"),
        candidate_url=next((one.get("uri") for one in statuses if one.get("tag") == CANDIDATE), None),
    )


# --- Decisions --------------------------------------------------------------------------------


def before(state, there=None):
    """The revision to put back: what answers beside the candidate, else what served before it, of
    those that are there, if that is known: somebody may have deleted the others."""
    others = {name: share for name, share in state.shares.items() if name != state.candidate}
    if others:
        return max(others, key=others.get)
    candidate, previous, _ = state.record.turn or (None, None, None)
    if candidate == state.candidate and previous and (there is None or previous in there):
        return previous
    good = [name for name in state.record.served if name not in state.record.left]
    good = [name for name in good if there is None or name in there]
    return next((name for name in reversed(good) if name != state.candidate), state.candidate)


def take(state, vetted, candidate, change, until):
    """The turn: the tag, while nobody has it and what serves is what the commit was held against."""
    if state.candidate or state.shares != {vetted: 100}:
        raise Busy(str(state))
    served = state.record.served
    record = state.record if vetted in served else state.record.passed(vetted)
    return Goal(state.shares, candidate, record.but(change=change, turn=(candidate, vetted, until)))


def until(state, otherwise):
    """When the holder of the tag has to have ended. A tag that a person has set says nothing."""
    candidate, _, moment = state.record.turn or (None, None, 0)
    return moment if candidate == state.candidate else otherwise


def require(state, written):
    """Fails unless what is there is this rollout's own last write."""
    if not written.is_in(state):
        raise Lost(f"somebody else has changed the traffic: {state}")


def give(state, written, share, change):
    """More of the traffic for the candidate."""
    require(state, written)
    previous = before(state)
    shares = {written.candidate: share, **({previous: 100 - share} if share < 100 else {})}
    return Goal(shares, written.candidate, state.record.but(change=change))


def release(state, written, change):
    """The end of a good rollout: the candidate has all the traffic and needs no tag."""
    require(state, written)
    return Goal(state.shares, None, state.record.passed(written.candidate).but(change=change))


def put_back(state, candidate, change, unsure=False, there=None):
    """The end of any other one. Shares that somebody else has set beside the candidate's are taken
    as a decision. A tag that is not there may still be on its way, if no answer came when it was
    set: then what is there is written once more, and what is on its way conflicts with that."""
    if state.candidate != candidate and (state.candidate or not unsure):
        raise Lost(f"the tag is somebody else's now, and so is the traffic: {state}")
    shares = {before(state, there): 100} if state.candidate else state.shares
    return Goal(shares, None, state.record.but(change=change))


def has_passed(state, candidate):
    """Whether it was released, and nobody has gone back from it, whoever has its turn by now."""
    return candidate in state.record.served and candidate not in state.record.left


def retract(state, written, previous, change):
    """What a release becomes when another region was taken away before its own."""
    require(state, written)
    record = state.record
    served = tuple(name for name in record.served if name not in state.shares)
    return Goal({previous: 100}, None, record.but(served=served, change=change))


def go_back(state, target, image, change):
    """A person's decision: holds whatever is there. Always written, since what was read may be old,
    and any rollout that still runs is to see it."""
    called_off = (*state.record.called_off, [image or "", change])[-CALLED_OFF:]
    return Goal({target: 100}, None, leave(state, target).but(called_off=called_off, change=change))


def align(state, target, change):
    """What all regions agree on when they have come apart: a going back that calls nothing off."""
    return Goal({target: 100}, None, leave(state, target).but(change=change))


def leave(state, target):
    """The record when all that has served since the target is gone back from."""
    served = state.record.served
    gone = {*state.shares, *served[served.index(target) :]} if target in served else state.shares
    left = {*state.record.left, *gone} - {target}
    left = [name for name in served if name in left]
    record = state.record if target in served else state.record.passed(target)
    return record.but(left=tuple(left))


def settle(state, candidate, serves, change, there=None):
    """What a person is told to do where a rollout could not end: only while its tag is there, and
    the candidate stays only where nobody has taken anything away from it."""
    if state.candidate != candidate:
        raise Lost(f"nothing to do: {state}")
    if serves == candidate and state.shares == {candidate: 100}:
        return Goal(state.shares, None, state.record.passed(candidate).but(change=change))
    return Goal({before(state, there): 100}, None, state.record.but(change=change))
