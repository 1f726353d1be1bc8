"""The cloud that the scripts are tested in: a stub of gcloud (the file gcloud beside this one), and
a front end that answers at the addresses of its services and asks the real service behind them."""

import datetime
import http.client
import http.server
import json
import math
import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import run_model
from service import BUILD, REPOSITORY, Native
from store import Store, interfere, is_due, record

HERE = pathlib.Path(__file__).parent
SCRIPTS = REPOSITORY / "cloudbuild"
PROJECT, SERVICE, REGION, OTHER_REGION = "a-project", "hello-fcgi", "europe-west1", "us-central1"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/{SERVICE}/{SERVICE}"
TRIGGER = "hello-fcgi-merge"
ACCOUNT = f"hello-fcgi-deploy@{PROJECT}.iam.gserviceaccount.com"
PLACEHOLDER = "us-docker.pkg.dev/cloudrun/container/hello"
SUFFIXES = {REGION: "abc", OTHER_REGION: "xyz"}

# The calls of gcloud and of the APIs in a good rollout in one region.
GOOD = """token; read; read; read; revision 1; deploy; revisions; read; read; read; tag 2; read;
read; traffic 2=10 1=90; read; read; traffic 2=50 1=50; read; read; traffic 2=100; read; read;
read; untag; read; read; revision 2""".replace("\n", " ").split("; ")
CHANGING = [
    number for number, call in enumerate(GOOD) if call.split()[0] in ("deploy", "tag", "traffic", "untag")
]  # fmt: skip

# Each kind of address on a loopback address of its own, all at one port.
KINDS = {"service": "127.0.1", "candidate": "127.0.2", "origin": "127.0.3", "iam": "127.0.4"}
KINDS |= {"run": "127.0.5", "monitoring": "127.0.6"}


def digest_of(commit):
    """The image of a commit."""
    return f"{IMAGE}@sha256:{commit}{'0' * 24}"


def shorten(call):
    """A call in the words of GOOD."""
    if call[0] == "api":
        return call[3]
    return {"run": "deploy", "auth": "token"}.get(call[0], call[0])


def describe(method, rest, body, service):
    """A call of the API in the words of GOOD."""
    if method == "GET":
        return {"": "read", "revisions": "revisions"}.get(rest) or f"revision {number_of(rest)}"
    if "traffic" not in body:
        return "template"
    new, tag = {}, None
    for target in body["traffic"]:
        if target.get("percent"):
            new[target["revision"]] = target["percent"]
        tag = target["revision"] if target.get("tag") == "candidate" else tag
    words, before = [], run_model.tags(service).get("candidate")
    if new != run_model.shares(service):
        words += ["traffic", *(f"{number_of(name)}={share}" for name, share in new.items())]
    if tag != before:
        words += ["tag", str(number_of(tag))] if tag else ["untag"]
    return " ".join(words or ["write"])


def number_of(revision):
    return int(revision.split("-")[-2])


# --- Services to answer -----------------------------------------------------------------------


class Responders:
    """The program, built for any commit: the project's own objects, linked with another name."""

    def __init__(self, directory):
        self.directory, self.paths, self.lock = directory, {}, threading.Lock()

    def of(self, commit):
        with self.lock:
            return self.path(commit)

    def path(self, commit):
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

    body = None  # what came with the request

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.kind() == "iam":
            return self.issue_token(json.loads(self.body))
        return self.pass_on()

    def do_PUT(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.pass_on()

    def do_GET(self):
        special = {"run": self.run_api, "monitoring": self.monitoring_api}
        return special.get(self.kind(), self.pass_on)()

    def do_PATCH(self):
        self.run_api(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def kind(self):
        address = self.headers["Host"].partition(":")[0].rpartition(".")
        self.index = int(address[2])
        return {network: kind for kind, network in KINDS.items()}[address[0]]

    def issue_token(self, wanted):
        cloud = self.server.cloud
        method = "signJwt" if cloud.private == "iap" else "generateIdToken"
        expected = f"/v1/projects/-/serviceAccounts/{ACCOUNT}:{method}"
        allowed = self.headers["Authorization"] == f"Bearer {cloud.state()['access_token']}"
        if self.path != expected or not allowed or cloud.no_tokens:
            return self.answer(403, b'{"error": "Permission denied"}', "application/json")
        if method == "signJwt":
            claims = json.loads(wanted["payload"])
            good = claims["iss"] == claims["sub"] == ACCOUNT and claims["exp"] - claims["iat"] <= 3600
            token = {"signedJwt": f"for:{claims['aud'] if good else 'nothing'}"}
        else:
            token = {"token": f"for:{wanted['audience']}"}
        return self.answer(200, json.dumps(token).encode(), "application/json")

    def monitoring_api(self):
        """timeSeries.list, as far as it is asked; a page has one series."""
        cloud, url = self.server.cloud, urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if cloud.monitoring.busy:
            cloud.monitoring.busy -= 1
            return self.answer_json(503, {"error": {"status": "UNAVAILABLE"}})
        if url.path != f"/v3/projects/{PROJECT}/timeSeries" or cloud.monitoring.fails:
            return self.answer_json(403, {"error": {"status": "PERMISSION_DENIED"}})
        found, page = cloud.monitoring.series(query), int(query.get("pageToken", ["0"])[0])
        more = {"nextPageToken": str(page + 1)} if page + 1 < len(found) else {}
        return self.answer_json(200, {"timeSeries": found[page : page + 1], **more})

    def run_api(self, body=None):
        """The Admin API v2, with what is to go wrong at this call."""
        cloud, url = self.server.cloud, urllib.parse.urlsplit(self.path)
        parts = re.fullmatch(
            f"/v2/projects/{PROJECT}/locations/([^/]+)/services/{SERVICE}/?(.*)", url.path
        )
        if self.headers["Authorization"] != f"Bearer {cloud.state()['access_token']}":
            return self.answer_json(401, {"error": {"status": "UNAUTHENTICATED"}})
        if not parts or parts[1] not in cloud.regions:
            return self.answer_json(403, {"error": {"status": "PERMISSION_DENIED"}})
        region, rest = parts.groups()
        service = cloud.state()["services"][region]
        words = describe(self.command, rest, body, service)
        disturbance = record(cloud.directory, ["api", region, self.command, words])
        if self.disturb(disturbance, "before"):
            return None
        status, answer = self.change(region, rest, body, dict(urllib.parse.parse_qsl(url.query)))
        return self.disturb(disturbance, "after") or self.answer_json(status, answer)

    def change(self, region, rest, body, query):
        """Does what is asked for. Returns the status and the answer."""
        with Store(self.server.cloud.directory) as state:
            service, behaviour = state["services"][region], state["behaviour"]
            try:
                if body:
                    before, answer = run_model.patch(service, body, query["updateMask"], time.time())
                    service["late"] = {"looks": behaviour.get("late", 0), "shown": before}
                    service["failure"] = behaviour.get("fails", "") if "traffic" in body else ""
                elif rest:
                    page = int(query.get("pageSize", 0)), query.get("pageToken")
                    answer = run_model.get_below(service, rest, *page)
                else:
                    answer = run_model.get(service)
            except run_model.Refused as refused:
                return refused.code, refused.body
        return 200, answer

    def disturb(self, disturbance, moment):
        """Returns whether the call has got all the answer that it gets."""
        cloud = self.server.cloud
        if is_due(disturbance, "signal", moment):
            number = signal.Signals[disturbance["signal"]]
            cloud.process.send_signal(number)
            if number == signal.SIGKILL:
                cloud.process.wait()
            return number == signal.SIGKILL
        interfere(cloud.directory, disturbance, moment)
        if is_due(disturbance, "expire", moment):
            return self.answer_json(401, {"error": {"status": "UNAUTHENTICATED"}})
        if is_due(disturbance, "fail", moment):
            return self.answer_json(disturbance.get("status", 503), {"error": {"message": "odd"}})
        if is_due(disturbance, "hang", moment):
            cloud.released.wait(60)
            return True
        if is_due(disturbance, "cut", moment):
            self.close_connection = True
            return True
        return False

    def answer_json(self, status, body):
        try:
            self.answer(status, json.dumps(body).encode(), "application/json")
        except OSError:
            pass  # whoever asked is gone
        return True

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
        if cloud.private == "iap":  # knows no audience but the address that is asked
            audience = f"http://{self.headers['Host']}/*"
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
        passed = ("Accept", "Content-Type")
        headers = {name: self.headers[name] for name in passed if name in self.headers}
        connection.request(self.command, self.path, self.body, headers)
        response = connection.getresponse()
        self.answer(response.status, response.read(), response.headers["Content-Type"])
        connection.close()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


# --- Cloud Monitoring ---------------------------------------------------------------------------


class Monitoring:
    """Requests that were served, and what Cloud Monitoring says of them when."""

    BUCKETS = {"numFiniteBuckets": 66, "growthFactor": 1.4, "scale": 1.0}

    def __init__(self):
        self.requests = []  # (when, region, revision, status, milliseconds)
        self.fails, self.now, self.lag = False, time.time, 180
        self.busy = 0  # answers that it does not give for now

    def series(self, query):
        begin, end = (self.moment(query[f"interval.{name}Time"][0]) for name in ("start", "end"))
        assert query["aggregation.alignmentPeriod"] == [f"{int(end - begin)}s"], query
        wanted = dict(re.findall(r'(\S+)="([^"]*)"', query["filter"][0]))
        groups = query["aggregation.groupByFields"]
        found = {}
        for when, region, revision, status, duration in self.requests:
            known = begin <= when <= end and when <= self.now() - self.lag
            if known and region == wanted["resource.labels.location"]:
                kind = f"{status // 100}xx" if len(groups) > 1 else None
                found.setdefault((revision, kind), []).append(duration)
        latencies = wanted["metric.type"].endswith("request_latencies")
        return [
            {
                "resource": {"labels": {"revision_name": revision}},
                "metric": {"labels": {"response_code_class": kind} if kind else {}},
                "points": [{"value": self.value(durations, latencies)}],
            }
            for (revision, kind), durations in found.items()
        ]

    @staticmethod
    def moment(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    def value(self, durations, latencies):
        if not latencies:
            return {"int64Value": str(len(durations))}
        counts = [0] * (self.BUCKETS["numFiniteBuckets"] + 2)
        for duration in durations:
            counts[max(0, math.ceil(math.log(duration, self.BUCKETS["growthFactor"])))] += 1
        options = {"exponentialBuckets": self.BUCKETS}
        return {"distributionValue": {"bucketOptions": options, "bucketCounts": list(map(str, counts))}}


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
        self.monitoring = Monitoring()
        self.process = None  # the program that was started last
        self.released = threading.Event()  # ends the calls that hang
        self.server = Server(("0.0.0.0", 0), Handler)
        self.server.cloud = self
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.write(self.first_state(old))

    def close(self):
        self.released.set()
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
        return run_model.new_service(
            SERVICE,
            PROJECT,
            region,
            SUFFIXES[region],
            image,
            labels,
            self.address("service", index),
            self.address("candidate", index),
            time.time() - 86400,
        )

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
        """Says what is to happen at a call of gcloud or the API, counted from 0."""
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
        found = run_model.shares(self.state()["services"][region])
        return {number_of(name): share for name, share in found.items()}

    def tags(self, region=REGION):
        found = run_model.tags(self.state()["services"][region])
        return {tag: number_of(name) for tag, name in found.items()}

    def calls(self, region=REGION):
        """What was called for, in that region or in none, in the words of GOOD."""
        others = {name for name in self.regions if name != region}
        others |= {f"--region={name}" for name in others}
        return [shorten(call) for call in self.state()["calls"] if not others & set(call)]

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
            "ROLLOUT_PATIENCE": "10",  # a service starts in it, also on a busy machine
            "ROLLOUT_SOAK": "0.05",
            "ROLLOUT_LIMIT": "60",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": f"{self.address('iam')}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": f"{self.address('run')}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": f"{self.address('monitoring')}/",
            "ROLLOUT_METRICS": "off",
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
            "deploy_trigger": "",
            "url": self.address("service"),
            **values,
        }
        shown = {name: {"value": value} for name, value in outputs.items()}
        (self.directory / "outputs.json").write_text(json.dumps(shown))

    def start(self, command, **environment):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            cwd=self.repository,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

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
        """Makes the image of a commit known; it may contain another one. Built before a rollout
        counts the seconds until it answers."""
        if self.stacks:
            self.stacks.responders.of(contains or commit)
        self.change(images={**self.state()["images"], digest_of(commit): contains or commit})

    def rollout(self, commit, contains=None, **environment):
        self.add_image(commit, contains)
        return self.run(self.rollout_command(commit), **environment)


def read_until(process, pattern):
    """What a program says, up to the line in which the regular expression matches."""
    said = ""
    while not re.search(pattern, said):
        line = process.stdout.readline()
        assert line, f"it ended without saying {pattern!r}:\n{said}"
        said += line
    return said


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
