"""Which revision each region goes back to. Decided once, for all of them, before anything is
changed: a rollout that moves on in between is not followed."""

import collections

from gcloud import Failure
from traffic import before

# A region as it was read: its name, the State, and its revisions by name, the newest first.
Place = collections.namedtuple("Place", "region state revisions")
CHOOSE = "Choose from make status: make rollback TO=COMMIT"


def image_of(place, name):
    """What tells revisions apart: one commit may have been built again, with newer packages, and
    one image may have been rolled out twice."""
    revision = place.revisions.get(name)
    return revision.image if revision else None


def last_served(place, accepts, until=None):
    """The last revision that has served, before another one did, and that was not gone back from."""
    served = list(place.state.record.served)
    if until in served:
        served = served[: served.index(until)]
    for name in reversed(served):
        if name not in place.state.record.left and name in place.revisions and accepts(name):
            return name
    return None


def leading(places):
    """The place that is to go back. Where regions serve different images, as after a rollback that
    reached only some of them, the one that is ahead: it has served what others serve, before."""
    tagged = [place for place in places if place.state.candidate]
    if tagged:
        return tagged[0]
    present = {image_of(place, place.state.serving) for place in places}
    if len(present) == 1:
        return places[0]
    for place in places:
        mine = image_of(place, place.state.serving)
        earlier = last_served(place, lambda name: image_of(place, name) != mine, place.state.serving)
        if earlier and image_of(place, earlier) in present:
            return place
    raise Failure(f"the regions serve different images. {CHOOSE}")


def previous(places):
    """The image that is left, and the revision of each region to go back to."""
    lead = leading(places)
    left = lead.state.candidate or lead.state.serving
    gone = image_of(lead, left)

    def everywhere(name):
        return all(find(place, image_of(lead, name)) for place in places)

    def earlier(name):
        return image_of(lead, name) != gone and everywhere(name)

    beside = before(lead.state, lead.revisions) if lead.state.candidate else None
    # The candidate itself is beside itself where all that has served was deleted: the last resort.
    choices = (beside if beside != left else None, last_served(lead, earlier, left), beside)
    target = next((name for name in choices if name and everywhere(name)), None)
    if target is None:
        raise Failure(
            f"{lead.region}: nothing with another image has served before {left}, as far as is"
            f" known. {CHOOSE}"
        )
    return gone, {place.region: find(place, image_of(lead, target)) for place in places}


def find(place, image):
    """A place's revision of that image: what serves, if it is one, else the last that has; None
    where none has."""
    state = place.state
    serving = before(state, place.revisions) if state.candidate else state.serving
    if image_of(place, serving) == image:
        return serving
    return last_served(place, lambda name: image_of(place, name) == image)


def named(place, wanted):
    """What somebody has asked for: a revision by its name, or the last one of a commit that has
    served. One that has not is given to somebody only who names it."""
    name = next((name for name in wanted if name in place.revisions), None)
    if name:
        if not place.revisions[name].ready:
            raise Failure(f"{place.region}: {name} never got ready, and cannot serve")
        return name
    commits = tuple(word for word in wanted if len(word) >= 7)
    of_commit = [
        name for name, one in place.revisions.items() if commits and (one.commit or "").startswith(commits)
    ]  # fmt: skip
    served = place.state.record.served
    proven = [name for name in of_commit if name in served]
    if proven:
        return max(proven, key=served.index)
    if of_commit:
        raise Failure(
            f"{place.region}: no revision of {' '.join(wanted)} has ever served:"
            f" {' '.join(of_commit)} did not pass, or was never tried. Run the build of the commit"
            f" again, or give it the traffic untried: make rollback TO={of_commit[0]}"
        )
    raise Failure(
        f"{place.region}: there is no revision or commit {' '.join(wanted)}. See make status"
    )


def choose(places, wanted=()):
    """The image that is left, and for each region the name of the revision that is to serve."""
    if not wanted:
        return previous(places)
    targets = {place.region: named(place, wanted) for place in places}
    present = [(place, place.state.candidate or place.state.serving) for place in places]
    left = [image_of(place, name) for place, name in present if name != targets[place.region]]
    return next(iter(left), None), targets
