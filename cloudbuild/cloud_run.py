"""A Cloud Run service in one region, seen and changed.

Traffic is read and written through the Admin API and not with gcloud, which reads the service
itself before it writes and so overwrites what somebody else has set a moment before. Each write
here carries the etag of what was read, and names the two fields that it changes. A new revision is
gcloud's work: that is more than two fields, and its one call is conditional too.

Whether a write has been brought about is read from the service as well: operations are not below
the service, which is all that the pipeline's identity has rights on.
"""

import time

import traffic
from gcloud import PATIENCE, PAUSE, Failure, gcloud, say
from google_api import Api, Conflict, Unanswered


class Revision:
    def __init__(self, shown):
        container = main_container(shown)
        labels = shown.get("labels", {})
        self.name = traffic.short(shown["name"])
        self.commit, self.rollout = labels.get("commit"), labels.get("rollout")
        self.committed = int(labels.get("committed", 0))
        self.image, self.created = container.get("image"), shown["createTime"]
        self.environment = {
            variable["name"]: variable.get("value", "") for variable in container.get("env", [])
        }
        ready = [one for one in shown.get("conditions", []) if one.get("type") == "Ready"]
        self.ready = any(one.get("state") == "CONDITION_SUCCEEDED" for one in ready)

    @property
    def labels(self):
        """Those that say what is in the image."""
        known = {"commit": self.commit, "committed": str(self.committed or "")}
        return {name: value for name, value in known.items() if value}


def main_container(shown):
    """The one that requests go to. A sidecar has no port."""
    containers = shown.get("containers") or [{}]
    return next((one for one in containers if one.get("ports")), containers[0])


class Service:
    def __init__(self, name, region, project, api=None, clock=time):
        self.name, self.region, self.project, self.clock = name, region, project, clock
        self.api = api or Api("run")
        self.path = f"v2/projects/{project}/locations/{region}/services/{name}"
        self.generation = 0  # the newest that was seen
        self.goals = {}  # by their change: what has been tried to write

    def say(self, text):
        say(f"{self.region}: {text}")

    # Reading

    def get(self, path, **query):
        """Returns what is there. Tries again for as long as there is no answer."""
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            try:
                return self.api.call("GET", path, **query)
            except Unanswered as failure:
                if self.clock.monotonic() > deadline:
                    raise Failure(str(failure))
            self.clock.sleep(PAUSE)

    def read(self):
        """Returns the State. One that is older than what has been seen already is not taken."""
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            state = traffic.state_of(self.get(self.path))
            if state.generation >= self.generation:
                self.generation = state.generation
                return state
            if self.clock.monotonic() > deadline:
                raise Failure(f"{self.region}: only old states can be read after {PATIENCE:.0f} s")
            self.clock.sleep(PAUSE)

    def revision(self, name):
        return Revision(self.get(f"{self.path}/revisions/{name}"))

    def revisions(self):
        """Returns all of them, the newest first."""
        found, page = [], ""
        while True:
            answer = self.get(f"{self.path}/revisions", pageSize=100, pageToken=page)
            found += map(Revision, answer.get("revisions", []))
            page = answer.get("nextPageToken", "")
            if not page:
                return sorted(found, key=lambda one: (one.created, one.name), reverse=True)

    def there(self, state):
        """The names of the revisions, where one that gets no requests is to get them: somebody may
        have deleted it. None elsewhere."""
        if set(state.shares) != {state.candidate}:
            return None
        return {one.name for one in self.revisions()}

    # Writing

    def patch(self, state, fields):
        """Changes fields of the service, if it is still as it was when state was read."""
        body = {"name": self.path.partition("/")[2], "etag": state.etag, **fields}
        operation = self.api.call("PATCH", self.path, body, updateMask=",".join(fields))
        if "error" in operation:
            raise Failure(f"{self.region}: {operation['error'].get('message')}")
        self.generation = max(
            self.generation, int(operation.get("metadata", {}).get("generation", 0))
        )

    def change(self, what, decide):
        """Writes what decide(State) wants, for as long as it takes that the write meets what was
        read; `what` names this change for good. Returns the Goal and the State in which it is seen.
        """
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            state = self.read()
            goal = self.goals.get(what)
            if goal and goal.is_in(state):
                break  # an earlier call was not answered, and has done it
            goal = self.goals[what] = decide(state)
            try:
                self.write(state, goal)
                break
            except (Conflict, Unanswered) as reason:
                self.say(f"once more: {reason}")
                if self.clock.monotonic() > deadline:
                    raise Failure(f"{self.region}: {goal} cannot be written: {reason}")
            self.clock.sleep(PAUSE)
        return goal, self.wait_until_seen(goal)

    def write(self, state, goal):
        self.say(f"writes {goal}")
        annotations = {**state.annotations, traffic.RECORD: str(goal.record)}
        self.patch(state, {"traffic": goal.targets(state.tags), "annotations": annotations})

    def wait_until_seen(self, goal):
        """Looks until requests are routed so. Returns the State; also one that somebody else has
        made since, which is theirs to wait for."""
        deadline = self.clock.monotonic() + PATIENCE
        state = self.read()
        while goal.is_in(state) and not state.seen:
            if state.failure:
                raise Failure(f"{self.region}: {goal} has failed: {state.failure}")
            if self.clock.monotonic() > deadline:
                raise Failure(f"{self.region}: not seen after {PATIENCE:.0f} s: {goal}")
            self.clock.sleep(PAUSE)
            state = self.read()
        return state

    def deploy(self, image, labels):
        """Makes a revision that serves nobody. Neither --tag nor --revision-suffix, which would
        write a revision's name into the template, where Terraform would trip over it."""
        pairs = ",".join(f"{name}={value}" for name, value in labels.items())
        gcloud(
            *("run", "deploy", self.name, f"--region={self.region}", f"--project={self.project}"),
            *(f"--image={image}", "--no-traffic", f"--update-labels={pairs}"),
        )

    def restore_template(self):
        """What a failed candidate leaves behind, or somebody who restored it while a rollout
        waited. Nothing that serves depends on it, so a failure is a warning."""
        try:
            self.write_template()
        except Exception as error:
            self.say(f"WARNING: the template may have an image that does not serve: {error}")

    def write_template(self):
        """Puts the image that serves into the template again, where a candidate's is left: the next
        `terraform apply` makes a revision of what is in there, and fails if that does not start.
        This makes one too, which serves nobody."""
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            state = self.read()
            container, served = main_container(state.template), self.revision(state.serving)
            if state.candidate or container.get("image") == served.image:
                return  # a rollout that is under way does this when it ends
            others = {"commit", "committed", "rollout"}
            labels, template_labels = (
                {**{name: text for name, text in old.items() if name not in others}, **served.labels}
                for old in (state.labels, state.template.get("labels", {}))
            )
            containers = [
                {**one, "image": served.image} if one is container else one
                for one in state.template["containers"]
            ]
            template = {**state.template, "containers": containers, "labels": template_labels}
            try:
                self.patch(state, {"labels": labels, "template": template})
                return self.say(f"the template has {served.image} again")
            except (Conflict, Unanswered) as reason:
                if self.clock.monotonic() > deadline:
                    raise Failure(str(reason))
            self.clock.sleep(PAUSE)
