"""The terminal in which `make run` was typed."""

import contextlib
import os
import signal


def take():
    """Under make in a terminal: becomes its foreground process group, so that Ctrl-C reaches this
    process alone. make would die of it, and `make run` would end with an error. Returns the group
    that was there before."""
    try:
        group = os.tcgetpgrp(0)
    except OSError:
        return None  # no terminal
    if group != os.getpgrp() or group == os.getpid():
        return None
    try:
        os.setpgid(0, 0)
    except OSError:
        return None
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # what tcsetpgrp from the background would get
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # the shell would not see that this one stopped
    os.tcsetpgrp(0, os.getpid())
    return group


def give_back(group):
    if group is not None:
        with contextlib.suppress(OSError):  # the terminal is gone, or make is
            os.tcsetpgrp(0, group)
