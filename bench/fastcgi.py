"""A responder with one worker, and a client that asks it, one request after the other."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

RESPONDER = Path(__file__).resolve().parent.parent / "build" / "responder"


def record(kind, content):
    """A FastCGI record of request 1, padded as nginx does."""
    padding = -len(content) % 8
    header = bytes([1, kind, 0, 1, *len(content).to_bytes(2, "big"), padding, 0])
    return header + content + bytes(padding)


def request(parameters):
    """FCGI_BEGIN_REQUEST (responder, FCGI_KEEP_CONN), FCGI_PARAMS, and the ends of the streams."""
    pairs = b"".join(
        bytes([len(name), len(value)]) + name.encode() + value.encode()
        for name, value in {"REQUEST_METHOD": "GET", **parameters}.items()
    )
    return (
        record(1, bytes([0, 1, 1, 0, 0, 0, 0, 0]))
        + record(4, pairs)
        + record(4, b"")
        + record(5, b"")
    )


def receive(connection, is_whole):
    answer = b""
    while not is_whole(answer):
        more = connection.recv(65536)
        if not more:
            sys.exit(f"the connection was closed after {answer!r}")
        answer += more
    return answer


def ask(connection, data, is_whole, count):
    """Sends a request, waits for the answer, and so on."""
    for _ in range(count):
        connection.sendall(data)
        answer = receive(connection, is_whole)
    return answer


def has_end_request(answer):
    return answer[-16:-14] == b"\1\3"


@contextlib.contextmanager
def responder(directory, counter=(), **settings):
    """A parent with one worker. Yields where it listens."""
    path = f"{directory}/responder.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        environment = {"WORKERS": "1", "LOG_LEVEL": "error", "SANDBOX": "off", **settings}
        command = [*counter, RESPONDER]
        with subprocess.Popen(command, stdin=listening, env={**os.environ, **environment}) as process:
            yield path, process
            terminate(process)
    os.unlink(path)


def terminate(process):
    """strace keeps signals from itself, and ends with its program."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    traced = [int(pid) for pid in children if process.args[0] == "strace"]
    os.kill(traced[0] if traced else process.pid, signal.SIGTERM)
