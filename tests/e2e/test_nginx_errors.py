"""What nginx answers itself: the errors, in the same shape as the responder's, and everything that
is about HTTP rather than about greetings, byte by byte."""

import concurrent.futures
import contextlib
import errno
import http.client
import ipaddress
import itertools
import json
import os
import random
import re
import select
import signal
import socket
import time

import pytest
from client import REQUEST_ID, SMUGGLED, Connection, ask, check, check_problem, exchange, head, request
from service import FAKE, OnOneCpu, wait_until

FORMS = [("text", "*/*"), ("html", "text/html"), ("json", "application/json")]
FORMS += [("json", "application/problem+json")]
in_every_form = pytest.mark.parametrize(("form", "accept"), FORMS)


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


# Host, RFC 9112 section 3.2 and RFC 3986 section 3.2.2. The names of the rules are theirs.

UNRESERVED_AND_SUB_DELIMS = r"A-Za-z0-9._~!$&'()*+,;=\-"
REG_NAME = re.compile(f"(?:[{UNRESERVED_AND_SUB_DELIMS}]|%[0-9A-Fa-f]{{2}})+")
IPV_FUTURE = re.compile(f"v[0-9A-Fa-f]+\\.[{UNRESERVED_AND_SUB_DELIMS}:]+", re.IGNORECASE)


def is_ipv6_address(text):
    """Python knows no more of them than the grammar, but for zones."""
    try:
        return "%" not in text and bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def is_host(text):
    """uri-host [ ":" port ], which is not empty where the scheme is http (RFC 9110 section 4.2.1)."""
    host, colon, port = re.fullmatch(r"(\[.*\]|[^:]*)(:?)(.*)", text, re.DOTALL).groups()
    if not re.fullmatch("[0-9]*" if colon else "", port):
        return False
    if host == "." or ".." in host:  # which no name has; nginx is stricter here than the grammar
        return False
    if host.startswith("["):
        literal = host[1:-1]
        return is_ipv6_address(literal) or bool(IPV_FUTURE.fullmatch(literal))
    return bool(REG_NAME.fullmatch(host))


def hosts(dice):
    """Without an end: well-formed ones, some a character away from that, and some that are noise."""
    parts = ["localhost", "a.example", "192.0.2.1", "%41b", "a_b", "[::1]", "[v1.a:b]", "[", "]", ""]
    parts += ["::", ":", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.256", "fe80::1%25eth0", "@", "<b>", '"']
    parts += [":80", ":", ":x", ":80:80", "user@", "'", "\x7f", "\xe9", "%4", "\\", "^", "|", "*", "{"]
    groups = ["0", "ffff", "12345", "1.2.3.4", "1.2.3", "g", ""]
    while True:
        address = ":".join(dice.choices(groups, k=dice.randrange(1, 10)))
        text = dice.choice(
            [
                "".join(dice.choices(parts, k=dice.randrange(1, 4))),
                f"[{address}]",
                f"[{address}::{':'.join(dice.choices(groups[:4], k=dice.randrange(4)))}]:80",
                "".join(chr(dice.randrange(33, 127)) for _ in range(dice.randrange(1, 5))),
            ]
        )
        if text and not dice.randrange(4):
            at = dice.randrange(len(text))
            text = text[:at] + chr(dice.randrange(33, 127)) + text[at + 1 :]
        yield text


def ipv6_literals():
    """Every number of groups on each side of "::", or of none, with an IPv4 address or without."""
    for left, right, end in itertools.product(range(9), range(9), ([], ["192.0.2.255"], ["1.2.3.256"])):
        yield f"[{':'.join(left * ['a1'])}::{':'.join(right * ['F'] + end)}]"
        yield f"[{':'.join(left * ['0'] + end)}]:80"


def test_a_host_is_taken_if_the_grammar_has_it_and_is_a_400_otherwise(port):
    seed = random.randrange(10**6)
    counts = {200: 0, 400: 0}
    random_ones = filter(None, itertools.islice(hosts(random.Random(seed)), 1500))
    for text in {*ipv6_literals(), *random_ones}:
        data = head("GET /health HTTP/1.1", "Connection: close", host=f"Host: {text}".encode())
        answer = exchange(port, data)
        expected = 200 if is_host(text) else 400
        assert answer.status == expected, f"seed {seed}: {expected} was expected: {answer}"
        counts[expected] += 1
    assert min(counts.values()) > 100, f"seed {seed}: {counts}"


@pytest.mark.parametrize("host", [None, b"Host: a b", b"Host: a/b", b"Host:", b"Host: a\0b"])
def test_http_1_1_without_a_proper_host_is_a_400(port, host):
    answer = exchange(port, head("GET / HTTP/1.1", host=host) + SMUGGLED)
    check_problem(answer, 400)


@in_every_form
@pytest.mark.parametrize("path", ["/", "/health", "/nope"])
def test_a_host_that_is_none_is_a_400_everywhere(port, path, form, accept):
    data = head(f"GET {path} HTTP/1.1", f"Accept: {accept}", host=b"Host: user@localhost")
    check_problem(exchange(port, data + SMUGGLED), 400, form)


@pytest.mark.parametrize(
    "authority",
    ["", ":80", "user@localhost", "<b>", 'a"b', "a:x", "[::1", "::1]", "a[b", "localhost:80x"],
)
def test_an_absolute_target_with_a_wrong_host_is_a_400(port, authority):
    check_problem(exchange(port, head(f"GET http://{authority}/ HTTP/1.1") + SMUGGLED), 400)


def test_the_host_of_an_absolute_target_does_not_excuse_the_field(port):
    data = head("GET http://localhost/ HTTP/1.1", host=b"Host: user@localhost")
    check_problem(exchange(port, data + SMUGGLED), 400)


def test_chunks_in_http_1_0_are_a_400(port):
    data = head("POST / HTTP/1.0", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + SMUGGLED
    check_problem(exchange(port, data), 400)


@in_every_form
@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_methods_that_nginx_refuses_are_a_405_that_names_the_allowed_ones(
    port, method, form, accept
):
    answer = ask(port, "/", method, Accept=accept)
    check_problem(answer, 405, form)
    assert answer["Allow"] == ask(port, "/", "OPTIONS")["Allow"], str(answer)


# --- Their form -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("?format=json", "json"),
        ("?name=Ada&format=html&x", "html"),
        ("?format=text&format=json", "text"),
        ("?format=xml&format=json", "json"),
        ("?%FF&format=json", "json"),
        ("?xformat=json", "text"),
        ("?FORMAT=json", "text"),
        ("?format=jsonx", "text"),
    ],
)
@pytest.mark.parametrize("host", [b"Host: user@localhost", b"Host: localhost"])
def test_the_query_chooses_the_form_of_an_error(port, query, form, host):
    """nginx's and the responder's, alike."""
    data = head(f"GET /nope{query} HTTP/1.1", "Connection: close", host=host)
    answer = exchange(port, data)
    check_problem(answer, 400 if b"@" in host else answer.status, form)
    chosen = query.startswith("?format=text") or form != "text"
    assert answer["Vary"] == (None if chosen else "Accept"), str(answer)


@in_every_form
def test_nginx_s_errors_have_the_fields_of_the_responder_s(port, form, accept):
    def described(answer):
        return {
            name: value
            for name, value in answer.fields.items()
            if name not in ("Date", "Content-Length", "Connection", "X-Request-Id")
        }

    nginx_s = exchange(port, head("GET / HTTP/1.1", f"Accept: {accept}", host=b"Host: a@b"))
    assert described(nginx_s) == described(ask(port, "/nope", Accept=accept))


@pytest.mark.parametrize("asked", [{}, {"X_Request_Id": "Of.the_client-1"}, {"X_Request_Id": "no"}])
@pytest.mark.parametrize("form", ["text", "html", "json"])
@pytest.mark.parametrize("method", ["GET", "TRACE"])
def test_an_error_tells_the_request_s_id_in_a_field_and_in_the_body(port, method, form, asked):
    answer = ask(port, f"/nope?format={form}", method, **asked)
    identity = answer["X-Request-Id"]
    assert re.fullmatch(REQUEST_ID, identity), str(answer)
    assert identity in answer.text and answer.unidentified != answer.text, str(answer)
    assert (identity == "Of.the_client-1") == (asked.get("X_Request_Id") == "Of.the_client-1")


def test_every_answer_has_an_id_and_each_another_one(port):
    answers = [ask(port, target) for target in ("/", "/health", "/nope", "/?format=json") * 3]
    with Connection(port) as connection:
        connection.send(request("/") * 3)
        answers += [connection.answer() for _ in range(3)]
    identities = [answer["X-Request-Id"] for answer in answers]
    assert all(re.fullmatch(REQUEST_ID, identity) for identity in identities), identities
    assert len(set(identities)) == len(answers), identities


# --- Connections and versions ---------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(port):
    names = [str(number) for number in range(50)]
    with Connection(port) as connection:
        connection.send(b"".join(request(f"/?name={name}") for name in names))
        answers = [check(connection.answer()) for _ in names]
    assert [answer.text for answer in answers] == [f"Hello {name}\n" for name in names]


@pytest.mark.parametrize("target", ["/", "/?name=Ada", "/health", "/nope"])
def test_a_client_that_has_closed_its_end_gets_its_answer(port, target):
    for _ in range(100):
        with Connection(port) as connection:
            connection.send(request(target))
            connection.socket.shutdown(socket.SHUT_WR)
            assert check(connection.answer()).status in (200, 404)
            assert connection.rest() == b""


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
        for byte in request("/?name=slow"):
            connection.send(bytes([byte]))
            time.sleep(0.005)
        assert check(connection.answer()).text == "Hello slow\n"


@pytest.mark.parametrize("pause", [0.3, 20])
def test_the_head_of_a_request_may_take_10_s_in_all(port, pause):
    """Whether a byte comes now and then, or none any more. Then the connection is reset: the kernel
    keeps nothing for it."""
    started = time.monotonic()
    with Connection(port) as connection:
        connection.send(head("GET / HTTP/1.1")[:-2] + b"X: ")
        while not select.select([connection.socket], [], [], pause)[0]:
            connection.send(b"x")
        with pytest.raises(ConnectionResetError):
            connection.socket.recv(1)
    seconds = time.monotonic() - started
    assert 9 < seconds < 15, f"the connection ended after {seconds} s"


def clog(connection):
    """Sends requests until neither they nor the answers, which nobody takes, get any further."""
    batch = request("/?name=" + 60 * "x") * 100
    connection.socket.setblocking(False)
    while select.select([], [connection.socket], [], 0.5)[1]:
        with contextlib.suppress(BlockingIOError):
            connection.socket.send(batch)


def test_a_client_that_takes_nothing_is_left_after_10_s(port):
    with Connection(port) as connection:
        clog(connection)
        started = time.monotonic()
        poll = select.poll()
        poll.register(connection.socket, select.POLLHUP)  # and errors; not what there is to read
        assert poll.poll(20000), "the connection is still there"
        error = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    assert error == errno.ECONNRESET, os.strerror(error)
    assert time.monotonic() - started < 15


@pytest.mark.native
def test_a_worker_that_is_to_end_waits_3_s_for_its_clients(start):
    service = start()
    with Connection(service.port) as connection:
        clog(connection)
        master, workers = service.named("nginx")
        started = time.monotonic()
        master.kill(signal.SIGHUP)
        wait_until(lambda: all(worker.has_ended() for worker in workers), 8, "the old workers end")
        seconds = time.monotonic() - started
    assert seconds > 2, f"they have ended after {seconds} s, with a client"


@pytest.mark.native
def test_an_idle_connection_is_kept_longer_than_front_ends_keep_it(service):
    """Google's load balancers keep one for 600 s: too long for a test to wait."""
    with open(f"{service.run_dir}/nginx.conf", encoding="utf-8") as file:
        seconds = re.search(r"^ *keepalive_timeout (\d+)s;", file.read(), re.MULTILINE)[1]
    assert int(seconds) > 600


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


@pytest.mark.native
@pytest.mark.parametrize("cache", ["on", "off"])
@pytest.mark.parametrize("target", ["/", "/?format=text", "/x"])
def test_an_answer_to_the_second_try_is_no_error(start, cache, target):
    service = start(responder=FAKE, BREAKS=target, CACHE=cache)
    service.expect("upstream prematurely closed", 1)
    with Connection(service.port) as connection:  # the stand-in's answers are not the service's
        connection.send(request(target))
        answer = connection.answer()
    assert (answer.status, answer.json()["REQUEST_URI"]) == (200, target), str(answer)


@pytest.mark.native
def test_what_may_not_be_done_twice_gets_no_second_try(start):
    service = start(responder=FAKE, BREAKS="/x")
    service.expect("upstream prematurely closed", 1)
    check_problem(ask(service.port, "/x", "POST", Accept="text/html"), 502, "html")


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
    ("method", "body", "tries"),
    [
        ("GET", b"", 2),
        ("HEAD", b"", 2),
        ("PUT", b"", 2),
        ("PUT", b"x", 1),
        ("POST", b"", 1),
        ("POST", b"x", 1),
        ("PATCH", b"", 1),
    ],
)
def test_what_may_be_done_twice_is_tried_twice(fake, method, body, tries):
    """But for what has a body, which nginx does not keep."""
    fake.expect("upstream prematurely closed", tries)
    answer = ask(fake.port, "/nothing", method, body)
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
        "Content-Encoding: identity",
        "Content-Length: 0",
        "Cookie: a=b",
        "Authorization: Basic x",
        "User-Agent: test",
        "X-Forwarded-For: 192.0.2.1",
        "HTTP_ACCEPT: image/png",
        "X-Accel-Redirect: /",
    )
    with Connection(fake.port) as connection:  # to one of nginx's workers, and so for both
        connection.send(2 * data)
        before, told = (json.loads(connection.answer().body) for _ in range(2))
    assert told.pop("made") > before["made"], f"{before}{told}"
    assert told.pop("connection") == before["connection"], f"not kept: {before}"
    assert re.fullmatch(REQUEST_ID, told.pop("HTTP_X_REQUEST_ID")), told
    assert told.pop("request") == before["request"] + 1, f"{before}{told}"
    assert told == {
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/one%2Fx//y?a=b%20c",
        "HTTP_ACCEPT": "text/html",
        "HTTP_IF_MATCH": '"y"',
        "HTTP_IF_NONE_MATCH": '"x"',
        "CONTENT_LENGTH": "0",
        "CONTENT_TYPE": "text/plain",
        "HTTP_CONTENT_ENCODING": "identity",
        "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "body": "",
    }
