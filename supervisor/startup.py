"""The start of the programs, until the service answers for the first time.

What they say meanwhile is kept: a start that fails is said in one line, the first complaint, of which
all others are consequences.
"""

import json
import time

import entry as entries

PATIENCE = 10  # seconds; a start takes 0.1, and 20 times as long on a machine that is overloaded
GRACE = 1  # second for which it may still succeed after a complaint
KEPT_MAX = 1000  # entries
COMPLAINTS = ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
REFUSALS = ("Operation not permitted", "Function not implemented")  # EPERM, ENOSYS


def advise(message):
    """What to do about a system call that is refused."""
    if any(refusal in message for refusal in REFUSALS):
        return f"{message}. The kernel or a seccomp profile refuses this call: allow it"
    return message


class Startup:
    """Stands in for the log as long as the start lasts. silence: what is wrong when nobody
    complains."""

    as_text, pending = False, ()

    def __init__(self, silence):
        self.kept, self.problem = [], None
        self.silence = silence
        self.left, self.looked = PATIENCE, time.monotonic()

    def add(self, entry, component, pid=None):
        entry.setdefault("time", entries.now())
        if len(self.kept) < KEPT_MAX:
            self.kept.append((entry, component, pid))
        if entry["severity"] in COMPLAINTS:
            self.complain(f"{component}: {entry['message']}")

    def pass_on(self, lines):
        for line in bytes(lines).splitlines():
            entry = json.loads(line)
            self.add(entry, entry.get("component", "nginx"))

    def flush(self, _seconds=0):
        return True

    def complain(self, problem, grace=GRACE):
        """The first complaint is the one that counts."""
        self.problem = self.problem or advise(problem)
        self.left = min(self.left, grace)

    def failure(self):
        """Why the start has failed; None as long as it has not. What it was paused for (a frozen
        container) does not count."""
        now = time.monotonic()
        self.left -= min(now - self.looked, 1)
        self.looked = now
        if self.left > 0:
            return None
        return f"the service cannot start: {self.problem or self.silence}"

    def release(self, log):
        """Passes on what was kept."""
        for entry, component, pid in self.kept:
            log.add(entry, component, pid)
        self.kept = []
