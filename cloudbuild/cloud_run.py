"""A Cloud Run service in one region, seen and changed with gcloud.

Needs Python 3.9 and gcloud. Environment: ROLLOUT_PATIENCE, the seconds in which a change has to be
seen (60).
"""

import collections
import json
import os
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request

CANDIDATE = "candidate"  # the tag of a revision that is being tried; Terraform knows it too
PATIENCE = float(os.environ.get("ROLLOUT_PATIENCE", "60"))
PAUSE = PATIENCE / 60  # between two looks


class Failure(Exception):
    """What went wrong, in words for whoever reads the log."""


STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)


def command_line(*arguments):
    return shlex.join(["gcloud", *arguments])


def gcloud(*arguments, show=True):
    """Runs gcloud and returns what it printed. Its own messages go where this program's go."""
    if show:
        say(f"$ {command_line(*arguments)}")
    try:
        process = subprocess.Popen(
            ["gcloud", *arguments, "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for this program, which then decides what to do
        )
    except OSError as error:
        raise Failure(f"gcloud cannot be started ({error.strerror}): install the Google Cloud CLI")
    try:
        output = process.communicate(timeout=5 * PATIENCE)[0]
    except subprocess.TimeoutExpired:
        raise Failure(f"{command_line(*arguments)} did not end in {5 * PATIENCE:.0f} s")
    finally:
        if process.poll() is None:  # a signal came, or it took too long
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise Failure(f"{command_line(*arguments)} failed with status {process.returncode}")
    return output


def identity_token(audience):
    """A token that tells a private service who asks. `gcloud auth print-identity-token` makes none
    for a build's own service account, and by impersonation it would take the right to issue access
    tokens as well. The API asks only for the right to issue this one."""
    account = gcloud("config", "get-value", "account").strip()
    api = os.environ.get(
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS", "https://iamcredentials.googleapis.com/"
    )
    request = urllib.request.Request(
        f"{api}v1/projects/-/serviceAccounts/{account}:generateIdToken",
        data=json.dumps({"audience": audience, "includeEmail": True}).encode(),
        headers={
            "Authorization": f"Bearer {gcloud('auth', 'print-access-token').strip()}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["token"]
    except urllib.error.HTTPError as error:
        reason = f"{error} {error.read(1000).decode(errors='replace')}"
    except (OSError, ValueError, KeyError) as error:
        reason = repr(error)
    raise Failure(
        f"{account} gets no identity token for {audience}: {reason}. It needs"
        " roles/iam.serviceAccountOpenIdTokenCreator on itself, which Terraform grants"
    )


class State(collections.namedtuple("State", "shares candidate candidate_url url latest_created")):
    """What gcloud says of a service: the percentages that revisions serve, the revision that has
    the tag and its address, the service's address, and the newest revision."""

    def __str__(self):
        shares = ", ".join(f"{name} {share} %" for name, share in sorted(self.shares.items()))
        return f"{shares or 'nothing serves'}; tag {CANDIDATE}: {self.candidate or 'none'}"


class Service:
    def __init__(self, name, region, project):
        self.name, self.region = name, region
        self.place = (f"--region={region}", f"--project={project}")

    def read(self, show=True):
        """Returns the State."""
        text = gcloud(
            "run", "services", "describe", self.name, *self.place, "--format=json", show=show
        )
        status = json.loads(text).get("status", {})
        shares, tagged = collections.Counter(), {}
        for target in status.get("traffic", []):
            shares[target["revisionName"]] += target.get("percent", 0)
            if target.get("tag") == CANDIDATE:
                tagged = target
        return State(
            dict(+shares),
            tagged.get("revisionName"),
            tagged.get("url"),
            status.get("url"),
            status.get("latestCreatedRevisionName"),
        )

    def wait_for(self, condition, what):
        """Looks until condition(State) holds: what has been changed is not seen at once. Returns
        the State."""
        deadline = time.monotonic() + PATIENCE
        state = self.read()
        while not condition(state):
            if time.monotonic() > deadline:
                raise Failure(
                    f"{self.region}: not so after {PATIENCE:.0f} s: {what}. It is: {state}"
                )
            time.sleep(PAUSE)
            state = self.read(show=False)
        return state

    def revision(self, name):
        """Returns what gcloud knows of a revision."""
        return json.loads(
            gcloud("run", "revisions", "describe", name, *self.place, "--format=json")
        )

    def revisions(self):
        """Returns the same for all revisions, the newest first."""
        every = json.loads(
            gcloud(
                "run", "revisions", "list", f"--service={self.name}", *self.place, "--format=json"
            )
        )
        return sorted(every, key=lambda one: one["metadata"]["creationTimestamp"], reverse=True)

    def deploy(self, image, labels):
        """Makes a revision that serves nobody. Neither --tag nor --revision-suffix, which would
        write a revision's name into the template, where Terraform would trip over it."""
        pairs = ",".join(f"{name}={value}" for name, value in labels.items())
        gcloud(
            "run",
            "deploy",
            self.name,
            *self.place,
            f"--image={image}",
            "--no-traffic",
            f"--update-labels={pairs}",
        )

    def traffic_command(self, shares=None, tag=None, untag=False):
        command = ["run", "services", "update-traffic", self.name, *self.place]
        if shares:
            pairs = ",".join(f"{name}={share}" for name, share in shares.items() if share)
            command.append(f"--to-revisions={pairs}")
        if tag:
            command.append(f"--update-tags={CANDIDATE}={tag}")
        if untag:
            command.append(f"--remove-tags={CANDIDATE}")
        return command

    def set_traffic(self, **change):
        """Changes who serves which share (all of them are to be named), or the tag."""
        gcloud(*self.traffic_command(**change))


def labels_of(revision):
    return revision["metadata"].get("labels", {})


def environment_of(revision):
    """The plain variables of a revision."""
    variables = revision["spec"]["containers"][0].get("env", [])
    return {variable["name"]: variable.get("value", "") for variable in variables}
