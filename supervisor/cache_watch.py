"""Watches what nginx's cache needs: a directory that can be written to, and a clock that goes on.

nginx closes the connection of whoever asks for what it cannot keep, and keeps what a clock that was
set back makes young again. So once a second a file is written there; where that fails, nginx goes on
without the cache, and with it again when it has been well for a while (docs/design.md).
"""

import os
import shutil
import time

PROBE_SIZE = 64 * 1024  # bytes: more than nginx writes in a second, of greetings of 400 each
PERIOD = 1  # seconds between two looks
RECOVERY = 5  # looks in a row that must be good: a disk that is nearly full is so again and again
JUMP = 2  # seconds, by which two clocks never differ without one being set


class CacheWatch:
    """run_dir: its path. log: what says so. reload: has nginx read its configuration again."""

    def __init__(self, run_dir, log, reload):
        self.run_dir, self.directory = run_dir, f"{run_dir}/cache"
        self.log, self.reload = log, reload
        self.used, self.good = True, 0  # whether nginx uses it; looks in a row that were good
        self.next = 0
        self.offset = time.time() - time.monotonic()  # between the two clocks

    def tick(self):
        """To be called at least once a second."""
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + PERIOD
        self.look_at_clock(time.time() - time.monotonic())
        self.judge(self.problem())

    def look_at_clock(self, offset):
        """What was kept before the clock was set has the wrong age, so it goes. A machine that was
        asleep, or a container that was paused, looks the same, and it does no harm there."""
        seconds = offset - self.offset
        if abs(seconds) > JUMP and self.used:
            self.log.write("NOTICE", f"the clock was set by {seconds:.0f} s: the cache is emptied")
            self.empty()
            self.reload()
        self.offset = offset

    def judge(self, problem):
        self.good = 0 if problem else self.good + 1
        if self.used and problem:
            self.switch()
            self.log.write("WARNING", f"going on without the cache: {problem}")
        elif not self.used and self.good >= RECOVERY:
            self.empty()
            self.switch()
            self.log.write("NOTICE", "the cache can be written to again, and is used")

    def problem(self):
        """Why nginx cannot write there, None if it can. A directory that is gone is made again."""
        path = f"{self.directory}/probe"
        try:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            try:
                with open(path, "wb") as file:
                    file.write(bytes(PROBE_SIZE))
            finally:
                if os.path.exists(path):
                    os.unlink(path)
        except OSError as error:
            return f"{self.directory}: {error.strerror}"
        return None

    def switch(self):
        """Exchanges the two configurations by their names, which takes no room."""
        current, spare, between = (
            f"{self.run_dir}/cache{suffix}.conf" for suffix in ("", "-spare", "-between")
        )
        try:
            os.rename(current, between)
            os.rename(spare, current)
            os.rename(between, spare)
        except OSError as error:
            self.log.write("ERROR", f"{current} cannot be exchanged: {error.strerror}")
        self.used = not self.used
        self.reload()

    def empty(self):
        """Removes what is kept. nginx takes a file that is gone for an answer that is not there."""
        for name in os.listdir(self.directory) if os.path.isdir(self.directory) else ():
            path = f"{self.directory}/{name}"
            try:
                os.unlink(path)
            except IsADirectoryError:
                shutil.rmtree(path, ignore_errors=True)
            except OSError:
                pass  # nginx has removed it
