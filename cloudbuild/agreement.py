"""The last look: whether all regions serve one image, and one that they can all have where not.

Two who act on two regions may each be right in one of them, when one sleeps between its writes. So
whoever has written looks at all regions behind the last write: the last one of all of them sees
what is left, and there is no need of a lock, which Cloud Run does not have.
"""

import traffic
from gcloud import PATIENCE, PAUSE, Failure
from rollback_target import Place, find, image_of, leading


class Moved(Exception):
    """A region is not as it was when this was decided."""


def look(service):
    state = service.read()  # first, so that all of its revisions are in the list
    return Place(service.region, state, {one.name: one for one in service.revisions()})


def common(places):
    """The image to agree on: one that serves, and that has served in each other region, where
    nobody has gone back from it. Of several the one that the region that is ahead had before."""
    present = {image_of(place, place.state.serving): place for place in places}
    possible = [image for image in present if all(find(place, image) for place in places)]
    if not possible:
        raise Failure(
            "the regions serve different images, and none of them has served in all. Choose from"
            " make status: make rollback TO=COMMIT"
        )
    if len(possible) > 1:
        ahead = leading(places)
        possible = [image for image in possible if present[image] is not ahead]
    return possible[0]


def align(services, change, clock):
    """Lets all regions serve one image, unless somebody is at work, who looks when they end.
    Returns whether they do."""
    deadline = clock.monotonic() + PATIENCE
    while True:
        places = [look(service) for service in services]
        if any(place.state.candidate for place in places):
            return False
        if len({image_of(place, place.state.serving) for place in places}) == 1:
            return True
        if clock.monotonic() > deadline:
            raise Failure("the regions still serve different images")
        image = common(places)
        for service, place in zip(services, places):
            target = find(place, image)
            if place.state.shares != {target: 100}:
                move(service, place.state, target, change)
        clock.sleep(PAUSE)


def move(service, seen, target, change):
    def decide(state):
        if not state.is_like(seen):
            raise Moved()
        return traffic.align(state, target, change)

    try:
        service.change(f"{change} {seen.etag}", decide)
    except Moved:
        return  # to be looked at once more
    service.say(f"the regions served different images; {target} serves 100 %")
    service.restore_template()
