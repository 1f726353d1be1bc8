"""Starting and stopping: how quickly, as whom, and what is left behind."""

import fcntl
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest
from client import Connection, ask, request
from service import Native, OnOneCpu, copy_checkout, listens, listens_to_signals, wait_until

native = pytest.mark.native
needs_root = pytest.mark.root
needs_ptrace = pytest.mark.ptrace

STOPS = [signal.SIGTERM, signal.SIGINT]
NAMES = {"python", "responder", "nginx"}

# --- Starting -------------------------------------------------------------------------------


def test_it_says_where_it_serves_as_soon_as_it_answers(start):
    service = start()
    assert ask(service.port, "/ready").status == 200
    assert f"serving on {service.url} after" in service.log()


def test_it_answers_soon_after_its_start(launch):
    """The expectation is 400 ms; a second more is what supervisord's first poll would take."""

    def milliseconds():
        service = launch()
        match = service.wait_for_line(r"after (\d+) ms")
        service.stop()
        return int(match[1])

    times = [milliseconds() for _ in range(5)]
    assert min(times) < 1000, f"the first answers came after {times} ms"


def test_two_runs_live_side_by_side(start):
    first, second = start(GREETING_NAME="first"), start(GREETING_NAME="second")
    assert ask(first.port).text == "Hello first\n"
    assert ask(second.port).text == "Hello second\n"
    first.stop()
    assert ask(second.port).text == "Hello second\n"


# --- Stopping -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [*STOPS, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_stops_it_within_3_s_and_leaves_nothing(start, number):
    service = start()
    assert ask(service.port).status == 200
    with Connection(service.port) as idle:  # a kept connection does not hold it up
        idle.send(request("/"))
        idle.answer()
        service.send_signal(number)
        service.check_stops()


@pytest.mark.parametrize("number", STOPS)
def test_a_second_signal_changes_nothing(start, number):
    service = start()
    with Connection(service.port) as unfinished:
        unfinished.send(request("/?name=late")[:-2])  # so that the stop takes a while
        service.send_signal(number)
        wait_until(lambda: not listens(service.port), 2, "it takes no more connections")
        service.send_signal(number)
        service.send_signal(signal.SIGTERM)
        unfinished.send(b"\r\n")
        assert unfinished.answer().text == "Hello late\n"
    service.check_stops()


def test_an_unfinished_request_holds_the_stop_up_for_less_than_8_s(start):
    service = start()
    with Connection(service.port) as unfinished:
        unfinished.send(b"GET / HTTP/1.1\r\n")
        assert ask(service.port).status == 200
        service.send_signal(signal.SIGTERM)
        service.check_stops(seconds=8)


@native
@pytest.mark.parametrize("number", STOPS)
def test_it_can_be_stopped_at_any_moment_of_its_start(launch, number):
    """From the moment on at which it listens to signals: Python needs a while for that."""
    for milliseconds in range(0, 300, 20):
        service = launch()
        wait_until(lambda: listens_to_signals(service.process.pid), 5, "it listens to signals")
        time.sleep(milliseconds / 1000)
        service.send_signal(number)
        service.check_stops()


@native
def test_nothing_outlives_a_start_that_is_killed(launch):
    service = launch().wait_ready()
    service.process.kill()
    service.wait()
    wait_until(lambda: not service.processes(), 5, lambda: f"{service.processes()} end")
    shutil.rmtree(service.run_dir)


@native
def test_nginx_keeps_the_memory_that_a_map_has_filled_for_the_next(start):
    """Or the system makes new pages for each of its 45, which takes half of its start. It makes 1,370
    with MALLOC_TOP_PAD_ of supervisord.conf, and 3,730 without."""
    parent, _ = start().named("nginx")
    with open(f"/proc/{parent.pid}/stat", encoding="utf-8") as file:
        minor_faults = int(file.read().rpartition(")")[2].split()[7])
    assert minor_faults < 2500


# --- Users, modes and listeners -------------------------------------------------------------


@needs_root
def test_nothing_of_it_runs_as_root(start):
    service = start()
    ids = {pwd.getpwnam("www-data").pw_uid} if isinstance(service, Native) else {65532}
    processes = service.processes()
    assert {process.name.rstrip("0123456789.") for process in processes} == NAMES, processes
    for process in processes:
        for field in ("Uid", "Gid"):
            assert {int(word) for word in process.status(field)} == ids, (process, field)
        assert process.status("Groups") in ([], [str(*ids)]), process
        for field in ("CapPrm", "CapEff"):
            assert int(process.status(field)[0], 16) == 0, (process, field)


@native
@pytest.mark.skipif("SANITIZE" in os.environ, reason="the sanitizers have no sandbox")
def test_no_process_of_its_own_user_looks_into_the_responder(start):
    """Root owns what /proc has of a process that is not dumpable."""
    parent, workers = start().named("responder")
    for process in (parent, *workers):
        assert int(process.status("Uid")[0]) != 0
        path = f"/proc/{process.pid}/environ"
        wait_until(lambda: os.stat(path).st_uid == 0, 5, f"{process} is not dumpable")


@native
def test_only_its_user_can_open_its_sockets_and_directory(start):
    service = start()
    for name in ("", "responder.sock", "supervisor.sock"):
        mode = stat.S_IMODE(os.stat(f"{service.run_dir}/{name}").st_mode)
        assert mode & 0o077 == 0, f"{name or service.run_dir} has mode {mode:o}"


@needs_ptrace
def test_it_listens_on_its_port_and_on_no_other(start):
    service = start()
    listing = subprocess.run(["ss", "-Hltunp"], capture_output=True, text=True, check=True).stdout
    pids = {process.pid for process in service.processes()}
    addresses = [
        line.split()[4]
        for line in listing.splitlines()
        if pids & {int(pid) for pid in re.findall(r"pid=(\d+)", line)}
    ]
    # [::]: where the machine has IPv6
    assert set(addresses) <= {f"0.0.0.0:{service.port}", f"[::]:{service.port}"}, listing
    assert f"0.0.0.0:{service.port}" in addresses, listing


@native
def test_a_burst_of_requests_can_wait_for_the_responder(start):
    service = start()
    listing = subprocess.run(["ss", "-Hlx"], capture_output=True, text=True, check=True).stdout
    socket_path = f"{service.run_dir}/responder.sock"
    [fields] = [line.split() for line in listing.splitlines() if socket_path in line]
    assert fields[3] == "1024", f"another backlog: {fields}"


@native
@needs_root
def test_a_checkout_that_only_root_may_read_works(start, directory):
    checkout = copy_checkout(f"{directory}/checkout")
    service = start(checkout=checkout, responder=f"{checkout}/responder")
    assert ask(service.port).text == "Hello World\n"
    parent, workers = service.named("responder")
    for process in (parent, *workers):
        assert process.status("Uid")[0] != "0"


@native
def test_a_checkout_by_a_name_with_a_space_works(launch, directory):
    checkout = copy_checkout(f"{directory}/a checkout")
    os.chmod(checkout, 0o755)
    service = launch(checkout=checkout, responder=f"{checkout}/responder")
    service.expect("CRITICAL", 0)
    assert ask(service.wait_ready().port).text == "Hello World\n"


@native
@needs_root
@needs_ptrace
def test_an_ordinary_user_needs_to_write_nowhere_but_to_the_run_directory(start, directory):
    def listing():
        return [
            (path, names, [os.stat(f"{path}/{name}").st_mtime_ns for name in ("", *names)])
            for path, _, names in os.walk(home)
        ]

    home = copy_checkout(f"{directory}/home", user="nobody")
    before = listing()
    service = start(checkout=home, responder=f"{home}/responder", user="nobody", HOME=home)
    assert ask(service.port).text == "Hello World\n"
    nobody = pwd.getpwnam("nobody").pw_uid
    assert {int(process.status("Uid")[0]) for process in service.processes()} == {nobody}
    for process in service.processes():
        check_writes_only(process, [service.run_dir, service.log_file.name])
    service.stop()
    assert listing() == before


NO_FILES = ("/dev/", "/memfd:")


def check_writes_only(process, allowed):
    """Checks which files a process has open for writing."""
    for number in os.listdir(f"/proc/{process.pid}/fd"):
        path = os.readlink(f"/proc/{process.pid}/fd/{number}")
        with open(f"/proc/{process.pid}/fdinfo/{number}", encoding="utf-8") as file:
            flags = int(re.search(r"flags:\s+(\d+)", file.read())[1], 8)
        if path.startswith("/") and not path.startswith(NO_FILES) and flags & os.O_ACCMODE:
            assert path.startswith(tuple(allowed)), f"{process} writes to {path}"


@native
def test_supervisorctl_sees_and_restarts_the_programs(start):
    service = start()

    def supervisorctl(*arguments):
        command = ["/usr/bin/supervisorctl", "-c", f"{service.run_dir}/supervisord.conf"]
        result = subprocess.run([*command, *arguments], capture_output=True, text=True)
        return result.stdout

    before = service.named("responder")[0]
    wait_until(lambda: supervisorctl("status").count("RUNNING") == 2, 5, "both programs run")
    supervisorctl("restart", "responder", "nginx")
    assert ask(service.port).text == "Hello World\n"
    assert before.has_ended()


class Unheard(Native):
    """A service whose messages nobody reads: the pipe is closed at the other end, or full."""

    closed = True

    def spawn(self, command, **options):
        self.reader, end_of_service = os.pipe()
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, 4096)
        process = super().spawn(command, stdout=end_of_service, stderr=end_of_service, **options)
        os.close(end_of_service)
        if self.closed:
            os.close(self.reader)
        return process

    def end(self):
        if not self.closed:
            os.close(self.reader)
        super().end()


class Unread(Unheard):
    closed = False


@native
@pytest.mark.parametrize("kind", [Unheard, Unread])
def test_messages_that_nobody_reads_change_nothing(launch, kind):
    service = launch(kind=kind, LOG_LEVEL="debug")

    def answers():
        return listens(service.port) and ask(service.port).text == "Hello World\n"

    wait_until(answers, 10, "it answers")
    with Connection(service.port) as connection:
        for _ in range(1000):  # at debug level each has a line
            connection.send(request("/?name=Ada"))
            assert connection.answer().status == 200
    killed = service.named("responder")[0]
    killed.kill()
    wait_until(killed.has_ended, 2, f"{killed} has ended")
    wait_until(answers, 2, "it answers again")
    service.send_signal(signal.SIGTERM)
    service.check_stops()


class WithoutStreams(Native):
    """Started without standard streams, as some a launcher does."""

    def spawn(self, command, **options):
        closing = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
        return super().spawn([*closing, *command], **options)


@native
def test_it_runs_without_standard_streams(launch):
    service = launch(kind=WithoutStreams, LOG_LEVEL="debug")
    wait_until(lambda: listens(service.port), 10, "it listens")
    assert ask(service.port).text == "Hello World\n"
    service.send_signal(signal.SIGTERM)
    service.check_stops()


@native
def test_there_are_as_many_workers_as_cpus_but_two_responders_at_least(start):
    service = start(kind=OnOneCpu, CACHE="off")  # for which nginx has processes, too
    assert len(service.named("nginx")[1]) == 1
    assert len(service.named("responder")[1]) == 2


# --- The announcement of a stop ----------------------------------------------------------------


def test_a_stop_is_announced_before_anything_stops(start):
    service = start(DRAIN_DELAY="2", LOG_LEVEL="warning")
    service.send_signal(signal.SIGTERM)
    service.expect("^stopping in 2 s; a second signal: at once$")
    wait_until(lambda: ask(service.port, "/ready").status == 503, 1.5, "it says that it will stop")
    answer = ask(service.port, "/?name=Ada")
    assert (answer.status, answer.text) == (200, "Hello Ada\n")
    service.check_stops(seconds=5)


def test_a_second_signal_ends_the_wait(start):
    service = start(DRAIN_DELAY="600")
    service.send_signal(signal.SIGTERM)
    service.expect("^stopping in 600 s; a second signal: at once$")
    service.wait_for_line("stopping in 600 s")
    assert ask(service.port).status == 200
    service.send_signal(signal.SIGTERM)
    service.check_stops(seconds=60)


# --- What it does without ----------------------------------------------------------------------


class Limited(Native):
    """With limits as some systems have them."""

    limits = ("--nofile=60:60",)

    def spawn(self, command, **options):
        return super().spawn(["prlimit", *self.limits, *command], **options)


@native
def test_a_limit_that_is_low_is_put_up_with(launch):
    service = launch(kind=Limited)
    service.expect("", 0)  # nginx says that its connections exceed it
    assert ask(service.wait_ready().port).text == "Hello World\n"


@native
@needs_root
def test_a_run_directory_of_somebody_else_that_may_be_written_to_is_used(start, directory):
    path = f"{directory}/volume"
    os.mkdir(path)
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    os.chmod(path, 0o777)
    checkout = copy_checkout(f"{directory}/checkout")
    for place, _, names in os.walk(checkout):
        for name in ("", *names):
            os.chmod(f"{place}/{name}", 0o755)
    service = start(
        checkout=checkout, responder=f"{checkout}/responder", RUN_DIR=path, user="www-data"
    )
    assert ask(service.port).text == "Hello World\n"


@native
@needs_root
def test_a_user_without_a_name_is_put_up_with(start, directory):
    checkout = copy_checkout(f"{directory}/checkout")
    for place, _, names in os.walk(checkout):
        for name in ("", *names):
            os.chmod(f"{place}/{name}", 0o755)
    service = start(checkout=checkout, responder=f"{checkout}/responder", user=54321)
    assert ask(service.port).text == "Hello World\n"
