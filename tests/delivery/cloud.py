"""The cloud that the scripts are tested in: a stub of gcloud (the file gcloud beside this one), and
a front end that answers at the addresses of its services and asks the real service behind them."""

import http.client
import http.server
import json
import os
import pathlib
import random
import subprocess
import threading
import time

from service import BUILD, REPOSITORY, Native

HERE = pathlib.Path(__file__).parent
SCRIPTS = REPOSITORY / "cloudbuild"
PROJECT, SERVICE, REGION, OTHER_REGION = "a-project", "hello-fcgi", "europe-west1", "us-central1"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/{SERVICE}/{SERVICE}"
TRIGGER = "hello-fcgi-merge"
ACCOUNT = f"hello-fcgi-deploy@{PROJECT}.iam.gserviceaccount.com"
PLACEHOLDER = "us-docker.pkg.dev/cloudrun/container/hello"
SUFFIXES = {REGION: "abc", OTHER_REGION: "xyz"}

# The calls of gcloud in a good rollout in one region.
GOOD = [
    "describe service",
    "describe revision 1",
    "deploy",
    "describe service",
    "describe revision 2",
    "tag 2",
    "describe service",
    "describe service",
    "traffic 2=10 1=90",
    "describe service",
    "describe service",
    "traffic 2=50 1=50",
    "describe service",
    "describe service",
    "traffic 2=100",
    "describe service",
    "describe service",
    "untag",
    "describe service",
]
CHANGING = [number for number, call in enumerate(GOOD) if not call.startswith("describe")]

# Each kind of address on a loopback address of its own, all at one port.
KINDS = {"service": "127.0.1", "candidate": "127.0.2", "origin": "127.0.3", "iam": "127.0.4"}


def digest_of(commit):
    """The image of a commit."""
    return f"{IMAGE}@sha256:{commit}{'0' * 24}"


def shorten(call):
    """A call of gcloud in the words of GOOD."""
    flags = dict(word.partition("=")[::2] for word in call if word.startswith("--"))
    if "describe" in call:
        what = f"revision {number_of(call[3])}" if "revisions" in call else "service"
        return f"describe {what}"
    if "deploy" in call:
        return "deploy"
    words = []
    if "--to-revisions" in flags:
        pairs = [pair.split("=") for pair in flags["--to-revisions"].split(",")]
        words += ["traffic", *(f"{number_of(name)}={share}" for name, share in pairs)]
    if "--update-tags" in flags:
        words += ["tag", str(number_of(flags["--update-tags"].partition("=")[2]))]
    return " ".join(words + ["untag"] * ("--remove-tags" in flags))


def number_of(revision):
    return int(revision.split("-")[-2])


# --- Services to answer -----------------------------------------------------------------------


class Responders:
    """The program, built for any commit: the project's own objects, linked with another name."""

    def __init__(self, directory):
        self.directory, self.paths = directory, {}

    def of(self, commit):
        if commit not in self.paths:
            build = self.directory / commit
            subprocess.run(["cp", "-a", f"{BUILD}/objects", self.made(build)], check=True)
            sanitize = ["SANITIZE=1"] if "sanitize" in str(BUILD) else []
            subprocess.run(
                [
                    "make",
                    "-s",
                    "SETUP=no",
                    f"BUILD={build}",
                    f"COMMIT={commit}",
                    *sanitize,
                    "build",
                ],
                cwd=REPOSITORY,
                env={"PATH": os.environ["PATH"]},
                check=True,
                stdout=subprocess.DEVNULL,
            )
            self.paths[commit] = str(build / "responder")
        return self.paths[commit]

    @staticmethod
    def made(directory):
        directory.mkdir()
        return directory


class Stacks:
    """The real service, started for a revision when it is first asked."""

    def __init__(self, responders):
        self.responders, self.running, self.lock = responders, {}, threading.Lock()

    def port(self, revision, commit, environment):
        key = (revision, commit, *sorted(environment.items()))
        with self.lock:
            if key not in self.running:
                self.running[key] = Native(
                    responder=self.responders.of(commit),
                    LOG_LEVEL="warning",
                    K_SERVICE=SERVICE,
                    K_REVISION=revision,
                    **environment,
                ).wait_ready()
        return self.running[key].port

    def end(self):
        for stack in self.running.values():
            stack.end()


# --- The front end ----------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for Google: passes a request on to the revision that it is for."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body, media_type="text/html; charset=UTF-8"):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.kind() == "iam":
            return self.issue_token(json.loads(body))
        return self.pass_on()

    def do_GET(self):
        self.pass_on()

    def kind(self):
        address = self.headers["Host"].partition(":")[0].rpartition(".")
        self.index = int(address[2])
        return {network: kind for kind, network in KINDS.items()}[address[0]]

    def issue_token(self, wanted):
        cloud = self.server.cloud
        expected = f"/v1/projects/-/serviceAccounts/{ACCOUNT}:generateIdToken"
        allowed = self.headers["Authorization"] == f"Bearer {cloud.state()['access_token']}"
        if self.path != expected or not allowed or cloud.no_tokens:
            return self.answer(403, b'{"error": "Permission denied"}', "application/json")
        token = json.dumps({"token": f"for:{wanted['audience']}"}).encode()
        return self.answer(200, token, "application/json")

    def target(self, state):
        """The region and the revision that a request is for; None where there is no such one."""
        cloud, kind = self.server.cloud, self.kind()
        region = cloud.regions[self.index]
        if kind == "origin":
            asked = self.headers["X-Candidate"]
            kind = "candidate" if asked in cloud.regions else "service"
            region = asked if asked in cloud.regions else random.choice(cloud.regions)
        traffic = state["services"][region]["traffic"]
        if kind == "candidate":
            tagged = [each["key"] for each in traffic if each["tag"] == "candidate"]
            return region, (tagged or [None])[0]
        if cloud.stuck:
            return region, min(state["services"][region]["revisions"])
        names = [each["key"] for each in traffic]
        return region, random.choices(names, [each["percent"] for each in traffic])[0]

    def pass_on(self):
        cloud, state = self.server.cloud, self.server.cloud.state()
        region, name = self.target(state)
        service = state["services"][region]
        audience = cloud.origin() if cloud.behind_load_balancer else service["url"]
        if cloud.private and self.headers["Authorization"] != f"Bearer for:{audience}":
            return self.answer(403, b"<html>Forbidden</html>")
        if name == "LATEST":
            name = service["latest_ready"]
        if name is None or cloud.hidden(region, name):
            return self.answer(404, b"<html>Not Found</html>")
        revision = service["revisions"][name]
        share = sum(each["percent"] for each in service["traffic"] if each["key"] == name)
        if cloud.breaks_at.get(region, 101) <= share and name == service["latest_created"]:
            return self.answer(503, b"Service Unavailable", "text/plain")
        if revision["image"] == PLACEHOLDER:
            return self.answer(200, b"<html>It's running!</html>")  # on any path
        try:
            return self.ask(cloud.port(name, revision, state))
        except OSError as error:
            return self.answer(503, f"no instance: {error}".encode(), "text/plain")

    def ask(self, port):
        """Puts the request to the real service, and its answer through."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {name: self.headers[name] for name in ("Accept",) if name in self.headers}
        connection.request(self.command, self.path, headers=headers)
        response = connection.getresponse()
        self.answer(response.status, response.read(), response.headers["Content-Type"])
        connection.close()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


# --- The cloud --------------------------------------------------------------------------------


class Cloud:
    """Services in some regions that serve the commit old, or the placeholder if that is None."""

    def __init__(self, directory, stacks, repository, old, regions=(REGION,)):
        self.directory, self.stacks, self.repository = directory, stacks, repository
        self.regions = list(regions)
        self.breaks_at = {}  # region: the share at which the newest revision answers no more
        self.private = self.behind_load_balancer = self.no_tokens = False
        self.stuck = False  # whether the public address goes on leading to the first revision
        self.hide = 0  # requests to a new revision that get 404, as addresses are not there at once
        self.hidden_from = {}
        self.server = Server(("0.0.0.0", 0), Handler)
        self.server.cloud = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.write(self.first_state(old))

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def address(self, kind, index=0):
        return f"http://{KINDS[kind]}.{index}:{self.server.server_port}"

    def origin(self):
        return self.address("origin")

    # The state

    def first_state(self, old):
        image = digest_of(old) if old else PLACEHOLDER
        labels = {"commit": old, "committed": "1"} if old else {}
        return {
            "project": PROJECT,
            "service": SERVICE,
            "account": ACCOUNT,
            "access_token": "an-access-token",
            "logged_in": True,
            "calls": [],
            "disturbances": {},
            "behaviour": {},
            "images": {digest_of(old): old} if old else {},
            "services": {
                region: self.service(index, region, image, labels)
                for index, region in enumerate(self.regions)
            },
            "triggers": [TRIGGER],
            "build_statuses": [],
            "provenance": {},
        }

    def service(self, index, region, image, labels):
        name = f"{SERVICE}-00001-{SUFFIXES[region]}"
        template = {"image": image, "labels": labels, "env": []}
        revision = {**template, "ready": True, "created": time.time() - 86400}
        return {
            "name": SERVICE,
            "suffix": SUFFIXES[region],
            "url": self.address("service", index),
            "tag_url": self.address("candidate", index),
            "labels": dict(labels),
            "template": template,
            "revisions": {name: revision},
            "latest_created": name,
            "latest_ready": name,
            "traffic": [{"key": "LATEST", "percent": 100, "tag": None}],
            "late": {"looks": 0, "shown": None},
        }

    def state(self):
        return json.loads((self.directory / "state.json").read_text())

    def write(self, state):
        (self.directory / "state.new").write_text(json.dumps(state))
        os.rename(self.directory / "state.new", self.directory / "state.json")

    def change(self, **values):
        """Changes parts of the state, while no stub runs."""
        self.write({**self.state(), **values})

    def hidden(self, region, name):
        if name.endswith(f"-00001-{SUFFIXES[region]}"):
            return False
        seen = self.hidden_from[name] = self.hidden_from.get(name, 0) + 1
        return seen <= self.hide

    def disturb(self, number, what, when="before", **more):
        """Says what is to happen at a call of gcloud, counted from 0."""
        disturbances = self.state()["disturbances"]
        disturbances[str(number)] = {"what": what, "when": when, **more}
        self.change(disturbances=disturbances)

    def disturb_all(self, match, what, when="before", **more):
        """Says what is to happen at each call that matches a regular expression."""
        every = self.state()["disturbances"].get("all", [])
        every.append({"match": match, "what": what, "when": when, **more})
        self.change(disturbances={**self.state()["disturbances"], "all": every})

    # What there is

    def shares(self, region=REGION):
        """Who serves which percentage: the number of the revision, and the share."""
        service, found = self.state()["services"][region], {}
        for target in service["traffic"]:
            name = service["latest_ready"] if target["key"] == "LATEST" else target["key"]
            if target["percent"]:
                found[number_of(name)] = found.get(number_of(name), 0) + target["percent"]
        return found

    def tags(self, region=REGION):
        traffic = self.state()["services"][region]["traffic"]
        return {each["tag"]: number_of(each["key"]) for each in traffic if each["tag"]}

    def calls(self, region=REGION):
        """What gcloud was called for, in that region, in the words of GOOD."""
        calls = self.state()["calls"]
        return [shorten(call) for call in calls if f"--region={region}" in call]

    def port(self, name, revision, state):
        """Where a revision really answers."""
        environment = {each["name"]: each["value"] for each in revision["env"]}
        return self.stacks.port(name, state["images"][revision["image"]], environment)

    # Running scripts

    def environment(self, **more):
        return {
            "PATH": f"{self.tools()}:{os.environ['PATH']}",
            "STUB": str(self.directory),
            "HOME": str(self.directory),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ROLLOUT_PATIENCE": "3",
            "ROLLOUT_SOAK": "0.05",
            "ROLLOUT_LIMIT": "60",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": f"{self.address('iam')}/",
            **more,
        }

    def tools(self):
        """A directory that is searched first, with the stubs in it."""
        directory = self.directory / "bin"
        if not directory.exists():
            directory.mkdir()
            for name in ("gcloud", "terraform"):
                (directory / name).symlink_to(HERE / name)
        return directory

    def put_outputs(self, **values):
        """Has Terraform know the project."""
        outputs = {
            "project_id": PROJECT,
            "region": REGION,
            "regions": " ".join(self.regions),
            "service": SERVICE,
            "image": IMAGE,
            "trigger": TRIGGER,
            "url": self.address("service"),
            **values,
        }
        shown = {name: {"value": value} for name, value in outputs.items()}
        (self.directory / "outputs.json").write_text(json.dumps(shown))

    def start(self, command, **environment):
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=self.repository,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command, **environment):
        return Ended(self.start(command, **environment))

    def rollout_command(self, rolled_out, **options):
        options = {
            "project": PROJECT,
            "service": SERVICE,
            "regions": " ".join(self.regions),
            "image": digest_of(rolled_out),
            "commit": rolled_out,
            "private": str(self.private).lower(),
            "candidate-origin": self.origin() if self.behind_load_balancer else "",
            **options,
        }
        return [SCRIPTS / "rollout", *(f"--{name}={value}" for name, value in options.items())]

    def add_image(self, commit, contains=None):
        """Makes the image of a commit known; it may contain another one."""
        self.change(images={**self.state()["images"], digest_of(commit): contains or commit})

    def rollout(self, commit, contains=None, **environment):
        self.add_image(commit, contains)
        return self.run(self.rollout_command(commit), **environment)


class Ended:
    """What came of a program."""

    def __init__(self, process, seconds=60):
        try:
            self.log = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired as late:
            process.kill()
            raise AssertionError(f"still running after {seconds} s: {late.output}")
        self.status = process.returncode

    def __repr__(self):
        return f"status {self.status}, and it said:\n{self.log}"
