"""A steady load of GETs on kept connections, as a program of its own, so that what injects the faults
does not take its time.

usage: clients.py PORT CONNECTIONS       until SIGTERM; then prints what it saw as JSON

Half of the requests can be answered by the cache, half only by the responder; each answer is compared
with what it has to be. A request on a kept connection that is closed without one byte is sent once
more on a new one, which is what HTTP clients do (RFC 9110 section 9.2.2); that is `retried`. Everything
else that is not the right answer within 10 s is `failed`: a refused connection, a connection that was
made for the request and closed, an answer that broke off, a wrong status, a wrong body.
"""

import collections
import json
import random
import selectors
import signal
import socket
import sys
import time

PATIENCE_S = 10
BUCKET_S = 0.1  # in which answers are counted
TARGETS = {
    "/": b"Hello World\n",
    **{f"/?name=n{number}": b"Hello n%d\n" % number for number in range(8)},
}


class Client:
    """One connection and the request that is under way on it."""

    def __init__(self, load):
        self.load, self.socket, self.kept = load, None, False
        self.begin(time.monotonic())

    def begin(self, now):
        """Sends the next request."""
        self.target = random.choice(("/", random.choice(list(TARGETS))))
        self.started, self.tries = now, 0
        self.load.sent += 1
        self.send()

    def send(self):
        self.got = b""
        self.tries += 1
        try:
            if not self.kept:
                self.connect()
            self.socket.send(f"GET {self.target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        except OSError as error:
            self.lost(repr(error))

    def connect(self):
        self.close()
        self.socket = socket.create_connection(("127.0.0.1", self.load.port), PATIENCE_S)
        self.socket.setblocking(False)
        self.load.selector.register(self.socket, selectors.EVENT_READ, self)

    def close(self):
        if self.socket:
            self.load.selector.unregister(self.socket)
            self.socket.close()
        self.socket, self.kept = None, False

    def read(self):
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            self.lost(repr(error))
            return
        self.got += data
        if not data:
            self.lost("closed")
            return
        head, end, body = self.got.partition(b"\r\n\r\n")
        fields = head.lower()
        length = fields.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if end and length and len(body) >= int(length):
            self.finish(head, body, kept=b"connection: close" not in fields)

    def finish(self, head, body, kept):
        if not head.startswith(b"HTTP/1.1 200 ") or body != TARGETS[self.target]:
            self.load.fail(f"{self.target}: {(head.splitlines()[0] + b' ' + body[:80]).decode()}")
        now = time.monotonic()
        self.load.answered(now, now - self.started)
        self.kept = kept
        if not kept:
            self.close()
        self.load.ready.append(self)

    def lost(self, why):
        was_kept, silent = self.kept, not self.got
        self.close()
        if was_kept and silent and self.tries == 1:
            self.load.retried += 1
            self.send()
            return
        self.load.fail(f"{self.target}: {why} after {len(self.got)} bytes, try {self.tries}")
        self.load.later.append((time.monotonic() + BUCKET_S, self))  # no loop of refused ones


class Load:
    def __init__(self, port, connections):
        self.port, self.selector = port, selectors.DefaultSelector()
        self.sent, self.retried, self.failed, self.failures = 0, 0, 0, []
        self.latencies, self.buckets = collections.Counter(), collections.Counter()
        self.ready, self.later, self.stopping = collections.deque(), collections.deque(), False
        signal.signal(signal.SIGTERM, self.stop)
        self.clients = [Client(self) for _ in range(connections)]

    def stop(self, *_):
        self.stopping = True

    def fail(self, what):
        self.failed += 1
        self.failures = [*self.failures, what][:20]

    def answered(self, now, seconds):
        self.latencies[round(seconds * 1e4)] += 1
        self.buckets[int(now / BUCKET_S)] += 1

    def run(self):
        looked = time.monotonic()
        while not self.stopping:
            for key, _ in self.selector.select(0.05):
                key.data.read()
            now = time.monotonic()
            while self.later and self.later[0][0] < now:
                self.ready.append(self.later.popleft()[1])
            for _ in range(len(self.ready)):
                self.ready.popleft().begin(now)
            if now - looked > 1:
                looked = now
                for client in self.clients:
                    if client.socket and now - client.started > PATIENCE_S:
                        client.tries = 2
                        client.lost("nothing")

    def result(self):
        total, seen, quantiles = sum(self.latencies.values()), 0, {}
        for tenths, count in sorted(self.latencies.items()):
            seen += count
            for quantile in (0.5, 0.99, 0.999, 1.0):
                if seen >= quantile * total:
                    quantiles.setdefault(str(quantile), tenths / 10)
        return {
            "sent": self.sent,
            "retried": self.retried,
            "failed": self.failed,
            "failures": self.failures,
            "latency_ms": quantiles,
            "buckets": self.buckets,
        }


if __name__ == "__main__":
    load = Load(int(sys.argv[1]), int(sys.argv[2]))
    print("started", flush=True)
    load.run()
    print(json.dumps(load.result()))
