"""What handlers may do, through nginx: statuses and fields of their own, and each way to a 500, none of which
leaves without its line in the log. The responder is the one with faults (tests/faults)."""

import random
import re
import time
from pathlib import Path

import pytest
from client import FORM_TYPE, Connection, request
from service import BUILD

pytestmark = pytest.mark.native

RESPONSE = Path(__file__).parents[2] / "fcgi-app" / "core" / "response.c"
STATUSES = re.findall(r'STATUS\((\d+), "([^"]+)"\)', RESPONSE.read_text(encoding="utf-8"))
ANSWERED = "answers 500: "
REASONS = {
    ("GET", "/health?size=70000", b""): "the body does not fit",
    ("GET", "/health?fail=malformed", b""): "a header field is not well-formed",
    ("GET", "/health?fail=own", b""): "a header field is the service's own",
    ("GET", "/health?fail=fields", b""): "the header fields do not fit",
    ("GET", "/health?fail=said", b""): "the handler says so",
    ("GET", "/health?status=418", b""): "the status is not known",
    ("GET", "/health?status=0", b""): "the status is not known",
    ("GET", "/fault/segv", b""): "did not survive it",
    ("POST", "/fault/body", b"segv"): "did not survive it",
}
HEALTHY = [("GET", "/health", b""), ("POST", "/", b"name=Ada"), ("POST", "/fault/body", b"name=Ada")]


@pytest.fixture
def service(launch):
    running = launch(responder=f"{BUILD}/tests/faulty_responder", CACHE="off").wait_ready()
    running.expect("", 0)  # all that is said is looked at here
    return running


def test_statuses_and_fields_of_a_handlers_own_get_to_the_client(service):
    assert len(STATUSES) > 25
    with Connection(service.port) as connection:
        for status, phrase in STATUSES:
            began = int(time.time() * 1000)
            connection.send(request(f"/health?status={status}"))
            answer = connection.answer()
            assert (answer.status, answer.reason) == (int(status), phrase), str(answer)
            assert answer["Location"] == "/greetings/Ada", str(answer)
            assert answer.fields.get_all("Set-Cookie") == ["a=1", "b=2; HttpOnly"], str(answer)
            assert began <= int(answer["X-Now"]) <= time.time() * 1000, str(answer)


def ask_as(port, identity, method, target, body):
    """The status; 502 as well where the worker has died."""
    with Connection(port) as connection:
        fields = {"Connection": "close", "X_Request_Id": identity, "Content_Type": FORM_TYPE}
        connection.send(request(target, method, body, **fields))
        answer = connection.answer(method)
    assert answer.status != 500 or identity in answer.text, str(answer)
    return answer.status


def test_each_500_is_logged_once_with_its_reason_route_and_request(service):
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    asked = {}
    for number in range(400):
        identity = f"request-{number:04}"
        what = dice.choice([*REASONS, *HEALTHY])
        status = ask_as(service.port, identity, *what)
        assert status in ({500, 502} if what in REASONS else {200, 404}), f"seed {seed}: {what} {status}"
        if status == 500:
            asked[identity] = what
    assert service.stop() == 0
    told = [entry for entry in service.entries() if ANSWERED in entry["message"]]
    assert sorted(entry["request_id"] for entry in told) == sorted(asked), f"seed {seed}"
    assert {asked[entry["request_id"]] for entry in told} == {*REASONS}, f"seed {seed}"
    for entry in told:
        what = asked[entry["request_id"]]
        path = re.match(r"[^?]+", what[1])[0]
        assert entry["severity"] == "ERROR", entry
        assert re.fullmatch(rf"{path} {ANSWERED}.*{REASONS[what]}.*", entry["message"]), entry
