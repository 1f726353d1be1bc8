"""The servers that are compared: ours in three settings, and its peers."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
from typing import NamedTuple

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PEERS = REPOSITORY / "bench/peers"
BUILD = pathlib.Path(os.environ.get("BUILD", f"{REPOSITORY}/build")) / "bench"
RESPONDER = os.environ.get("RESPONDER", f"{REPOSITORY}/build/responder")

PYTHON = "/usr/bin/python3"  # the one that Debian's packages belong to
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin"  # where Debian has nginx and php-fpm
ENGINE = shutil.which("podman") or shutil.which("docker")
IMAGE = os.environ.get("IMAGE", "hello-fcgi")

TYPICAL = 64  # connections with which servers are compared
CROWD = 1000  # connections with which each one's share, and memory, are looked at


class Setting(NamedTuple):
    """One server. {run_dir}, {port}, {cpus} and {name} in commands and environment, and @RUN_DIR@,
    @PORT@, @CPUS@ and @PEERS@ in files, are filled in when it is started (server.py)."""

    name: str
    commands: list  # started in this order
    environment: dict = {}
    files: dict = {}  # name in the run directory: name in bench/peers
    build: tuple = ()  # the command that makes its program
    needs: tuple = ()  # other programs
    module: str = ""  # of Python
    container: bool = False

    def missing(self):
        """What this machine lacks for it, in words, or None."""
        lacking = [name for name in self.needs if not shutil.which(name, path=PATH)]
        if self.module and not importlib.util.find_spec(self.module):
            lacking.append(self.module)
        if lacking:
            return f"{', '.join(lacking)} not found: make bench-deps"
        if self.container and not image_exists():
            return f"no image {IMAGE}: make image"
        return None


def image_exists():
    command = [ENGINE, "image", "inspect", IMAGE]
    return ENGINE and subprocess.run(command, capture_output=True, check=False).returncode == 0


def php_fpm():
    """Debian puts PHP's version into the program's name."""
    return str(max(pathlib.Path("/usr/sbin").glob("php-fpm*"), default="php-fpm"))


NGINX = ["nginx", "-e", "stderr", "-c", "{run_dir}/nginx.conf"]


def nginx_files(location):
    return {"nginx.conf": "nginx.conf", "location.conf": location}



def ours(name, cache, checkout=REPOSITORY, responder=RESPONDER):
    """As `make run` and the container start it."""
    return Setting(
        name=name,
        commands=[[PYTHON, "-I", f"{checkout}/supervisor/start.py"]],
        environment={"RESPONDER": responder, "RUN_DIR": "{run_dir}/run", "CACHE": cache},
    )


def theirs(checkout):
    """Ours from another checkout, which has been built."""
    where, responder = checkout.resolve(), f"{checkout.resolve()}/build/responder"
    return [
        ours(f"{setting.name}, {checkout}", setting.environment["CACHE"], where, responder)
        for setting in (DEFAULT, CACHE_OFF)
    ]


# As sealed as Cloud Run may run it.
CONTAINER = [
    *(ENGINE or "podman", "run", "--rm", "--name={name}", "--network=host", "--read-only"),
    *("--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges"),
    *("--no-healthcheck", "--cpus=1", "--env=PORT={port}", IMAGE),
]
# The pool as spawn-fcgi's and multiwatch's documentation has it: four processes on one socket.
POOL = [
    *("spawn-fcgi", "-n", "-s", "{run_dir}/peer.sock", "-M", "0666", "-b", "1024", "--"),
    *("/usr/bin/multiwatch", "-f", "4", "--", f"{BUILD}/textbook"),
]
GUNICORN = [
    *(PYTHON, "-m", "gunicorn", "--chdir", str(PEERS), "--bind", "127.0.0.1:{port}"),
    *("--workers", "{cpus}", "--threads", "8", "hello:app"),
]

LIMIT = Setting(
    name="nginx `return 200`", commands=[NGINX], files=nginx_files("limit.conf"), needs=("nginx",)
)
DEFAULT = ours("hello-fcgi", "on")
CACHE_OFF = ours("hello-fcgi, cache off", "off")
ONE_CPU = Setting(name="hello-fcgi, container, 1 CPU", commands=[CONTAINER], container=True)
GO = Setting(
    name="Go net/http",
    commands=[[f"{BUILD}/hello-go"]],
    build=("go", "build", "-o", f"{BUILD}/hello-go", f"{PEERS}/hello.go"),
    needs=("go",),
)
NODE = Setting(name="node http", commands=[["node", f"{PEERS}/hello.js"]], needs=("node",))
TEXTBOOK = Setting(
    name="FCGI_Accept pool",
    commands=[POOL, NGINX],
    files=nginx_files("textbook.conf"),
    build=("cc", "-O2", "-o", f"{BUILD}/textbook", f"{PEERS}/textbook.c", "-lfcgi"),
    needs=("nginx", "spawn-fcgi", "multiwatch", "cc"),
)
PHP = Setting(
    name="PHP-FPM",
    commands=[[php_fpm(), "--fpm-config", "{run_dir}/php-fpm.conf"], NGINX],
    files={**nginx_files("php.conf"), "php-fpm.conf": "php-fpm.conf"},
    needs=("nginx", php_fpm()),
)
GUNICORN_FLASK = Setting(
    name="gunicorn, Flask", commands=[GUNICORN], needs=("gunicorn",), module="flask"
)
FLASK = Setting(name="Flask", commands=[[PYTHON, f"{PEERS}/hello.py"]], module="flask")

SETTINGS = [
    *(LIMIT, DEFAULT, CACHE_OFF, ONE_CPU),
    *(GO, NODE, TEXTBOOK, PHP, GUNICORN_FLASK, FLASK),
]
