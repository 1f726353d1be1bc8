"""What a container of the image promises to Cloud Run, beside what tests/e2e tests: what it writes,
how much memory it needs, how it stops, and that it never goes on without a part of itself."""

import contextlib
import os
import random
import signal
import subprocess
import time

import pytest
from client import Connection, Load, ask, request
from service import ENGINE, Container, listens, listens_to_signals, process_table, wait_until

# --- What it writes -------------------------------------------------------------------------


class Unsealed(Container):
    """A container that could write everywhere, as far as its user can."""

    seal = ("--cap-drop=all",)

    def changes(self):
        """What is not as it is in the image."""
        return {line.split()[1] for line in self.ask_engine("diff", self.name).splitlines()}


def test_it_writes_to_tmp_only(launch):
    service = launch(kind=Unsealed).wait_ready()
    assert ask(service.port).status == 200
    changes = service.changes()
    assert f"/tmp/hello-fcgi-{service.port}/nginx.conf" in changes, changes
    # What the engine itself puts into every container.
    made = {"/dev", "/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/proc"}
    made |= {"/run", "/run/.containerenv", "/sys", "/.dockerenv"}
    written = {path for path in changes - made if not path.startswith("/tmp")}
    assert not written, f"it wrote {written}"


class SmallTmp(Container):
    seal = tuple("--tmpfs=/tmp:size=1m" if o == "--tmpfs=/tmp" else o for o in Container.seal)


def test_a_tmp_of_one_mebibyte_will_do(launch):
    service = launch(kind=SmallTmp).wait_ready()
    with Load(service.port, 16) as load:
        wait_until(lambda: load.answered > 1000, 10, lambda: f"1000 answers, but {load}")
    assert not load.failures, str(load)


def test_nobody_can_give_it_orders(start):
    """There is no supervisorctl, so there is no socket for it."""
    service = start()
    process, *_ = service.processes()
    names = set(os.listdir(f"/proc/{process.pid}/root/tmp/hello-fcgi-{service.port}"))
    assert "responder.sock" in names and "supervisor.sock" not in names, names


# --- What it needs --------------------------------------------------------------------------


def answer_at_once(service, clients, rounds):
    """So many clients send a request each, all before the first reads its answer."""
    connections = [Connection(service.port) for _ in range(clients)]
    for _ in range(rounds):
        for connection in connections:
            connection.send(request("/"))
        for connection in connections:
            answer = connection.answer()
            assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)
    return connections


def test_a_thousand_clients_need_less_than_64_mebibytes(start):
    """On what Cloud Run gives to an instance by default."""
    service = start("--memory=512m", "--cpus=1")
    connections = answer_at_once(service, 1000, rounds=3)
    used = service.memory()
    for connection in connections:
        connection.socket.close()
    assert used < 64, f"{used:.1f} MiB"


def test_128_mebibytes_will_do_for_a_thousand_clients(start):
    service = start("--memory=128m", "--cpus=1")
    before = {process.pid for process in service.processes()}
    for connection in answer_at_once(service, 1000, rounds=3):
        connection.socket.close()
    assert {process.pid for process in service.processes()} == before, "some were killed"


def test_one_cpu_gets_one_worker_of_nginx_and_two_of_the_responder(start):
    """Also where the engine limits the time and not the number of CPUs."""
    service = start("--cpus=1", CACHE="off")  # for which nginx has processes, too
    assert len(service.named("nginx")[1]) == 1
    assert len(service.named("responder")[1]) == 2


# --- Its health -----------------------------------------------------------------------------


def test_its_health_check_asks_the_service(start, image):
    service = start()

    def status(*options):
        command = image.config["Healthcheck"]["Test"][1:]
        return subprocess.run([ENGINE, "exec", *options, service.name, *command]).returncode

    assert status() == 0
    assert status("--env=PORT=1") == 1, "nobody listens there"


# --- How it stops ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_takes_less_than_5_s_and_loses_no_request(start, number):
    """Neither one that is being answered, nor one of which nginx has read a part."""
    service = start()
    first, *_ = service.processes()
    begun = [Connection(service.port) for _ in range(64)]
    for connection in begun:
        connection.send(request("/?name=Ada")[:-2])
    with Load(service.port, 64) as load:
        wait_until(lambda: load.answered > 1000, 10, lambda: f"1000 answers, but {load}")
        started = time.monotonic()
        first.kill(number)
        wait_until(lambda: not listens(service.port), 3, "it takes no more connections")
        first.kill(number)  # which changes nothing
        for connection in begun:
            connection.send(b"\r\n")
        answers = [connection.answer() for connection in begun]
        service.check_stops(seconds=5 - (time.monotonic() - started))
    assert not load.failures, str(load)
    for connection, answer in zip(begun, answers):
        connection.socket.close()
        assert (answer.status, answer.text) == (200, "Hello Ada\n"), str(answer)


def first_of(service):
    """Process 1, seen from outside, as soon as it runs Python."""

    def look():
        for process in process_table():
            with contextlib.suppress(OSError):
                with open(f"/proc/{process.pid}/environ", "rb") as file:
                    mine = f"PORT={service.port}".encode() in file.read().split(b"\0")
                if mine and process.name.startswith("python"):
                    return process
        return None

    return wait_until(look, 30, "its first process runs")


def test_a_stop_at_any_moment_of_its_start_is_heard(launch):
    """A process 1 that does not wait for a signal never gets it. So it does before it is Python; in
    the millisecond that env takes for that nothing can."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    for _ in range(20):
        milliseconds = 300 * chance.random() ** 3  # most of them in Python's own start
        number = chance.choice([signal.SIGTERM, signal.SIGINT])
        case = f"seed {seed}, {signal.Signals(number).name} after {milliseconds:.1f} ms"
        service = launch()
        first = first_of(service)
        assert listens_to_signals(first.pid), "it is Python and waits for no signals yet"
        time.sleep(milliseconds / 1000)
        first.kill(number)
        assert service.wait() == 0, f"{case}: it said:\n{service.log()}"
        assert not service.leftovers(), f"{case}: {service.leftovers()}"


# --- Root -------------------------------------------------------------------------------------


def test_as_root_it_becomes_its_user(launch):
    """Somebody has started it with --user=0."""
    service = launch("--user=0", "--cap-add=SETUID,SETGID,CHOWN").wait_ready()
    assert ask(service.port).text == "Hello World\n"
    if type(service).__name__ == "Container" and not Container.engine:  # gVisor shows none
        for process in service.processes():
            assert set(process.status("Uid")) | set(process.status("Gid")) == {"65532"}, process


def test_as_root_that_may_not_change_its_user_it_does_not_serve(launch):
    service = launch("--user=0")  # all capabilities are dropped
    service.check_refuses(
        1,
        "root does not serve, and cannot become hello: Operation not permitted. Start it as another "
        "user, or with the capabilities CHOWN, SETGID and SETUID",
    )


# --- All or nothing -------------------------------------------------------------------------


def check_gives_up(service, program):
    """Waits for the end of a container one of whose programs cannot run."""
    service.wait_for_line(f'"CRITICAL","message":"the service cannot start: {program}')
    wait_until(
        lambda: not service.processes(),
        8,  # of Cloud Run's 10 s; nginx waits for its requests
        lambda: f"{service.processes()} end; it said:\n{service.log()}",
    )
    assert service.wait() != 0, f"it said:\n{service.log()}"
    service.expect("", 0)  # what the program itself says, and that it is started again
    critical = [line for line in service.lines() if "CRITICAL" in line]
    assert len(critical) == 1, service.log()


def mount(path, text, directory):
    """The engine's option that puts a file with this text into the place of the image's."""
    file = directory / os.path.basename(path)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return f"--volume={file}:{path}:ro"


def test_it_ends_with_an_error_when_nginx_cannot_run(launch, tmp_path):
    service = launch(mount("/app/nginx/nginx.conf.template", "nonsense on;\n", tmp_path))
    check_gives_up(service, "nginx")


def test_it_ends_with_an_error_when_the_responder_cannot_run(launch, tmp_path):
    told = '{"languages":"en","page_policy":"","error_page":""}'
    program = f"#!/usr/bin/python3 -IS\nimport sys\n'--nginx' in sys.argv and sys.exit(print('{told}'))\nsys.exit(1)\n"
    service = launch(mount("/app/responder", program, tmp_path))
    check_gives_up(service, "responder")


def test_killed_processes_leave_no_zombies(start):
    """Process 1 gets the children of those that are killed."""
    service = start()
    master, workers = service.named("nginx")
    master.kill()
    service.wait_for_line("nginx exited by itself and is started again")
    service.expect("", 0)

    def left():
        return [process for process in (master, *workers) if os.path.exists(f"/proc/{process.pid}")]

    wait_until(lambda: not left(), 5, lambda: f"{left()} are gone")
