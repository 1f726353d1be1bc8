"""Cloud Run as this project uses it: what a service is, and what the calls do to it.

Pure functions over plain data, which the stand-ins keep: in a file (gcloud, cloud.py) or in memory
(histories.py). As the Admin API v2 and gcloud 528 do it; what is not known of the real one is in
docs/deploy.md.
"""

import copy
import datetime
import json

LATEST = "LATEST"
BY_NAME, BY_LATEST = (
    f"TRAFFIC_TARGET_ALLOCATION_TYPE_{kind}" for kind in ("REVISION", "LATEST")
)
MASKS = {"traffic", "annotations", "labels", "template"}


class Refused(Exception):
    """What the API answers with an error: status, and its name."""

    def __init__(self, code, status, message):
        super().__init__(message)
        self.code, self.body = code, {"error": {"code": code, "status": status, "message": message}}


def new_service(name, project, region, suffix, image, labels, url="", tag_url="", created=0):
    """A service as Terraform makes it: one revision, and traffic for whatever is the newest."""
    revision = f"{name}-00001-{suffix}"
    template = {"image": image, "labels": labels, "env": []}
    return {
        "name": name,
        "path": f"projects/{project}/locations/{region}/services/{name}",
        "suffix": suffix,
        "url": url,
        "tag_url": tag_url,
        "labels": dict(labels),
        "annotations": {},
        "template": template,
        "revisions": {revision: {**template, "ready": True, "created": created}},
        "latest_created": revision,
        "latest_ready": revision,
        "traffic": [{"key": LATEST, "percent": 100, "tag": None}],
        "version": 1,
        "failure": "",
        "late": {"looks": 0, "shown": None},
    }


# --- Traffic ----------------------------------------------------------------------------------


def normalized(traffic):
    """The percentages by revision (or LATEST), and the tags, of a list of targets."""
    percents, tags = {}, {}
    for target in traffic:
        if target["percent"]:
            percents[target["key"]] = percents.get(target["key"], 0) + target["percent"]
        if target["tag"]:
            tags[target["tag"]] = target["key"]
    return percents, tags


def targets(percents, tags):
    return [
        *({"key": key, "percent": share, "tag": None} for key, share in sorted(percents.items())),
        *({"key": key, "percent": 0, "tag": tag} for tag, key in sorted(tags.items())),
    ]


def shares(service):
    """Who is routed to: the percentages by the name of the revision."""
    percents, _ = normalized(service["traffic"])
    found = {}
    for key, share in percents.items():
        name = service["latest_ready"] if key == LATEST else key
        found[name] = found.get(name, 0) + share
    return found


def tags(service):
    return normalized(service["traffic"])[1]


def there(service):
    """The revisions that nobody has deleted: a number is not given away twice."""
    return {name: one for name, one in service["revisions"].items() if not one.get("deleted")}


def new_revision(service, now, ready=True):
    number = len(service["revisions"]) + 1
    name = f"{service['name']}-{number:05d}-{service['suffix']}"
    revision = {**copy.deepcopy(service["template"]), "ready": ready, "created": now}
    service["revisions"][name] = revision
    service["latest_created"] = name
    if ready:
        service["latest_ready"] = name
    service["version"] += 1
    return name


def deploy(service, image, labels, now, ready=True):
    """gcloud run deploy --no-traffic --update-labels."""
    percents, tagged = normalized(service["traffic"])
    if LATEST in percents:
        latest = service["latest_ready"]
        percents[latest] = percents.get(latest, 0) + percents.pop(LATEST)
        service["traffic"] = targets(percents, tagged)
    service["labels"].update(labels)
    service["template"].update(image=image, labels=dict(service["labels"]))
    return new_revision(service, now, ready)


# --- The API ----------------------------------------------------------------------------------


def timestamp(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def container(revision):
    return {"image": revision["image"], "env": revision["env"], "ports": [{"containerPort": 8080}]}


def show(service):
    wanted, routed = [], []
    for target in service["traffic"]:
        latest = target["key"] == LATEST
        shown = {"type": BY_LATEST} if latest else {"type": BY_NAME, "revision": target["key"]}
        if target["percent"]:
            shown["percent"] = target["percent"]
        if target["tag"]:
            shown["tag"] = target["tag"]
        wanted.append(shown)
        status = {**shown, "revision": service["latest_ready"] if latest else target["key"]}
        if target["tag"]:
            status["uri"] = service["tag_url"].replace("TAG", target["tag"])
        routed.append(status)
    path = service["path"]
    failed = service["failure"]
    return {
        "name": path,
        "etag": f'"{service["version"]}"',
        "generation": str(service["version"]),
        "labels": dict(service["labels"]),
        "annotations": dict(service["annotations"]),
        "template": {
            "labels": dict(service["template"]["labels"]),
            "containers": [container(service["template"])],
        },
        "latestCreatedRevision": f"{path}/revisions/{service['latest_created']}",
        "latestReadyRevision": f"{path}/revisions/{service['latest_ready']}",
        "traffic": wanted,
        "trafficStatuses": [] if failed else routed,
        "terminalCondition": {
            "type": "Ready",
            "state": "CONDITION_FAILED" if failed else "CONDITION_SUCCEEDED",
            "message": failed,
        },
        "uri": service["url"],
    }


def show_revision(service, name):
    revision = service["revisions"][name]
    state = "CONDITION_SUCCEEDED" if revision["ready"] else "CONDITION_FAILED"
    return {
        "name": f"{service['path']}/revisions/{name}",
        "labels": {**revision["labels"], "client.knative.dev/nonce": "abc"},
        "createTime": timestamp(revision["created"]),
        "containers": [container(revision)],
        "conditions": [{"type": "Ready", "state": state}],
    }


def get(service):
    """What is read. After a change, the state before it for a while: its etag, too."""
    if service["late"]["looks"] > 0:
        service["late"]["looks"] -= 1
        return copy.deepcopy(service["late"]["shown"])
    return show(service)


def get_below(service, rest, page_size, page_token):
    """The revisions, or one of them."""
    if rest == "revisions":
        names, start = list(there(service)), int(page_token or 0)
        page = [show_revision(service, name) for name in names[start : start + page_size]]
        more = {"nextPageToken": str(start + page_size)} if start + page_size < len(names) else {}
        return {"revisions": page, **more}
    name = rest.partition("/")[2]
    if name not in there(service):
        raise Refused(404, "NOT_FOUND", f"Revision '{name}' not found")
    return show_revision(service, name)


def require_version(service, etag):
    if etag != f'"{service["version"]}"':
        raise Refused(
            409,
            "ABORTED",
            f"Conflict for resource '{service['name']}': version '{etag}' was specified but current"
            f" version is '{service['version']}'.",
        )


def patch(service, body, mask, now, ready=True):
    """services.patch. Stricter than the real one: this project always names etag and fields."""
    fields = set(mask.split(","))
    if not fields <= MASKS or "etag" not in body:
        raise Refused(400, "INVALID_ARGUMENT", f"without an etag, or with the mask {mask!r}")
    require_version(service, body["etag"])
    before = show(service)
    if "traffic" in fields:
        service["traffic"] = checked(service, body["traffic"])
    for name in fields & {"labels", "annotations"}:
        service[name] = dict(body[name])
    service["version"] += 1
    if "template" in fields:
        [wanted] = body["template"]["containers"]
        service["template"].update(
            image=wanted["image"], env=wanted["env"], labels=dict(body["template"]["labels"])
        )
        new_revision(service, now, ready)
    return before, {"name": f"{service['path']}/operations/1", "metadata": show(service)}


def checked(service, wanted):
    """The targets of a request, if they can be."""
    percents, tagged = {}, {}
    for target in wanted:
        name = target.get("revision")
        if target["type"] != BY_NAME or name not in there(service):
            raise Refused(400, "INVALID_ARGUMENT", f"Revision '{name}' does not exist")
        if target.get("percent"):
            if not service["revisions"][name]["ready"]:
                raise Refused(
                    400, "FAILED_PRECONDITION", f"Revision '{name}' is not ready and cannot serve"
                )
            percents[name] = percents.get(name, 0) + target["percent"]
        if target.get("tag"):
            tagged[target["tag"]] = name
    if sum(percents.values()) != 100:
        raise Refused(400, "INVALID_ARGUMENT", f"{json.dumps(percents)} is not 100 %")
    return targets(percents, tagged)
