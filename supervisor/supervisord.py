"""supervisord's own classes (4.2.5 is in Debian 12, 13 and Ubuntu 24.04), adapted where they are too
slow or too quiet for a container, and nothing else. With each adaptation stands the version of
supervisor that has it, and the test that fails without it (tests/supervisor/adaptations.py takes each
out); the figures are in docs/design.md.
"""

import contextlib
import fcntl
import importlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import types

from log import LOG, fail

PIPE_SIZE = 1024 * 1024  # what an ordinary user may ask for (pipe-max-size)
FLOW_PAUSE_MS = 10  # in which 100,000 lines/s of 400 bytes fill less than half of it

# --- Stand-ins for modules ----------------------------------------------------------------------
#
# Each brings more than 10 ms of the start or 1 MB of the image.


class EntryPoint:
    """All that supervisor takes from pkg_resources, whose import takes 40 to 53 ms (Python 3.13 and
    3.11), three times as long as all other imports. supervisor 4.3.0 does without.
    Test: test_what_the_image_leaves_out_is_not_needed."""

    def __init__(self, specification):
        self.module, self.name = specification.partition("=")[2].split(":")

    @classmethod
    def parse(cls, specification):
        return cls(specification)

    def resolve(self):
        return getattr(importlib.import_module(self.module), self.name)


class Nothing(types.ModuleType):
    """A module in which every name is there, and is a function that returns an empty list."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_: []


sys.modules["pkg_resources"] = types.SimpleNamespace(EntryPoint=EntryPoint)

# What supervisorctl is served by, and what getopt explains mistakes with, where there is no supervisorctl,
# as in the image: 17 to 21 ms and 1.9 MB, of which http and xmlrpc, with what they import, have 1 MB
# each, and 6 ms for the second line. No supervisor can leave it out.
# Test: test_what_the_image_leaves_out_is_not_needed.
if not os.path.exists("/usr/bin/supervisorctl"):
    for unused in (
        *("http", "http.client", "xmlrpc", "xmlrpc.client"),
        *("html", "html.entities", "html.parser", "base64", "gettext"),
        *("supervisor.http", "supervisor.rpcinterface", "supervisor.xmlrpc"),
    ):
        sys.modules[unused] = Nothing(unused)

try:
    import supervisor.loggers
    import supervisor.process
    import supervisor.supervisord
    from supervisor import events
    from supervisor.options import ServerOptions
    from supervisor.poller import PollPoller
    from supervisor.states import ProcessStates, SupervisorStates
    from supervisor.supervisord import asyncore
except ImportError as missing:
    fail(f"{missing}. Install supervisor, or use make run, which does.")

SHUTDOWN = SupervisorStates.SHUTDOWN

# It prints a traceback where its own log, which is /dev/null here, cannot be written to. No supervisor
# leaves that. Test: test_a_log_that_cannot_be_written_is_not_worth_a_traceback.
supervisor.loggers.Handler.handleError = lambda _: None

def note(process, get_execv_args=supervisor.process.Subprocess.get_execv_args):
    """supervisord asks for it just before it forks, and tells nobody for whom it does."""
    process.config.options.spawning = process
    return get_execv_args(process)


supervisor.process.Subprocess.get_execv_args = note

# --- Its classes --------------------------------------------------------------------------------


class Poller(PollPoller):
    """What supervisord's loop waits with, for at most a second: here no longer than patience() says.
    A signal ends the wait: no supervisor has that (PEP 475 made it wait on).
    Test: test_a_signal_ends_the_wait.

    The first wait, which comes before the programs are started, is none: supervisor 4.4.0.
    Test: test_it_answers_soon_after_its_start."""

    def initialize(self):
        super().initialize()
        self.patience = lambda: 0
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        signal.set_wakeup_fd(self.write_end, warn_on_full_buffer=False)
        self.register_readable(self.read_end)
        self.signals = select.poll()
        self.signals.register(self.read_end, select.POLLIN)
        self.take = lambda _: False

    def poll(self, timeout):
        """Output alone is taken here, again and again, since a turn of supervisord's loop takes as long
        as 300 lines. It gathers between two looks. Output without end does not keep the loop waiting.
        No supervisor has that. Tests: test_output_is_taken_without_a_turn_of_the_loop,
        test_output_without_end_does_not_keep_the_loop_waiting."""
        end = time.monotonic() + min(timeout, self.patience())
        while True:
            left = max(0, end - time.monotonic())
            readable, writable = super().poll(left)
            if not left or writable or len(readable) != 1 or not self.take(readable[0]):
                break
            self.signals.poll(FLOW_PAUSE_MS)
        if self.read_end in readable:
            os.read(self.read_end, 1)  # one signal's number: supervisord handles one a turn
        return readable, writable


class Options(ServerOptions):
    """supervisord's way to the system. stops: the signals that end it, blocked until its loop is
    ready for them."""

    def __init__(self, stops):
        super().__init__()
        self.stops = stops
        self.poller = Poller(self)

    def set_rlimits_or_exit(self):
        """Limits are start.py's to raise, and low ones are no reason to end: no supervisor thinks so.
        Test: test_a_limit_that_is_low_is_put_up_with."""

    def usage(self, msg):
        """What is wrong, without the options that supervisord has: no supervisor leaves them out.
        Test: test_what_is_wrong_is_said_without_options."""
        fail(f"supervisord: {msg}")

    def openhttpservers(self, supervisord):
        """supervisorctl's way in is not worth ending for. Where there are no hard links supervisord
        would try for ever to make one: no supervisor leaves that.
        Test: test_a_file_system_without_hard_links_has_no_supervisorctl."""
        trial = f"{os.path.dirname(self.configfile)}/supervisor.sock"
        try:
            os.link(self.configfile, trial)
            os.unlink(trial)
            self.httpservers = self.make_http_servers(supervisord)
            self.unlink_socketfiles = True
        except (OSError, ValueError) as error:
            LOG.write("NOTICE", f"there is no socket for supervisorctl here: {error}")

    def make_pipes(self, stderr=True):
        """With room for what comes while nobody reads. Where the system refuses, they fill sooner. No
        supervisor has that. Test: test_a_program_s_output_has_room_and_is_read_at_once."""
        pipes = super().make_pipes(stderr)
        for name in ("stdout", "stderr"):
            if pipes.get(name) is not None:
                with contextlib.suppress(OSError):
                    fcntl.fcntl(pipes[name], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        return pipes

    def readfd(self, fd):
        """All that is there, where supervisord takes 128 KiB, a turn of its loop each time. No supervisor
        has that. Test: test_a_program_s_output_has_room_and_is_read_at_once."""
        with contextlib.suppress(BlockingIOError, InterruptedError):
            return os.read(fd, PIPE_SIZE)
        return b""

    def fork(self):
        """Makes the program at once, without a copy of this process in between: its memory costs a sixth of
        the start in gVisor (docs/container.md), and a stop could get lost in it. No supervisor has that.
        Test: test_a_program_is_made_without_a_copy_of_this_process.

        Without a group of its own it lacks only what ends its orphans, too: no supervisor goes on.
        Test: test_a_call_that_is_refused_is_done_without_or_said_in_one_line."""
        with contextlib.suppress(OSError):
            return self.make(self.spawning, 0)
        return self.make(self.spawning, None)

    @staticmethod
    def make(process, group):
        program, arguments = process.get_execv_args()
        pipes, config = process.pipes, process.config
        child = subprocess.Popen(
            arguments,
            executable=program,
            stdin=getattr(process, "fcgi_sock", None) or pipes["child_stdin"],
            stdout=pipes["child_stdout"],
            stderr=pipes["child_stdout" if config.redirect_stderr else "child_stderr"],
            env=os.environ | (config.environment or {}),
            restore_signals=False,  # what is ignored here is ignored there, see run()
            process_group=group,
        )
        child.returncode = 0  # it is supervisord that waits for it
        return child.pid


class Supervisor(supervisor.supervisord.Supervisor):
    """supervisord's loop. Whoever derives from it hears of the programs' output and ends."""

    def __init__(self, options):
        super().__init__(options)
        self.failed = False
        self.orphans = []  # process groups whose first process has died

    def heard(self, name, channel, pid, data, undivided=False):
        """Called with what a program has written to its stdout or stderr. undivided: its pipe was not
        full, so that no write has been divided and mixed with others."""

    def lost(self, name, severity, message):
        """Called when a program has ended that should not have."""

    def patience(self):
        """For how many seconds no signal or output is needed for something to be done. No supervisor asks.
        Test: test_it_looks_often_while_a_program_starts."""
        restless = {ProcessStates.STARTING, ProcessStates.EXITED, ProcessStates.BACKOFF}
        groups = self.process_groups.values()
        states = {process.state for group in groups for process in group.processes.values()}
        return 0.01 if restless & states else 1

    def runforever(self):
        """The responder's socket is held here, so that connections wait in it while the responder
        is started again; supervisord would close it. No supervisor has that.
        Test: test_a_killed_responder_is_back_within_2_s."""
        events.subscribe(events.ProcessLogEvent, self.hear)
        events.subscribe(events.ProcessStateEvent, self.judge)
        self.sockets = [
            group.socket_manager.get_socket()
            for group in self.process_groups.values()
            if hasattr(group, "socket_manager")
        ]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.options.stops)
        super().runforever()

    def take(self, descriptor):
        """Reads what a program has written, if the descriptor is that of its output, without a turn of
        the loop. Returns whether there was anything. No supervisor has that."""
        dispatcher = self.get_process_map().get(descriptor)
        data = self.options.readfd(descriptor) if dispatcher else b""
        if data:
            process = dispatcher.process
            size = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
            self.heard(process.config.name, dispatcher.channel, process.pid, data, 2 * len(data) < size)
        return bool(data)

    def tick(self, now=None):
        """What supervisord calls in every turn of its loop."""
        super().tick(now)
        self.options.poller.patience = self.patience
        self.options.poller.take = self.take
        self.orphans = [group for group in self.orphans if signal_group(group, 0)]

    def hear(self, event):
        self.heard(event.process.config.name, event.channel, event.pid, event.data)

    def judge(self, event):
        process, name = event.process, event.process.config.name
        if isinstance(event, events.ProcessStateFatalEvent) and self.options.mood > 0:
            self.give_up(name, process.spawnerr)
        elif isinstance(event, (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent)):
            self.lost(name, "ERROR", f"{name} exited by itself and is started again")
            self.dismiss_orphans(process)

    def give_up(self, name, reason):
        """A program that cannot run ends everything, with status 1; supervisord would go on without
        it. No supervisor has that. Test: test_workers_that_keep_dying_end_it_all."""
        self.lost(name, "CRITICAL", f"{name} failed for good: {reason}; stopping")
        self.failed = True
        self.options.mood = SHUTDOWN

    def dismiss_orphans(self, process):
        """What nginx has started survives it and keeps its port: it finishes what it is doing. No
        supervisor has that. Test: test_a_killed_nginx_is_back_within_2_s_and_its_workers_go."""
        if process.pid and signal_group(process.pid, process.config.stopsignal):
            self.orphans.append(process.pid)

    def signal_program(self, name, number):
        """Sends a signal to the first process of a program, if it runs."""
        for group in self.process_groups.values():
            if name in group.processes and group.processes[name].pid:
                with contextlib.suppress(OSError):
                    os.kill(group.processes[name].pid, number)

    def abandon(self):
        """Ends everything at once, with status 1."""
        self.failed = True
        self.options.mood = SHUTDOWN
        for group in self.process_groups.values():
            for process in group.processes.values():
                if process.pid:
                    signal_group(process.pid, signal.SIGKILL)

    def end(self):
        self.sockets.clear()
        for group in self.orphans:
            signal_group(group, signal.SIGKILL)


def signal_group(group, number):
    """Returns whether there is such a process group."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


def run(make_supervisor, configuration, stops):
    """Runs what make_supervisor makes of supervisord's options until a signal of stops ends it.
    Returns the exit status. supervisord asks for a directory for temporary files, in which it puts
    nothing here: /tmp may be read-only. No supervisor looks elsewhere.
    Test: test_no_place_for_temporary_files_is_needed.

    SIGUSR1, which announces the stop to the responder, must not end it while it is not ready for it
    yet. What is ignored here is ignored there, too, and what it blocks is kept for it all the same. No
    supervisor has that. Test: test_it_can_be_stopped_at_any_moment_of_its_start.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    tempfile.tempdir = os.path.dirname(configuration)
    options = Options(stops)
    options.realize(["-c", configuration])
    options.first, options.test = True, False
    running = make_supervisor(options)
    with contextlib.suppress(asyncore.ExitNow):
        running.main()
    running.end()
    return int(running.failed)
