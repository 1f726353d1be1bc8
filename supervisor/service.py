"""The running service: says when it serves, and passes on what the programs say."""

import socket
import time

import supervisord
from log import log, say


class Service(supervisord.Supervisor):
    """nginx and the responder. started: when this process did, by time.monotonic()."""

    def __init__(self, options, port, started):
        super().__init__(options)
        self.port, self.started = port, started
        self.serves = False
        self.unfinished = {}  # the last line of each program's output

    def is_restless(self):
        return not self.serves or super().is_restless()

    def tick(self, now=None):
        super().tick(now)
        if not self.serves:
            self.try_answer()

    def heard(self, name, data):
        """Passes it on in whole lines, so that those of different programs never mix."""
        whole, newline, rest = (self.unfinished.get(name, b"") + data).rpartition(b"\n")
        self.unfinished[name] = rest
        say(whole + newline)

    def lost(self, name, severity, message):
        if self.unfinished.get(name):
            say(self.unfinished.pop(name) + b"\n")
        log(severity, message)

    def try_answer(self):
        """Asks the service whether it is ready."""
        try:
            with socket.create_connection(("127.0.0.1", int(self.port)), timeout=0.5) as client:
                client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                self.serves = b" 200 " in client.recv(64)
        except OSError:
            return
        if self.serves:
            milliseconds = (time.monotonic() - self.started) * 1000
            log("INFO", f"serving on http://localhost:{self.port} after {milliseconds:.0f} ms")
