"""What nginx answers itself: the errors, in the same shape as the responder's, and everything that
is about HTTP rather than about greetings, byte by byte."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import signal
import time

import pytest
from client import REQUEST_ID, Connection, ask, check, check_problem, encode, exchange, request
from service import FAKE, OnOneCpu, wait_until

SMUGGLED = b"GET /?name=smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
FORMS = [("text", "*/*"), ("html", "text/html"), ("json", "application/json")]
FORMS += [("json", "application/problem+json")]
in_every_form = pytest.mark.parametrize(("form", "accept"), FORMS)


def head(line, *fields, host=b"Host: localhost"):
    """The head of a request, well-formed or not."""
    lines = [line, *([host] if host else []), *fields]
    return b"\r\n".join(encode(text) for text in [*lines, "", ""])


@pytest.fixture
def fake(start):
    """A service whose responder answers with what it was told, or wrongly."""
    return start(responder=FAKE)


# --- Requests that are not HTTP -------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("garbage", 400),
        ("get / HTTP/1.1", 400),
        ("F00 / HTTP/1.1", 400),
        ("GET / HTTP/1.1x", 400),
        ("GET / http/1.1", 400),
        ("GET nope HTTP/1.1", 400),
        ("GET /?name=a b HTTP/1.1", 400),
        ("GET /\x07 HTTP/1.1", 400),
        ("GET /?name=\x7f HTTP/1.1", 400),
        ("GET /\0 HTTP/1.1", 400),
        ("GET /../ HTTP/1.1", 400),
        ("OPTIONS * HTTP/1.1", 400),
        ("CONNECT localhost:80 HTTP/1.1", 400),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", 400),  # TLS
        ("GET / HTTP/9.9", 505),
        ("PRI * HTTP/2.0", 400),
        ("GET / HTTP/2.0", 505),
        ("GET /" + 9000 * "x" + " HTTP/1.1", 414),
    ],
)
def test_a_malformed_request_line_is_refused_in_text(port, line, status):
    """The Accept field has not been read then."""
    check_problem(exchange(port, head(line, "Accept: application/json") + SMUGGLED), status)


@in_every_form
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        # fields
        (["Foo : 1"], 400),
        (["Foo: 1", " 2"], 400),  # a folded line
        (["Foo: a\0b"], 400),
        (["Foo: a\rb"], 400),
        (["Host: other"], 400),
        # where the body ends
        (["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
        (["Content-Length: 5", "Content-Length: 5"], 400),
        (["Content-Length: 5", "Content-Length: 6"], 400),
        (["Content-Length: 5, 5"], 400),
        (["Content-Length: +5"], 400),
        (["Content-Length: -5"], 400),
        (["Content-Length: 0x5"], 400),
        (["Content-Length: "], 400),
        (["Content-Length: 99999999999999999999"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: identity"], 501),
        (["Transfer-Encoding: gzip"], 501),
        (["Transfer-Encoding: gzip, chunked"], 501),
        (["Transfer-Encoding: chunked, identity"], 501),
        (["Transfer-Encoding: xchunked"], 501),
        (["Transfer-Encoding: \x0bchunked"], 501),
        # sizes
        (["Foo: " + 9000 * "x"], 431),
        ([f"Foo{i}: " + 7000 * "x" for i in range(6)], 431),
    ],
)
def test_a_request_with_malformed_fields_is_refused(port, fields, status, form, accept):
    data = head("POST / HTTP/1.1", f"Accept: {accept}", *fields)
    check_problem(exchange(port, data + b"0\r\n\r\n" + SMUGGLED), status, form)


@pytest.mark.parametrize("host", [None, b"Host: a b", b"Host: a/b", b"Host:", b"Host: a\0b"])
def test_http_1_1_without_a_proper_host_is_a_400(port, host):
    answer = exchange(port, head("GET / HTTP/1.1", host=host) + SMUGGLED)
    check_problem(answer, 400)


def test_chunks_in_http_1_0_are_a_400(port):
    data = head("POST / HTTP/1.0", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED
    check_problem(exchange(port, data), 400)


@pytest.mark.parametrize("chunk", [b"zz\r\nhello", b"-5\r\nhello", b"5hello", b"5\r\nhellooo\r\n0"])
def test_malformed_chunks_are_a_400(service, chunk):
    service.expect("client sent invalid chunked body")
    data = head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + chunk + b"\r\n\r\n" + SMUGGLED
    check_problem(exchange(service.port, data), 400)


@in_every_form
@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_methods_that_nginx_refuses_are_a_405_that_names_the_allowed_ones(
    port, method, form, accept
):
    answer = ask(port, "/", method, Accept=accept)
    check_problem(answer, 405, form)
    assert answer["Allow"] == "GET, HEAD, OPTIONS", str(answer)


# --- Bodies ---------------------------------------------------------------------------------


@in_every_form
@pytest.mark.parametrize(
    "data",
    [
        head("POST / HTTP/1.1", "Content-Length: 16385", "Accept: {}"),
        head("POST / HTTP/1.1", "Content-Length: 16385", "Accept: {}", "Expect: 100-continue"),
        head("POST / HTTP/1.1", "Content-Length: 20000", "Accept: {}") + 20000 * b"x",
        head("GET / HTTP/1.1", "Transfer-Encoding: chunked", "Accept: {}")
        + b"5000\r\n"
        + 0x5000 * b"x"
        + b"\r\n0\r\n\r\n",
    ],
    ids=["announced", "to be continued", "sent", "in chunks"],
)
def test_a_body_over_16_kib_is_a_413(service, data, form, accept):
    service.expect("client intended to send too large (chunked )?body")
    answer = exchange(service.port, data.replace(b"{}", accept.encode()))
    assert "16384" in check_problem(answer, 413, form), str(answer)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 0"], b""),
        (["Content-Length: 5"], b"hello"),
        (["Content-Length: 16384"], 16384 * b"x"),
        (["Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: Chunked"], b"5\r\nhello\r\n3;a=b\r\n!!!\r\n0\r\nTrailer: x\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"4000\r\n" + 0x4000 * b"x" + b"\r\n0\r\n\r\n"),
    ],
)
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 405), ("PUT", 405)])
def test_a_body_is_read_and_the_next_request_is_the_next(port, method, status, fields, body):
    with Connection(port) as connection:
        connection.send(head(f"{method} / HTTP/1.1", *fields) + body + request("/?name=next"))
        first, second = check(connection.answer()), check(connection.answer())
    assert first.status == status, str(first)
    assert (second.status, second.text) == (200, "Hello next\n"), f"{first}{second}"


def test_a_body_that_is_to_be_continued_is_continued(port):
    with Connection(port) as connection:
        connection.send(head("POST / HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
        line, end = connection.reader.readline(), connection.reader.readline()
        assert (line, end) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        connection.send(b"hello")
        check_problem(check(connection.answer()), 405)


# --- Connections and versions ---------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(port):
    names = [str(number) for number in range(50)]
    with Connection(port) as connection:
        connection.send(b"".join(request(f"/?name={name}") for name in names))
        answers = [check(connection.answer()) for _ in names]
    assert [answer.text for answer in answers] == [f"Hello {name}\n" for name in names]


def test_head_on_a_kept_connection_has_no_body_that_the_next_answer_begins_with(port):
    with Connection(port) as connection:
        connection.send(request("/", "HEAD") + request("/nope", "HEAD") + request("/"))
        for status in (200, 404):
            assert check(connection.answer("HEAD"), "HEAD").status == status
        assert check(connection.answer()).text == "Hello World\n"


@pytest.mark.parametrize("line", ["GET / HTTP/1.0", "GET /?format=text HTTP/1.0"])
@pytest.mark.parametrize("host", [None, b"Host: localhost"])
def test_http_1_0_needs_no_host_and_closes(port, line, host):
    answer = exchange(port, head(line, host=host))
    assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)


def test_http_1_0_may_keep_the_connection(port):
    with Connection(port) as connection:
        for _ in range(3):
            connection.send(head("GET / HTTP/1.0", "Connection: keep-alive", host=None))
            answer = check(connection.answer())
            assert (answer.text, answer["Connection"]) == ("Hello World\n", "keep-alive")


def test_http_0_9_gets_the_bare_body_or_nothing(port):
    with Connection(port) as connection:
        connection.send(b"GET /\r\n")
        assert connection.rest() in (b"Hello World\n", b"")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://localhost/?name=Ada", "Hello Ada\n"),
        ("HTTP://elsewhere.example:99/?name=Ada", "Hello Ada\n"),
        ("https://localhost", "Hello World\n"),
        ("http://localhost?name=Ada", "Hello Ada\n"),
        ("http://localhost/health", "ok\n"),
    ],
)
def test_a_target_may_have_the_absolute_form(port, target, said):
    answer = ask(port, target)
    assert (answer.status, answer.text) == (200, said), str(answer)


@pytest.mark.parametrize(
    "field",
    [
        "X-In[]: dropped",
        "Under_score: dropped",
        "Bell: \x07",
        "Expect: something else",
        "Upgrade: h2c",
        "Accept-Encoding: gzip, br",
        "Cookie: a=b",
        "Proxy: evil.example:1",
        "X-Accel-Redirect: /-/error/text",
        "X-HTTP-Method-Override: DELETE",
        "X-Forwarded-Host: evil.example",
    ],
)
def test_a_field_that_means_nothing_here_changes_nothing(port, field):
    answer = exchange(port, head("GET / HTTP/1.1", field, "Connection: close"))
    assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)


def test_a_client_that_sends_byte_by_byte_is_waited_for(port):
    with Connection(port) as connection:
        for byte in request("/?name=slow", "POST", body=b"hello"):
            connection.send(bytes([byte]))
            time.sleep(0.005)
        check_problem(check(connection.answer()), 405)


def test_a_client_that_never_gets_to_the_end_is_left_after_10_s(port):
    started = time.monotonic()

    def stall(data):
        with Connection(port) as connection:
            connection.send(data)
            with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
                check_problem(check(connection.answer()), 408)
            return time.monotonic() - started

    halves = [head("GET / HTTP/1.1")[:-2], head("POST / HTTP/1.1", "Content-Length: 5") + b"1234"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for data, seconds in zip(halves, pool.map(stall, halves)):
            assert 9 < seconds < 15, f"after {data!r} the connection ended after {seconds} s"


# --- Without the responder ------------------------------------------------------------------


def answers_in_every_form(service):
    """What the service answers to simultaneous requests, in every form."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pending = [(form, pool.submit(ask, service.port, Accept=accept)) for form, accept in FORMS]
        return [(form, future.result()) for form, future in pending]


def recovers(service):
    return wait_until(lambda: ask(service.port).text == "Hello World\n", 2, "it answers as before")


@pytest.mark.native
def test_a_responder_that_cannot_be_reached_is_a_502(start):
    service = start()
    socket_path = f"{service.run_dir}/responder.sock"
    os.rename(socket_path, f"{socket_path}.away")
    # nginx's kept connections end with the workers
    service.expect("worker .* was killed by signal 9 and is replaced")
    service.expect(r"connect\(\) to unix:.* failed \(2: No such file or directory\)", len(FORMS))
    service.expect("upstream prematurely closed|Connection reset by peer", 0)
    for worker in service.named("responder")[1]:
        worker.kill()
    for form, answer in answers_in_every_form(service):
        assert "again" in check_problem(answer, 502, form), str(answer)
    os.rename(f"{socket_path}.away", socket_path)
    recovers(service)


def test_a_responder_that_does_not_answer_is_a_504_after_5_s(start):
    service = start()
    service.expect(r"upstream timed out \(110: Connection timed out\)", len(FORMS))
    parent, workers = service.named("responder")
    for process in (parent, *workers):
        process.kill(signal.SIGSTOP)
    started = time.monotonic()
    for form, answer in answers_in_every_form(service):
        assert "again" in check_problem(answer, 504, form), str(answer)
    seconds = time.monotonic() - started
    assert 4.5 < seconds < 7, f"the answer came after {seconds} s"
    for process in (parent, *workers):
        process.kill(signal.SIGCONT)
    recovers(service)


@pytest.mark.native
@pytest.mark.parametrize("path", ["/nothing", "/rubbish"])
def test_a_responder_that_answers_rubbish_is_a_502(fake, path):
    fake.expect("upstream (prematurely closed|sent (invalid|unexpected)|.*header)")
    check_problem(ask(fake.port, path), 502)


@pytest.mark.native
@pytest.mark.parametrize(
    ("method", "tries"), [("GET", 2), ("HEAD", 2), ("PUT", 2), ("POST", 1), ("PATCH", 1)]
)
def test_what_may_be_done_twice_is_tried_twice(fake, method, tries):
    fake.expect("upstream prematurely closed", tries)
    answer = ask(fake.port, "/nothing", method, body=b"hello")
    assert answer.status == 502, str(answer)
    fake.check_log()
    said = [line for line in fake.lines() if "prematurely" in line]
    assert len(said) == tries, said


@pytest.mark.native
def test_connections_to_the_responder_are_kept(start):
    service = start(kind=OnOneCpu, responder=FAKE)
    with Connection(service.port) as connection:
        connection.send(request("/") * 20)
        told = [json.loads(connection.answer().body) for _ in range(20)]
    assert len({one["connection"] for one in told}) == 1, told


@pytest.mark.native
def test_an_answer_that_breaks_off_is_not_passed_on_as_a_whole_one(fake):
    fake.expect("upstream prematurely closed", 0)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(fake.port, "/half")


# --- What the responder is told -------------------------------------------------------------


@pytest.mark.native
def test_the_responder_is_told_what_it_needs_and_nothing_else(fake):
    data = head(
        "POST /one%2Fx//y?a=b%20c HTTP/1.1",
        "Proxy: http://evil.example",
        "PROXY: http://evil.example",
        "Accept: text/html",
        'If-Match: "y"',
        'If-None-Match: "x"',
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "Content-Type: text/plain",
        "Content-Length: 5",
        "Cookie: a=b",
        "Authorization: Basic x",
        "User-Agent: test",
        "X-Forwarded-For: 192.0.2.1",
        "HTTP_ACCEPT: image/png",
        "X-Accel-Redirect: /",
    )
    with Connection(fake.port) as connection:  # to one of nginx's workers, and so for both
        connection.send(2 * (data + b"hello"))
        before, told = (json.loads(connection.answer().body) for _ in range(2))
    assert told.pop("HTTP_PROXY", "") == "", told
    assert told.pop("connection") == before["connection"], f"not kept: {before}"
    assert re.fullmatch(REQUEST_ID, told.pop("HTTP_X_REQUEST_ID")), told
    assert told.pop("request") == before["request"] + 1, f"{before}{told}"
    assert told == {
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/one%2Fx//y?a=b%20c",
        "HTTP_ACCEPT": "text/html",
        "HTTP_IF_MATCH": '"y"',
        "HTTP_IF_NONE_MATCH": '"x"',
        "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "CONTENT_LENGTH": "5",
        "body": "hello",
    }
