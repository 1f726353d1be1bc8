"""The running service: says when it serves, passes on what the programs say, and stops in order."""

import signal
import socket
import time

import supervisord
from cache_watch import CacheWatch
from log import LOG, explain
from output import Output
from startup import Startup


class Service(supervisord.Supervisor):
    """nginx and the responder. values: the settings. started: when this process did, by
    time.monotonic()."""

    def __init__(self, options, values, started):
        super().__init__(options)
        self.port, self.started = values["PORT"], started
        self.drain_delay = int(values["DRAIN_DELAY"])
        self.serves = False
        self.stop_at = None  # when it has been told to stop
        self.startup = Startup(f"nothing answers on PORT={self.port}")
        self.output = Output(self.startup)
        self.watch = None
        if values["CACHE"] == "on":
            self.watch = CacheWatch(values["RUN_DIR"], LOG, self.reload_nginx)

    def patience(self):
        if self.stop_at is not None and self.options.mood > 0:
            return min(1, max(0, self.stop_at - time.monotonic()))
        restless = not self.serves or self.output.is_restless()
        return 0.01 if restless else super().patience()

    def tick(self, now=None):
        super().tick(now)
        self.output.tick()
        if self.stop_at is not None and time.monotonic() >= self.stop_at:
            self.stop()
        elif not self.serves and not self.failed:
            self.try_answer()
        elif self.watch and self.options.mood > 0:
            self.watch.tick()

    def heard(self, name, channel, pid, data, undivided=False):
        """supervisord closes the pipe of a program whose output cannot be handled."""
        try:
            self.output.feed(name, channel, pid, data, undivided)
        except Exception as error:  # pylint: disable=broad-except
            LOG.write("CRITICAL", explain(error))

    def lost(self, name, severity, message):
        self.output.close(name)
        if not self.serves and self.options.mood > 0:
            self.startup.complain(f"{name} exits as soon as it is started", grace=0)
        elif not self.failed:
            LOG.write(severity, message)

    def handle_signal(self):
        """The responder is told first, so that /ready is 503 while nginx still takes requests."""
        before = self.options.mood
        super().handle_signal()
        if self.options.mood < before and self.stop_at is None:
            self.signal_program("responder", signal.SIGUSR1)
            self.stop_at = time.monotonic() + self.drain_delay
            if self.drain_delay:
                LOG.write("INFO", f"stopping in {self.drain_delay} s; a second signal: at once")
                self.options.mood = before

    def reload_nginx(self):
        self.signal_program("nginx", signal.SIGHUP)

    def stop(self):
        self.options.mood = supervisord.SHUTDOWN

    def try_answer(self):
        """Asks the service whether it is ready. Not with create_connection: it looks the address up, for
        which Python reads tables of Unicode's names, a twentieth of the start."""
        try:
            with socket.socket() as client:
                client.settimeout(0.5)
                client.connect(("127.0.0.1", int(self.port)))
                client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                self.serves = b" 200 " in client.recv(64)
        except (ConnectionRefusedError, TimeoutError):
            pass  # it will take some time yet
        except OSError as error:
            self.startup.complain(f"asking for /ready on PORT={self.port}: {error.strerror}")
        if self.serves:
            self.output.turn_to(LOG)
            self.startup.release(LOG)
            milliseconds = (time.monotonic() - self.started) * 1000
            url = f"http://localhost:{self.port}"
            LOG.write("INFO", f"serving on {url} after {milliseconds:.0f} ms")
        elif failure := self.startup.failure():
            LOG.write("CRITICAL", failure)
            self.abandon()

    def end(self):
        super().end()
        if not self.serves and not self.failed:  # stopped before it served
            self.output.turn_to(LOG)
            self.startup.release(LOG)
        self.output.end()
