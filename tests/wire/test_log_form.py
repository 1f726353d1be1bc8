"""JSON where a program reads the log, text where a person does."""

import json
import os
import pty
import re
import socket
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).parents[2] / "build"))
REFUSED = 'GREETING="": must be 1 to 64 characters'
WRONG = 78  # EX_CONFIG


def refusal(*arguments, stdin=subprocess.DEVNULL):
    ended = subprocess.run(
        [BUILD / "responder", *arguments],
        stdin=stdin,
        env={"GREETING": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == WRONG and ended.stderr.count("\n") == 1, ended
    return ended.stderr


def listening_socket(tmp_path):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    listening.listen()
    return listening


@pytest.mark.parametrize("arguments", [[], ["--single"]])
def test_a_service_refuses_a_setting_in_json(tmp_path, arguments):
    with listening_socket(tmp_path) as listening:
        line = json.loads(refusal(*arguments, stdin=listening))
    assert line["severity"] == "ERROR" and line["component"] == "responder", line
    assert line["message"].startswith(REFUSED), line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"]), line


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_by_hand_it_is_refused_in_text(arguments):
    assert refusal(*arguments).startswith(f"responder: {REFUSED}")


def test_on_a_terminal_it_is_refused_in_text(tmp_path):
    ours, theirs = pty.openpty()
    with listening_socket(tmp_path) as listening:
        ended = subprocess.run(
            [BUILD / "responder"],
            stdin=listening,
            stderr=theirs,
            env={"GREETING": ""},
            check=False,
        )
    os.close(theirs)
    said = os.read(ours, 4096).decode()
    os.close(ours)
    assert ended.returncode == WRONG and said.startswith(f"responder: {REFUSED}"), said
