"""Runs a build file of Cloud Build on this machine, and refuses what it could not run as there.

usage: pipeline.py [FILE]      (make pipeline-local; FILE is cloudbuild.yaml)

A rollout waits next to nothing between its shares. ROLLOUT_SOAK=60 makes it wait as in production.
Of the suites only the short ones run, and one that cannot: SUITES=tests runs all.

What is real: the file with its substitutions and its steps in order, in a clone of the present
commit without history, as a build gets; the container engine; a registry on this machine; and the
image that was pushed, which answers for the revisions. What stands in: gcloud and the addresses of
Google (the stub beside this file). The images of the builders are not pulled: a step of one that is
known runs on this machine, and finds of its programs only those that the image has. Anything else
is refused, by name, before the first step: another image, a field of the file that is not in here,
a substitution that nobody sets.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))  # for service.py

import cloud as stub  # noqa: E402
import service  # noqa: E402

EVERYWHERE = """sh bash cat cp cut date dirname env expr false find grep head ls mkdir mktemp mv rm sed
    sleep sort tail tee test touch tr true uname wc""".split()
DOCKER = "gcr.io/cloud-builders/docker:24.0.9"
GCLOUD = "gcr.io/google.com/cloudsdktool/google-cloud-cli"
TERRAFORM = "hashicorp/terraform:1.11.4"
# The programs of each builder's image beside those, from the Dockerfiles that Google publishes, and
# what a step of it runs without an entrypoint. Neither image has jq.
BUILDERS = {
    DOCKER: (["ENGINE", "curl", "make", "python3"], "ENGINE"),
    f"{GCLOUD}:528.0.0-slim": (["gcloud", "curl", "git", "python3"], None),
    TERRAFORM: (["git", "terraform"], "terraform"),
}
BUILD_FIELDS = {"steps", "timeout", "options", "images", "substitutions"}
OPTIONS = {"logging": ["CLOUD_LOGGING_ONLY"], "requestedVerifyOption": ["VERIFIED"]}
STEP_FIELDS = {"id", "name", "entrypoint", "args", "env", "timeout", "allowFailure"}
SUBSTITUTION = re.compile(r"\$(?:(\$)|\{([A-Z0-9_]+)\}|([A-Z_][A-Z0-9_]*))")


class Refused(Exception):
    """What this runner cannot do as Cloud Build does it."""


class StepFailed(Exception):
    """What ends a build."""


# --- The file ---------------------------------------------------------------------------------


def substitute(value, substitutions):
    """The value with its $NAME and ${NAME} filled in, and $$ for a dollar sign."""

    def fill(match):
        if match[1]:
            return "$"
        name = match[2] or match[3]
        if name not in substitutions:
            raise Refused(f"nothing sets the substitution ${name}")
        return substitutions[name]

    if isinstance(value, str):
        return SUBSTITUTION.sub(fill, value)
    if isinstance(value, list):
        return [substitute(each, substitutions) for each in value]
    return value


def seconds(text):
    if not re.fullmatch(r"\d+s", text):
        raise Refused(f"a timeout of {text!r} is not in seconds")
    return int(text[:-1])


def only(known, found, what):
    for name in found:
        if name not in known:
            raise Refused(f"{what} has the field {name}, which this runner does not know")


def load(path, substitutions):
    """The build of a file, its steps filled in. Refuses what cannot be run."""
    build = yaml.safe_load(pathlib.Path(path).read_text())
    only(BUILD_FIELDS, build, "the build")
    for name, value in build.get("options", {}).items():
        if value not in OPTIONS.get(name, []):
            raise Refused(f"the option {name}: {value} is not known to this runner")
    substitutions = {**build.get("substitutions", {}), **substitutions}
    steps = []
    for number, step in enumerate(build["steps"]):
        what = f"step #{number} {step.get('id', '')}".rstrip()
        only(STEP_FIELDS, step, what)
        try:
            steps.append({name: substitute(value, substitutions) for name, value in step.items()})
        except Refused as refusal:
            raise Refused(f"{what}: {refusal}")
        if steps[-1]["name"] not in BUILDERS:
            raise Refused(f"{what}: the programs of the image {steps[-1]['name']} are not known")
    images = substitute(build.get("images", []), substitutions)
    return steps, images, seconds(build.get("timeout", "600s"))


# --- The registry -----------------------------------------------------------------------------


class Registry:
    """Docker's registry, on a port of its own. It is told where to listen, so the port is looked
    for before."""

    def __init__(self, directory):
        self.holder = service.reserve_port()
        self.host = f"127.0.0.1:{service.port_of(self.holder)}"
        (directory / "registry.yaml").write_text(
            f"version: 0.1\nhttp: {{addr: '{self.host}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory}/registry}}}}\n"
        )
        self.log = open(directory / "registry.log", "w")
        program = shutil.which("docker-registry")
        if program is None:
            raise Refused("there is no registry to push to: apt-get install docker-registry")
        self.process = subprocess.Popen(
            [program, "serve", directory / "registry.yaml"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        port = service.port_of(self.holder)
        service.wait_until(lambda: service.listens(port), 20, "the registry listens")
        # podman is told that it speaks HTTP; docker takes that for granted on this address.
        self.configuration = directory / "registries.conf"
        self.configuration.write_text(f'[[registry]]\nlocation = "{self.host}"\ninsecure = true\n')

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.holder.close()


class Revisions:
    """Containers of what was pushed, one for each revision that is asked."""

    def __init__(self, engine):
        self.engine, self.running, self.images = engine, {}, set()
        self.lock = threading.Lock()

    def port(self, name, image):
        with self.lock:
            if name not in self.running:
                subprocess.run(
                    [self.engine, "pull", "--quiet", image], check=True, stdout=subprocess.DEVNULL
                )
                self.images.add(image)
                service.Container.image = image
                self.running[name] = service.Container(K_SERVICE=stub.SERVICE, K_REVISION=name)
                self.running[name].wait_ready()
        return self.running[name].port

    def end(self):
        for container in self.running.values():
            container.stop()
            container.end()
        for image in self.images:
            subprocess.run([self.engine, "rmi", image], capture_output=True)


class Cloud(stub.Cloud):
    """The stub's, in which revisions are containers."""

    revisions = None

    def port(self, name, revision, state):
        return self.revisions.port(name, revision["image"])


# --- Running it -------------------------------------------------------------------------------


class Pipeline:
    """The place in which build files are run, one after the other."""

    def __init__(self, out=sys.stdout, checkout=service.REPOSITORY):
        self.out, self.checkout = out, checkout

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.set_up(stack)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def set_up(self, stack):
        """Starts what there is beside the steps, and says how it ends."""
        asked = subprocess.run([self.checkout / "scripts/engine"], capture_output=True, text=True)
        if asked.returncode != 0:
            raise Refused(asked.stderr.strip())
        self.engine = asked.stdout.strip()
        self.commit = self.git("rev-parse", "HEAD", cwd=self.checkout)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pipeline-", dir="/tmp"))
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        registry = Registry(self.directory)
        stack.callback(registry.close)
        # For the engine in here and in the steps.
        os.environ["CONTAINERS_REGISTRIES_CONF"] = str(registry.configuration)
        stack.callback(os.environ.pop, "CONTAINERS_REGISTRIES_CONF")
        self.host = registry.host
        self.image = f"{self.host}/{stub.SERVICE}/{stub.SERVICE}"
        stack.callback(self.remove_images)
        self.cloud = Cloud(self.directory, None, None, old=None)
        stack.callback(self.cloud.close)
        self.cloud.revisions = Revisions(self.engine)
        stack.callback(self.cloud.revisions.end)

    def git(self, *arguments, cwd):
        return subprocess.run(
            ["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True
        ).stdout.strip()

    def remove_images(self):
        """The names of this run; the layers stay, as any cache."""
        listed = subprocess.run(
            [self.engine, "images", "--format={{.Repository}}:{{.Tag}}"],
            capture_output=True, text=True,
        ).stdout.split()  # fmt: skip
        local = ("localhost/pull-request:", "localhost/package-changes:")
        names = [name for name in listed if name.startswith((self.host, *local))]
        for name in names:
            subprocess.run([self.engine, "rmi", name], capture_output=True)

    def substitutions(self, **more):
        """What the trigger sets (terraform/delivery.tf), and what Cloud Build does."""
        return {
            "PROJECT_ID": stub.PROJECT,
            "COMMIT_SHA": self.commit,
            "_IMAGE": self.image,
            "_CACHE": f"{self.image}-cache",
            "_SERVICE": stub.SERVICE,
            "_REGIONS": " ".join(self.cloud.regions),
            "_PRIVATE": "false",
            "_CANDIDATE_ORIGIN": "",
            "_SBOM": f"{stub.SERVICE}-sbom",
            "_SCAN": "europe",
            "_REGION": self.cloud.regions[0],
            "_TRIGGER": stub.TRIGGER,
            **more,
        }

    def clone(self):
        """A workspace: the commit and no history."""
        workspace = pathlib.Path(tempfile.mkdtemp(prefix="workspace-", dir=self.directory))
        self.git("init", "--quiet", cwd=workspace)
        self.git("remote", "add", "origin", f"file://{self.checkout}", cwd=workspace)
        self.git("fetch", "--quiet", "--depth=1", "origin", self.commit, cwd=workspace)
        self.git("checkout", "--quiet", self.commit, cwd=workspace)
        return workspace

    def tools(self, image):
        """A directory with the programs of an image, and no others."""
        directory = self.directory / f"bin-{len(os.listdir(self.directory))}"
        directory.mkdir()
        for name in (*EVERYWHERE, *BUILDERS[image][0]):
            if name == "ENGINE":
                # With this machine's programs, which the engine itself needs.
                wrapper = directory / self.engine
                program = shutil.which(self.engine)
                one_at_a_time = f"flock --close {service.BUILD_LOCK}"
                wrapper.write_text(
                    f"#!/bin/sh\nexport PATH='{os.environ['PATH']}'\n"
                    f"[ \"$1\" != build ] || exec {one_at_a_time} {program} \"$@\"\n"
                    f"exec {program} \"$@\"\n"
                )
                wrapper.chmod(0o755)
            elif name == "gcloud":
                (directory / name).symlink_to(stub.HERE / "gcloud")
            elif name == "python3":
                (directory / name).symlink_to("/usr/bin/python3")
            elif program := shutil.which(name):
                (directory / name).symlink_to(program)
        return directory

    def environment(self, step):
        kept = ("HOME", "XDG_RUNTIME_DIR", "CONTAINERS_REGISTRIES_CONF", "CONTAINERS_CONF")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            **self.cloud.environment(),
            "ROLLOUT_LIMIT": "600",
            "SUITES": os.environ.get("SUITES", "tests/unit tests/image"),
            **{name: value for name, value in os.environ.items() if name.startswith("ROLLOUT_")},
            "HOME": os.environ.get("HOME", "/"),
            "CONTAINER_ENGINE": self.engine,
            "PATH": str(self.tools(step["name"])),
            **dict(each.split("=", 1) for each in step.get("env", [])),
        }

    def run_step(self, step, workspace, deadline):
        entrypoint = step.get("entrypoint", BUILDERS[step["name"]][1])
        if entrypoint == "ENGINE":
            entrypoint = self.engine
        environment = self.environment(step)
        left = min(seconds(step.get("timeout", "86400s")), deadline - time.monotonic())
        program = shutil.which(entrypoint or "", path=environment["PATH"])
        if program is None:
            raise StepFailed(f"{step['name']} has no program {entrypoint}")
        process = subprocess.Popen(
            [program, *step.get("args", [])], cwd=workspace, env=environment,
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout=left)
        except subprocess.TimeoutExpired:
            status = f"no end after {left:.0f} s"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()
        if status != 0:
            raise StepFailed(f"status {status}")

    def say(self, text):
        print(text, file=self.out, flush=True)

    def run(self, path, without=(), **substitutions):
        """Runs a file, but for steps with these ids. Raises StepFailed, as a build would fail, and
        Refused."""
        steps, images, timeout = load(path, self.substitutions(**substitutions))
        steps = [step for step in steps if step.get("id") not in without]
        workspace, deadline = self.clone(), time.monotonic() + timeout
        for number, step in enumerate(steps):
            started, what = time.monotonic(), f"Step #{number} - \"{step.get('id', '')}\""
            self.say(f"Starting {what}: {step['name']}")
            try:
                self.run_step(step, workspace, deadline)
            except StepFailed as failure:
                if not step.get("allowFailure"):
                    raise StepFailed(f"{what} failed: {failure}")
                self.say(f"{what} failed, which is allowed: {failure}")
            self.say(f"Finished {what} after {time.monotonic() - started:.1f} s")
        for image in images:
            self.say(f"PUSH {image}")
            subprocess.run(
                [self.engine, "push", "--quiet", image],
                check=True,
                stdout=self.out,
                stderr=self.out,
            )


def main(path="cloudbuild.yaml"):
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    started = time.monotonic()
    try:
        with Pipeline() as pipeline:
            print(f"commit {pipeline.commit}; what is not committed is not in it", flush=True)
            pipeline.run(path)
            shares = pipeline.cloud.shares()
    except (Refused, StepFailed) as failure:
        sys.exit(f"pipeline-local: {path}: {failure}")
    print(f"{path} succeeded after {time.monotonic() - started:.1f} s; revision: share {shares}")


if __name__ == "__main__":
    main(*sys.argv[1:])
