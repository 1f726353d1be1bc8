"""A run of the end-to-end tests leaves no service running, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "e2e"))
from service import process_table, wait_until  # noqa: E402

INNER = """
from pathlib import Path
from conftest import directory, launch, service_kind, start

def test_that_says_where_it_listens(start):
    service = start()
    Path(__file__).with_name("told").write_text(f"{service.port} {service.directory}")
    %s
"""


def of_port(port):
    """The processes of the service that listens there."""
    found = []
    for process in process_table():
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"PORT={port}".encode() in environment:
            found.append(process)
    return found


SLEEP = "__import__('time').sleep(60)"


@pytest.mark.parametrize(
    ("then", "number", "options"),
    [
        ("assert False", None, []),
        (SLEEP, signal.SIGINT, []),
        (SLEEP, signal.SIGTERM, []),
        (SLEEP, signal.SIGKILL, []),
        (SLEEP, signal.SIGKILL, ["-n", "1"]),
    ],
)
def test_no_service_is_left_running(tmp_path, then, number, options):
    (tmp_path / "test_inner.py").write_text(INNER % then)
    told = tmp_path / "told"
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "tests" / "e2e"),
        "TARGETS": "native",
        "RESPONDER": os.environ.get("RESPONDER", str(REPOSITORY / "build" / "responder")),
    }
    command += [*options, tmp_path]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=tmp_path) as run:
        said = wait_until(lambda: told.exists() and told.read_text(), 20, "it says its port")
        port, directory = said.split()
        if number:
            run.send_signal(number)
        said, _ = run.communicate(timeout=30)
    assert run.returncode in (1, 2, -signal.SIGTERM, -signal.SIGKILL), said
    wait_until(lambda: not of_port(port), 30, lambda: f"{of_port(port)} end")
    wait_until(lambda: not os.path.exists(directory), 10, f"{directory} is removed")
