"""Each allocation of the responder's processes refused once in turn: one request gets an error or a
dropped connection at worst. libfcgi checks its own allocations by assert: a worker ends by SIGABRT
there, says so, and is replaced."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("BUILD", Path(__file__).parents[2] / "build"))
REFUSER = BUILD / "tests" / "memory.so"
ALLOCATIONS = 48  # more than the parent takes to start, or a worker to start and to answer twice
WORDS = b"Hello World"

pytestmark = pytest.mark.skipif(
    "sanitize" in str(BUILD), reason="the sanitizers have a malloc of their own"
)


def environment(refused, **variables):
    return {"LD_PRELOAD": str(REFUSER), "REFUSED": str(refused), **variables}


def record(kind, content):
    return bytes([1, kind, 0, 1, *len(content).to_bytes(2, "big"), 0, 0]) + content


def request(**parameters):
    pairs = b"".join(
        bytes([len(name), len(value)]) + name.encode() + value.encode()
        for name, value in parameters.items()
    )
    begin = record(1, bytes([0, 1, 0, 0, 0, 0, 0, 0]))
    return begin + record(4, pairs) + record(4, b"") + record(5, b"")


def ask(path):
    """What one request gets, b"" where the connection is dropped."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        try:
            connection.sendall(request(REQUEST_METHOD="GET", REQUEST_URI="/?format=json"))
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "process", [{}, {"IN": "child"}, {"IN": "child", "SANDBOX": "off"}]
)
@pytest.mark.parametrize("refused", range(1, ALLOCATIONS))
def test_a_service_that_is_refused_memory_once_goes_on(tmp_path, process, refused):
    path, log = str(tmp_path / "socket"), tmp_path / "log"
    with socket.socket(socket.AF_UNIX) as listening, open(log, "wb") as stderr:
        listening.bind(path)
        listening.listen()
        with subprocess.Popen(
            [BUILD / "responder"],
            stdin=listening,
            stderr=stderr,
            env=environment(refused, WORKERS="1", **process),
        ) as parent:
            listening.close()
            try:
                answers = [ask(path) for _ in range(3)]
            except OSError as error:  # it has ended, and says why
                assert parent.wait(20) in (70, 71), f"{error}: {log.read_text()}"
                assert "responder" in log.read_text()
                return
            finally:
                parent.terminate()
    said = log.read_text()
    lost = [answer for answer in answers if WORDS not in answer]
    assert lost in ([], [b""]) or (len(lost) == 1 and b"Status: 500" in lost[0]), f"{lost}{said}"
    assert "killed by signal" not in said.replace("killed by signal 6", ""), said
    assert ("killed by signal 6" in said) == ("Assertion" in said), said


@pytest.mark.parametrize("refused", range(1, ALLOCATIONS))
def test_a_cgi_program_that_is_refused_memory_once_answers_or_fails(refused):
    ended = subprocess.run(
        [BUILD / "responder"],
        env=environment(refused, REQUEST_METHOD="GET", REQUEST_URI="/?format=json"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert ended.returncode >= 0, ended
    answered = WORDS in ended.stdout or b"Status: 500" in ended.stdout
    assert answered or ended.returncode > 0, ended
