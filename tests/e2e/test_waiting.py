"""Routes that wait, behind nginx. The responder is the one with faults (tests/faults), which has such
routes; what it does by itself is in tests/wire/test_waiting.c."""

import concurrent.futures
import os

import pytest
from client import Connection, ask, request
from service import BUILD, Native, wait_until

pytestmark = pytest.mark.native


@pytest.fixture
def service():
    running = Native(
        responder=f"{BUILD}/tests/faulty_responder",
        WAITS="1",
        WORKERS="2",
        WAITING_WORKERS="4",
        CACHE="off",
    )
    try:
        yield running.wait_ready()
        assert running.stop() == 0
    finally:
        running.end()


def test_no_connection_is_used_again_that_a_waiting_worker_closes(service):
    """A POST on such a connection would be lost: nginx sends none twice."""

    def post(client):
        with Connection(service.port) as connection:
            statuses = []
            for number in range(300):
                target = "/wait/sleep?0" if (number + client) % 2 else "/nowhere"
                connection.send(request(target, "POST", connection="keep-alive"))
                statuses.append(connection.answer("POST").status)
            return statuses

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = [status for answers in pool.map(post, range(16)) for status in answers]
    assert set(statuses) == {404}
    assert "upstream" not in service.log()


def test_others_are_answered_while_all_that_wait_are_busy(service, directory):
    gate = f"{directory}/gate"
    os.mkfifo(gate, 0o666)
    os.chmod(gate, 0o666)
    held = os.open(gate, os.O_RDWR)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(ask, service.port, f"/wait/gate?{gate}") for _ in range(6)]
        wait_until(lambda: service.log().count("begun") == 4, 10, "four wait")
        for _ in range(100):
            assert ask(service.port, "/health").status == 200
        assert service.log().count("begun") == 4 and not any(answer.done() for answer in waiting)
        os.write(held, b"......")
        assert [answer.result().status for answer in waiting] == [404] * 6
    os.close(held)
