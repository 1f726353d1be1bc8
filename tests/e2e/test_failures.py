"""What clients notice when a process is killed, a program cannot run, or the service stops while
it is busy."""

import concurrent.futures
import contextlib
import os
import signal
import time

import pytest
from client import Connection, Load, ask, request
from service import FAKE, RESPONDER, copy_checkout, listens, wait_until

native = pytest.mark.native

NGINX_LINE = r'{(?=.*"component":"nginx")"severity":"[A-Z]+","message":".*'
REPLACED = r"^worker \d+ was killed by signal 9 and is replaced(; it had .* in hand)?$"
RESTARTED = r"^(nginx|responder) exited .* is started again$"


@pytest.fixture
def start(launch):
    """Without the cache, so that it is the responder who answers."""
    return lambda **options: launch(CACHE="off", **options).wait_ready()


def check_answers_within_2_s(service, killed):
    """Waits until a program that was killed is replaced, and until the service answers."""

    def is_replaced():
        with contextlib.suppress(AssertionError, OSError):  # while there is none
            new, _ = service.named(killed.name)
            return new.pid != killed.pid and ask(service.port, "/ready").status == 200

    wait_until(is_replaced, 2, lambda: f"it answers again:\n{service.log()}")


def wait_for_answers(load, number):
    """Waits until so many more requests are answered."""
    goal = load.answered + number
    wait_until(lambda: load.answered >= goal, 10, lambda: f"{goal} answers, but {load}")


# --- Killed processes -----------------------------------------------------------------------


def test_killed_workers_lose_no_request(start):
    service = start()
    with Load(service.port, 16) as load:
        wait_for_answers(load, 100)
        for number in range(30):
            workers = service.named("responder")[1]
            workers[number % len(workers)].kill()
            time.sleep(0.1)
        wait_for_answers(load, 100)
    service.expect(REPLACED, 30)
    service.expect(f"^{NGINX_LINE}", 0)  # of the connections that broke
    assert not load.failures and not load.refused and not load.unanswered, str(load)


def test_workers_killed_all_at_once_lose_a_few_requests_at_most(start):
    service = start(WORKERS="4")
    killed = 0
    with Load(service.port, 16) as load:
        for _ in range(3):
            time.sleep(0.3)  # a worker that dies within 100 ms counts as one that cannot start
            for worker in service.named("responder")[1]:
                worker.kill()
                killed += 1
        wait_for_answers(load, 100)
    service.expect(REPLACED, killed)
    service.expect(f"^{NGINX_LINE}", 0)
    assert not load.refused and not load.unanswered, str(load)
    assert len(load.failures) <= 3 * 16, str(load)  # both tries of a request may meet a killed one


def test_a_killed_responder_is_back_within_2_s(start):
    service = start()
    with Load(service.port, 16) as load:
        wait_for_answers(load, 100)
        parent, workers = service.named("responder")
        parent.kill()
        check_answers_within_2_s(service, parent)
        wait_for_answers(load, 100)
        assert all(worker.has_ended() for worker in workers), f"old workers: {workers}"
    service.expect(RESTARTED)
    service.expect(f"^{NGINX_LINE}", 0)
    assert not load.refused and len(load.failures) + load.unanswered <= 16, str(load)


def test_a_killed_nginx_is_back_within_2_s_and_its_workers_go(start):
    service = start()
    master, workers = service.named("nginx")
    with Load(service.port, 16) as load:
        wait_for_answers(load, 100)
        master.kill()
        check_answers_within_2_s(service, master)
        wait_for_answers(load, 100)
    wait_until(
        lambda: all(worker.has_ended() for worker in workers),
        4,
        lambda: f"{workers} end, but there are {service.processes()}",
    )
    service.expect(RESTARTED)
    service.expect(f"^{NGINX_LINE}", 0)
    assert not load.failures, str(load)


@native
def test_what_a_killed_program_has_left_ends_with_the_service(start):
    """A worker that is stopped hears of nothing but SIGKILL."""
    service = start()
    service.expect(RESTARTED)
    parent, workers = service.named("responder")
    workers[0].kill(signal.SIGSTOP)
    parent.kill()
    service.wait_for_line("exited .* is started again")
    assert not workers[0].has_ended()
    service.send_signal(signal.SIGTERM)
    service.check_stops()
    assert workers[0].has_ended()


def test_killed_nginx_workers_are_replaced(start):
    service = start()
    workers = service.named("nginx")[1]
    for worker in workers:
        worker.kill()
    wait_until(
        lambda: all(worker.has_ended() for worker in workers)
        and len(service.named("nginx")[1]) == len(workers),
        2,
        lambda: f"{workers} are replaced, but there are {service.processes()}",
    )
    assert ask(service.port).text == "Hello World\n"
    service.expect("exited on signal 9$", len(workers))


def test_a_stop_before_a_killed_program_is_back_is_no_failure(start):
    """One that is killed within its first second is started again a second later."""
    service = start()
    service.named("nginx")[0].kill()
    service.wait_for_line("is started again", 2)
    service.expect(RESTARTED)
    service.send_signal(signal.SIGTERM)
    service.check_stops()


# --- Programs that cannot run ---------------------------------------------------------------


def check_gives_up(service, program):
    """Waits for the end of a service one of whose programs cannot run."""
    message = f"{program} failed for good: "
    service.wait_for_line(message, 30)
    # nginx waits for its requests, worker_shutdown_timeout long, and Cloud Run 10 s for everything
    service.check_stops(status=1, seconds=8)
    critical = [entry for entry in service.entries() if entry["severity"] == "CRITICAL"]
    assert [entry["component"] for entry in critical] == ["supervisor"], service.log()
    service.expect(f"^{message}.*; stopping$")
    service.expect(RESTARTED)


@pytest.mark.native
def test_a_responder_that_cannot_run_ends_it_all(launch, directory):
    program = f"{directory}/responder"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\n[ "$*" != --nginx ] || exec {RESPONDER} --nginx\nprintf cannot >&2; exit 1')
    os.chmod(program, 0o755)
    service = launch(responder=program)
    # its own words, though the line has no end
    service.check_refuses(1, '.*"the service cannot start: responder: cannot".*')


@pytest.mark.native
def test_an_nginx_that_cannot_run_ends_it_all(launch, directory):
    checkout = copy_checkout(f"{directory}/checkout")
    with open(f"{checkout}/nginx/nginx.conf.template", "a", encoding="utf-8") as file:
        file.write("nonsense on;\n")
    service = launch(checkout=checkout)
    service.check_refuses(1, r".*the service cannot start: nginx: unknown directive .*nonsense.*")


def test_workers_that_keep_dying_end_it_all(start):
    """The responder gives up when they do so as soon as they are started."""
    # the process in which a sanitizer looks for leaks would be taken for a worker
    service = start(ASAN_OPTIONS="detect_leaks=0")

    def kill_all_workers():
        with contextlib.suppress(AssertionError, OSError):  # while there is no responder
            responder = service.named("responder")[0]
            while not responder.has_ended():
                for worker in responder.children():
                    worker.kill()
                time.sleep(0.001)
        return service.process.poll() is not None

    wait_until(kill_all_workers, 40, lambda: f"it gives up:\n{service.log()}")
    service.expect("^6 workers in a row died .*; giving up$")
    service.expect(REPLACED, 0)
    service.expect(f"^{NGINX_LINE}", 0)
    check_gives_up(service, "responder")


# --- What is said ---------------------------------------------------------------------------


def test_every_line_is_whole(start):
    """The lines of responder, nginx and start.py do not mix, also when they have much to say."""
    service = start(LOG_LEVEL="debug", WORKERS="4", ACCESS_LOG="all")
    refused = request("/", "GET", Content_Length="20000", Connection="close")
    targets = ["/?name=" + name * 60 for name in ("x", "%F0%9F%98%80", "%FF", '"', "%22%5C")]

    def send(number):
        with Connection(service.port) as connection:
            connection.send(request(targets[number % len(targets)]))
            connection.answer()
            connection.send(refused)
            connection.answer()

    count = 400
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = [pool.submit(send, number) for number in range(count)]
        for worker in service.named("responder")[1][:2]:
            worker.kill()
        for result in results:
            result.result()
    # A refused request is logged when nginx has closed its connection, which a stop may cut short.
    wait_until(lambda: service.log().count('"413 GET /') >= count, 10, "each refusal is logged")
    service.stop()
    service.expect("", 0)
    messages = [entry["message"] for entry in service.entries()]  # fails where one is not whole
    assert sum(message.startswith("413 GET /") for message in messages) == count
    assert sum(message.startswith("GET /?name=") for message in messages) >= count - 32


@pytest.mark.native
def test_a_line_that_is_written_in_pieces_is_passed_on_whole(start):
    service = start(responder=FAKE)

    def complain():
        """What nginx has a line to say about."""
        with Connection(service.port) as connection:
            connection.send(request("/half", Connection="close"))
            connection.rest()

    with Connection(service.port) as connection:
        for _ in range(20):
            connection.send(request("/mutter"))
            for _ in range(5):
                complain()
            connection.answer()
    service.expect("^some slow words$", 20)
    service.expect("^upstream prematurely closed FastCGI stdout", 100)  # and nothing else


# --- Many clients ---------------------------------------------------------------------------


def test_a_thousand_clients_at_once_are_all_answered(service):
    connections = [Connection(service.port) for _ in range(1000)]
    for connection in connections:
        connection.send(request("/"))
    for connection in connections:
        with connection:
            answer = connection.answer()
            assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_answers_what_it_has_begun_to_answer(start, number):
    service = start()
    with Load(service.port, 32) as load:
        wait_for_answers(load, 200)
        service.send_signal(number)
        service.check_stops(seconds=8)
    assert not load.failures, str(load)


def test_a_stop_answers_the_requests_that_it_has_taken(start):
    """Those of which nginx has read a part when the signal comes."""
    service = start()
    connections = [Connection(service.port) for _ in range(8)]
    for connection in connections:
        connection.send(request("/?name=Ada")[:-2])
    assert ask(service.port, "/ready").status == 200
    service.send_signal(signal.SIGTERM)
    wait_until(lambda: not listens(service.port), 2, "it takes no more connections")
    for connection in connections:
        with connection:
            connection.send(b"\r\n")
            answer = connection.answer()
            assert (answer.status, answer.text) == (200, "Hello Ada\n"), str(answer)
    service.check_stops(seconds=8)
