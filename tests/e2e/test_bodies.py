"""Bodies of requests, from the client through nginx to the handler: whole, in pieces, cut off, slow, too
long, and of the wrong kind."""

import concurrent.futures
import contextlib
import itertools
import json
import os
import random
import select
import socket
import time
import urllib.parse

import pytest
from client import SMUGGLED, Connection, ask, check, check_problem, exchange, head, request
from service import FAKE, copy_checkout, wait_until

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
CHUNKED = "Transfer-Encoding: chunked"
NAMES = ["Ada", "a+b & c=d%", "Zoë", "日本", "x" * 64]
LARGEST = 64 * 1024  # BODY_KEPT_MAX, client_max_body_size
in_every_form = pytest.mark.parametrize(
    ("form", "accept"), [("text", "*/*"), ("html", "text/html"), ("json", "application/json")]
)


def chunks(body, dice):
    """A body in chunks of random sizes, with and without extensions and a trailer."""
    framed = b""
    while body:
        size = dice.randrange(1, len(body) + 1)
        framed += b"%x%s\r\n%s\r\n" % (size, dice.choice([b"", b";a=b"]), body[:size])
        body = body[size:]
    return framed + b"0\r\n" + dice.choice([b"", b"Trailer: x\r\n"]) + b"\r\n"


def framed(body, dice):
    """The field that says how long a body is, and the body accordingly."""
    if dice.randrange(2):
        return CHUNKED, chunks(body, dice)
    return f"Content-Length: {len(body)}", body


# --- What is read ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("media_type", [FORM, JSON, f"{JSON}; charset=utf-8"])
def test_a_name_in_a_body_is_greeted(port, name, media_type):
    form = urllib.parse.urlencode({"name": name})
    body = (form if media_type == FORM else json.dumps({"name": name})).encode()
    answer = ask(port, "/", "POST", body, Content_Type=media_type)
    assert (answer.status, answer.text) == (200, f"Hello {name}\n"), str(answer)
    assert (answer["Cache-Control"], answer["X-Cache"]) == ("no-store", None), str(answer)


@pytest.mark.parametrize("fields", [["Content-Length: 0"], [CHUNKED], []])
def test_no_body_and_an_empty_one_are_the_same(port, fields):
    ending = b"0\r\n\r\n" if fields == [CHUNKED] else b""
    answer = exchange(port, head("POST / HTTP/1.1", "Connection: close", *fields) + ending)
    assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)


def test_a_body_arrives_however_it_is_cut_and_behind_it_the_next_request(port):
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    with Connection(port) as connection:
        for name in dice.choices(NAMES, k=100):
            framing, body = framed(urllib.parse.urlencode({"name": name}).encode(), dice)
            data = head("POST / HTTP/1.1", f"Content-Type: {FORM}", framing) + body
            for _ in range(dice.randrange(4)):
                size = dice.randrange(len(data))
                connection.send(data[:size])
                data = data[size:]
            connection.send(data + request("/?name=next"))
            answers = [check(connection.answer()).text for _ in range(2)]
            assert answers == [f"Hello {name}\n", "Hello next\n"], f"seed {seed}: {answers}"


@pytest.mark.native
def test_any_bytes_arrive_up_to_the_largest_body(start):
    service = start(responder=FAKE)
    dice = random.Random(1)
    for size in (1, 1000, 16 * 1024, 16 * 1024 + 1, LARGEST):
        body = dice.randbytes(size)
        for _ in range(2):
            framing, sent = framed(body, dice)
            with Connection(service.port) as connection:
                connection.send(head("PUT /x HTTP/1.1", framing) + sent)
                told = json.loads(connection.answer().body)
            assert told["body"].encode("latin-1") == body, (size, framing)
            assert told.get("CONTENT_LENGTH", str(size)) == str(size), told["CONTENT_LENGTH"]


@pytest.mark.parametrize("framing", ["Content-Length", "chunks"])
def test_a_body_that_looks_like_a_request_is_none(port, framing):
    body = SMUGGLED if framing == "Content-Length" else b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    field = f"Content-Length: {len(SMUGGLED)}" if framing == "Content-Length" else CHUNKED
    with Connection(port) as connection:
        for path in ("/", "/health", "/nope"):
            connection.send(head(f"POST {path} HTTP/1.1", field, f"Content-Type: {FORM}") + body)
            check_problem(check(connection.answer()), {"/": 400, "/health": 405, "/nope": 404}[path])
        connection.send(request("/?name=next"))
        assert check(connection.answer()).text == "Hello next\n"


def test_a_client_that_wants_to_be_told_to_go_on_is_told(port):
    with Connection(port) as connection:
        fields = (f"Content-Type: {FORM}", "Content-Length: 8", "Expect: 100-continue")
        connection.send(head("POST / HTTP/1.1", *fields))
        assert connection.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert connection.reader.readline() == b"\r\n"
        connection.send(b"name=Ada")
        assert check(connection.answer()).text == "Hello Ada\n"


# --- What is refused ------------------------------------------------------------------------


@in_every_form
def test_what_a_route_does_not_take_is_an_error_behind_the_body(port, form, accept):
    """And the connection is of use."""
    cases = [
        ("/", "POST", FORM, 4097 * b"&", 413),
        ("/", "POST", "text/plain", b"Ada", 415),
        ("/", "POST", FORM, b"nom=Ada", 400),
        ("/", "PUT", FORM, b"name=Ada", 405),
        ("/health", "POST", JSON, LARGEST * b" ", 405),
        ("/nope", "POST", FORM, b"name=Ada", 404),
        ("/", "BREW", FORM, b"name=Ada", 501),
    ]
    with Connection(port) as connection:
        for path, method, media_type, body, status in cases:
            fields = {"Content_Type": media_type, "Accept": accept}
            connection.send(request(path, method, body, **fields))
            answer = check(connection.answer())
            check_problem(answer, status, form)
            allowed = ask(port, path, "OPTIONS")["Allow"] if status == 405 else None
            assert answer["Allow"] == allowed, str(answer)
    encoded = ask(port, "/", "POST", b"name=Ada", Content_Type=FORM, Content_Encoding="gzip", Accept=accept)
    check_problem(encoded, 415, form)


@pytest.fixture(scope="module")
def refuser(shared_launch):
    """A service that may say what clients do wrong. The log has that later where it happens often."""
    service = shared_launch().wait_ready()
    service.expect("client (intended|sent) ", 0)
    return service.port


REFUSED = [
    ("GET", ["Content-Length: 5"]),
    ("HEAD", [CHUNKED]),
    ("OPTIONS", [f"Content-Length: {10**12}"]),
    ("TRACE", [CHUNKED]),
    ("CONNECT", ["Content-Length: 5"]),
    ("POST", [f"Content-Length: {LARGEST + 1}"]),
    ("PUT", [f"Content-Length: {10**12}", "Expect: 100-continue"]),
]


@in_every_form
@pytest.mark.parametrize(("method", "fields"), REFUSED)
def test_what_no_route_takes_is_refused_before_the_body_is_there(
    refuser, method, fields, form, accept
):
    for path in ("/", "/health"):
        with Connection(refuser) as connection:
            connection.send(head(f"{method} {path} HTTP/1.1", f"Accept: {accept}", *fields))
            answer = check(connection.answer(method), method)
        assert answer["Connection"] == "close", str(answer)
        if method != "HEAD":
            check_problem(answer, 413, form)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_client_that_sends_much_before_it_reads_sees_the_refusal(refuser, method):
    size = 16 * 1024 * 1024
    data = head(f"{method} / HTTP/1.1", f"Content-Length: {size}") + bytes(size)
    check_problem(exchange(refuser, data + SMUGGLED), 413)


@in_every_form
def test_chunks_that_become_too_many_are_refused_when_they_do(refuser, form, accept):
    data = head("POST / HTTP/1.1", CHUNKED, f"Accept: {accept}")
    for size in (LARGEST + 1, 10**9):
        with Connection(refuser) as connection:
            connection.send(data + b"%x\r\n" % size + bytes(LARGEST + 1))
            check_problem(check(connection.answer()), 413, form)


@pytest.mark.parametrize("chunk", [b"zz\r\nhello", b"-5\r\nhello", b"5hello", b"5\r\nhellooo\r\n0"])
def test_malformed_chunks_are_a_400(refuser, chunk):
    data = head("POST / HTTP/1.1", CHUNKED) + chunk + b"\r\n\r\n" + SMUGGLED
    check_problem(exchange(refuser, data), 400)


# --- What does not come ---------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["Content-Length: 8", CHUNKED])
def test_what_is_cut_off_is_not_handled(start, framing):
    service = start(LOG_LEVEL="debug", ACCESS_LOG="all")
    service.expect("^(GET|POST|[0-9]+ (GET|POST)|serving|about to be stopped)", 0)
    begun = b"7\r\nname=Ad" if framing == CHUNKED else b"name=Ad"
    for _ in range(10):
        with Connection(service.port) as connection:
            fields = (f"Content-Type: {FORM}", framing, "X-Request-Id: cut-off-request")
            connection.send(head("POST / HTTP/1.1", *fields) + begun)
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.rest() == b""
    wait_until(lambda: service.log().count("cut-off-request") >= 10, 10, "nginx has logged each")
    ask(service.port, "/?name=next")
    wait_until(lambda: '"GET /?name=next 200' in service.log(), 10, "the responder has logged it")
    entries = [entry for entry in service.entries() if entry.get("request_id") == "cut-off-request"]
    assert {entry["component"] for entry in entries} == {"nginx"}, entries
    assert {entry["status"] for entry in entries} == {400}, entries


def drip(port, start, framing):
    """Sends bytes one by one behind start, until the connection ends. Returns the answer and after how
    many seconds the end came."""
    began = time.monotonic()
    with Connection(port) as connection:
        connection.send(start)
        with contextlib.suppress(ConnectionError):
            for byte in itertools.cycle(framing):
                connection.socket.sendall(bytes([byte]))
                if select.select([connection.socket], [], [], 0.3)[0]:
                    break
                assert time.monotonic() - began < 30, "the body is still read"
        answer = connection.answer()
        with contextlib.suppress(ConnectionError):
            while connection.socket.recv(4096):
                pass
        return answer, time.monotonic() - began


FRAMINGS = [b"1\r\nx\r\n", b"1;" + 999 * b"x", b"0\r\nA: " + 999 * b"x"]


def test_the_time_that_a_body_may_take_is_bounded_in_all(port):
    """Also that of a chunk's extension and of a trailer, which nginx does not count."""
    starts = [(head("POST / HTTP/1.1", CHUNKED), framing) for framing in FRAMINGS]
    starts += [(head("POST / HTTP/1.1", "Content-Length: 1000"), b"x")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for answer, seconds in pool.map(lambda start: drip(port, *start), starts):
            check_problem(check(answer), 408)
            assert 9 < seconds < 18, f"a body was read for {seconds} s"


def test_the_time_for_which_the_rest_of_a_refused_body_is_read_is_bounded_in_all(port):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        started = [pool.submit(drip, port, head("GET / HTTP/1.1", CHUNKED), framing) for framing in FRAMINGS]
        for answer, seconds in (future.result() for future in started):
            check_problem(check(answer), 413)
            assert seconds < 8, f"a body was read for {seconds} s"


def test_bodies_that_do_not_come_delay_nobody(start):
    """One worker has them all, and reads none of them."""
    service = start(WORKERS="1", CACHE="off")
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Connection(service.port)) for _ in range(300)]
        for connection in slow:
            connection.send(head("POST / HTTP/1.1", f"Content-Type: {FORM}", "Content-Length: 8") + b"name")
        for _ in range(300):
            assert ask(service.port).text == "Hello World\n"
        for connection in slow:
            connection.send(b"=Ada")
        assert {check(connection.answer()).text for connection in slow} == {"Hello Ada\n"}


@pytest.mark.native
def test_only_so_many_bodies_are_under_way_that_others_get_through(start, directory):
    """With a smaller limit, of which the test need not hold 1000 at once."""
    checkout = copy_checkout(f"{directory}/checkout")
    path = f"{checkout}/nginx/responder.conf"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "limit_conn bodies 1000;" in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("limit_conn bodies 1000;", "limit_conn bodies 3;"))
    service = start(checkout=checkout)
    fields = (f"Content-Type: {FORM}", "Content-Length: 8", "Expect: 100-continue")

    def one_more():
        return ask(service.port, "/", "POST", b"name=Ada", Content_Type=FORM)

    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Connection(service.port)) for _ in range(3)]
        for connection in slow:
            connection.send(head("POST / HTTP/1.1", *fields))
            assert connection.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        check_problem(one_more(), 503)
        assert ask(service.port, "/?name=Ada").text == "Hello Ada\n"
        assert ask(service.port, "/", "POST").text == "Hello World\n"  # without a body
        for connection in slow:
            connection.reader.readline()
            connection.send(b"name=Ada")
            assert check(connection.answer()).text == "Hello Ada\n"
    wait_until(lambda: one_more().status == 200, 5, "there is room again")


@pytest.mark.native
def test_nothing_of_a_body_gets_into_a_file(start):
    service = start()
    dice = random.Random(2)
    with contextlib.ExitStack() as stack:
        for size in (1, 16 * 1024 + 1, LARGEST):
            for _ in range(2):
                framing, body = framed(bytes(size), dice)
                connection = stack.enter_context(Connection(service.port))
                connection.send(head("POST / HTTP/1.1", framing) + body[:-1])
        assert ask(service.port, "/?name=Ada").status == 200
        assert os.listdir(f"{service.run_dir}/temp") == []
        for worker in service.named("nginx")[1]:
            files = [os.readlink(entry) for entry in os.scandir(f"/proc/{worker.pid}/fd")]
            assert not [name for name in files if name.startswith(f"{service.run_dir}/temp")]


def test_a_client_that_closes_its_end_behind_a_body_gets_its_answer(port):
    for _ in range(100):
        with Connection(port) as connection:
            connection.send(request("/", "POST", b"name=Ada", Content_Type=FORM))
            connection.socket.shutdown(socket.SHUT_WR)
            assert check(connection.answer()).text == "Hello Ada\n"
