"""What is measured: ours with and without its cache, its peers, and with what load on which CPUs."""

import importlib.util
import os
import pathlib
import shutil
from typing import NamedTuple

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PEERS = REPOSITORY / "bench/peers"
BUILD = pathlib.Path(os.environ.get("BUILD", f"{REPOSITORY}/build")) / "bench"
RESPONDER = os.environ.get("RESPONDER", f"{REPOSITORY}/build/responder")

PYTHON = "/usr/bin/python3"  # the one that Debian's packages belong to
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin"  # where Debian has nginx and php-fpm

TYPICAL = 64  # connections with which servers are compared
CROWD = 1000  # connections with which each one's share, and memory, are looked at


class Setting(NamedTuple):
    """One server. {run_dir}, {port} and {cpus} in commands and environment, and @RUN_DIR@,
    @PORT@, @CPUS@ and @PEERS@ in files, are filled in when it is started (server.py)."""

    name: str
    commands: list  # started in this order
    environment: dict = {}
    files: dict = {}  # name in the run directory: name in bench/peers
    build: tuple = ()  # the command that makes its program
    needs: tuple = ()  # other programs
    module: str = ""  # of Python

    def missing(self):
        """What this machine lacks for it, in words, or None."""
        lacking = [name for name in self.needs if not shutil.which(name, path=PATH)]
        if self.module and not importlib.util.find_spec(self.module):
            lacking.append(self.module)
        if lacking:
            return f"{', '.join(lacking)} not found: make bench-deps"
        return None


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


SPAWN = ["spawn-fcgi", "-n", "-s", "{run_dir}/peer.sock", "-M", "0666", "-b", "1024", "--"]
# The pool as spawn-fcgi's and multiwatch's documentation has it: four processes on one socket.
POOL = [*SPAWN, "/usr/bin/multiwatch", "-f", "4", "--", f"{BUILD}/textbook"]
GUNICORN = [
    *(PYTHON, "-m", "gunicorn", "--chdir", str(PEERS), "--bind", "127.0.0.1:{port}"),
    *("--workers", "{cpus}", "--threads", "8", "hello:app"),
]

def nginx_alone(name, location):
    """Our responder behind an nginx with nothing of ours in its configuration. Both are of the same class as they
    are in the service."""
    batch = ["chrt", "--batch", "0"]
    return Setting(
        name=f"nginx alone, {name}",
        commands=[[*batch, *SPAWN, RESPONDER], [*batch, *NGINX]],
        files={**nginx_files(location), "fastcgi.conf": "fastcgi.conf"},
        needs=("nginx", "spawn-fcgi"),
    )


LIMIT = Setting(
    name="nginx `return 200`", commands=[NGINX], files=nginx_files("limit.conf"), needs=("nginx",)
)
CACHED = nginx_alone("cached", "cached.conf")
PASSED_ON = nginx_alone("passed on", "passed.conf")
DEFAULT = ours("hello-fcgi", "on")
CACHE_OFF = ours("hello-fcgi, cache off", "off")
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


class Part(NamedTuple):
    """What makes a section of the results. In each round its settings, and in every fourth others, too."""

    name: str
    settings: list
    others: list
    connections: tuple
    cpus: float = 0  # of the servers: 0, all that there are; less than one by a quota on one
    rates: tuple = ()  # requests/s, by an open loop, instead of as many as there can be


DECIDING = [LIMIT, DEFAULT, CACHE_OFF, GO]
SCRIPTED = [GUNICORN_FLASK, FLASK]
NGINX_ALONE = [CACHED, PASSED_ON]
SETTINGS = [*DECIDING, *NGINX_ALONE, NODE, TEXTBOOK, PHP, *SCRIPTED]
ALL = Part("All CPUs", [*DECIDING, *NGINX_ALONE], [NODE, TEXTBOOK, PHP, *SCRIPTED], (1, 8, TYPICAL, 256, CROWD))
# 80 is Cloud Run's default concurrency.
ONE = Part("One CPU", [*DECIDING, *NGINX_ALONE], [NODE, PHP, *SCRIPTED], (1, 8, 80), cpus=1)
QUARTER = Part("A quarter of a CPU", DECIDING, SCRIPTED, (1, 8), cpus=0.25)
OPEN = Part(
    "Open loop", DECIDING, [], (256,), cpus=1, rates=(1000, 5000, 10000, 15000, 20000, 25000, 30000, 40000, 60000, 80000)
)
PARTS = (ALL, ONE, QUARTER, OPEN)
