"""The state of the stand-ins in a file, and what is to go wrong at which call.

gcloud (the file beside this one) is a process of its own for each call; the APIs are answered by
cloud.py. Both count their calls here.
"""

import fcntl
import json
import os
import re
import time

import run_model


class Store:
    """The state, held by nobody else within the with block, and written unless that fails."""

    def __init__(self, directory):
        self.directory = directory

    def __enter__(self):
        self.lock = open(f"{self.directory}/lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        with open(f"{self.directory}/state.json") as file:
            self.state = json.load(file)
        return self.state

    def __exit__(self, error, *_):
        if not error:
            with open(f"{self.directory}/state.new", "w") as file:
                json.dump(self.state, file, indent=1)
            os.rename(f"{self.directory}/state.new", f"{self.directory}/state.json")
        self.lock.close()


def record(directory, call):
    """Counts a call. Returns what is to go wrong at it."""
    with Store(directory) as state:
        number = len(state["calls"])
        state["calls"].append(call)
        disturbance = state["disturbances"].get(str(number))
        for other in state["disturbances"].get("all", []):
            if re.search(other["match"], " ".join(call)):
                disturbance = other
    return disturbance


def is_due(disturbance, what, moment):
    return bool(disturbance) and (disturbance["what"], disturbance["when"]) == (what, moment)


def interfere(directory, disturbance, moment):
    """What somebody else does to the service at this moment."""
    if is_due(disturbance, "expire", moment):
        with Store(directory) as state:
            state["access_token"] += "-renewed"
    for what, act in OTHERS.items():
        if is_due(disturbance, what, moment):
            with Store(directory) as state:
                for region, service in state["services"].items():
                    act(service, region, disturbance)


def apply(service, region, disturbance):
    if region == disturbance["region"]:
        run_model.new_revision(service, time.time())


def other_rollout(service, region, disturbance):
    run_model.deploy(service, "another-image", {"commit": "0" * 40}, time.time())
    percents, tags = run_model.normalized(service["traffic"])
    set_traffic(service, percents, {**tags, "candidate": service["latest_created"]})


def by_hand(service, region, disturbance):
    """A rollback with gcloud, as the runbook has it for whoever has no checkout."""
    set_traffic(service, {min(service["revisions"]): 100}, {})


def update_traffic(service, region, disturbance):
    """gcloud run services update-traffic --to-revisions=...=100, which leaves the tags."""
    set_traffic(service, {min(service["revisions"]): 100}, run_model.tags(service))


def delete(service, region, disturbance):
    """gcloud run revisions delete, of what gets no requests."""
    service["revisions"][min(service["revisions"])]["deleted"] = True


def split(service, region, disturbance):
    names = {min(service["revisions"]): 75, max(service["revisions"]): 25}
    set_traffic(service, names, run_model.tags(service))


def set_traffic(service, percents, tags):
    service["traffic"] = run_model.targets(percents, tags)
    service["version"] += 1


OTHERS = {"apply": apply, "other rollout": other_rollout, "rollback": by_hand, "shares": split}
OTHERS |= {"update-traffic": update_traffic, "delete": delete}
