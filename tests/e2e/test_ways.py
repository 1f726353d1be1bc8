"""One answer whatever the way in: nginx, a worker, --single and a CGI program get the same random requests,
most of them with a body."""

import contextlib
import http.client
import io
import json
import random
import socket
import struct
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from client import FORM_TYPE, Connection
from service import BASE_ENVIRONMENT, BUILD, RESPONDER, wait_until

pytestmark = pytest.mark.native

FAULTY = f"{BUILD}/tests/faulty_responder"
REQUESTS = 600
ROUTE_MAX, KEPT_MAX, COUNTED_MAX = 4096, 64 * 1024, 1024 * 1024  # route.h, request.h
IDENTITY = "one-and-the-same"
BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
OF_NGINX = ("date", "server", "connection", "x-cache", "age", "x-request-id")


# --- Ways ---------------------------------------------------------------------------------------


def told(status, fields, body):
    """What has to be the same."""
    kept = [(name.lower(), v) for name, v in fields if name.lower() not in (*OF_NGINX, "status")]
    return status, sorted(kept), body


def told_by_cgi(output):
    stream = io.BytesIO(output)
    fields = http.client.parse_headers(stream)
    return told(int(fields["Status"].split()[0]), fields.items(), stream.read())


def framings(body, dice):
    """The lines and the bytes of a body: whole or in chunks, or for a client that waits to be told. Of chunks
    that do not come at once nginx does not tell the length."""
    length = f"Content-Length: {len(body)}"
    cut = dice.randrange(len(body) + 1)
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:cut], body[cut:]) if piece)
    yield "1.1", [length], body
    yield "1.0", [length], body
    yield "1.1", [length, "Expect: 100-continue"], body
    yield "1.1", ["Transfer-Encoding: chunked"], pieces + b"0\r\n\r\n"
    yield "1.1", ["Transfer-Encoding: chunked", "Expect: 100-continue"], pieces + b"0\r\n\r\n"


def through_nginx(port, what, dice):
    method, target, body, fields = what
    version, lines, data = dice.choice([*framings(body, dice)]) if body else ("1.1", [], b"")
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += ["Host: localhost", "Connection: close", f"X-Request-Id: {IDENTITY}", "", ""]
    with Connection(port) as connection:
        connection.send("\r\n".join([f"{method} {target} HTTP/{version}", *lines]).encode())
        if "Expect: 100-continue" in lines:
            assert connection.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            connection.reader.readline()
        connection.send(data)
        answer = connection.answer(method)
    return told(answer.status, answer.fields.items(), answer.body)


def parameters(what, content_length):
    method, target, _, fields = what
    names = {"Content-Type": "CONTENT_TYPE"}
    pairs = {names.get(name, f"HTTP_{name.upper().replace('-', '_')}"): v for name, v in fields.items()}
    pairs |= {"REQUEST_METHOD": method, "REQUEST_URI": target, "HTTP_X_REQUEST_ID": IDENTITY}
    return pairs if content_length is None else {**pairs, "CONTENT_LENGTH": content_length}


def records(kind, content, dice):
    """A stream in records of random sizes, with and without padding."""
    framed = b""
    while content:
        size = dice.choice([1, dice.randrange(1, 5000), 65535]) if len(content) < 200 else 65535
        piece, padding = content[:size], dice.choice([0, 0, 3, 255])
        content = content[size:]
        framed += struct.pack("!BBHHBB", 1, kind, 1, len(piece), padding, 0) + piece + bytes(padding)
    return framed + struct.pack("!BBHHBB", 1, kind, 1, 0, 0, 0)


def in_records(what, content_length, dice):
    def length(string):
        return bytes([len(string)]) if len(string) < 128 else struct.pack("!I", len(string) | 1 << 31)

    pairs = [(name.encode(), v.encode()) for name, v in parameters(what, content_length).items()]
    encoded = b"".join(length(name) + length(v) + name + v for name, v in pairs)
    begin = struct.pack("!BBHHBBHBxxxxx", 1, BEGIN_REQUEST, 1, 8, 0, 0, 1, 0)
    return begin + records(PARAMS, encoded, dice) + records(STDIN, what[2], dice)


def over_fastcgi(path, what, content_length, dice):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an answer before the end
            connection.sendall(in_records(what, content_length, dice))
        stream, output = connection.makefile("rb"), b""
        while True:
            header = stream.read(8)
            assert len(header) == 8, f"the connection has ended behind {output!r}"
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", header)
            content = stream.read(length + padding)[:length]
            if kind == END_REQUEST:
                return told_by_cgi(output)
            output += content if kind == STDOUT else b""


def as_cgi(what, content_length, responder=RESPONDER):
    environment = {**BASE_ENVIRONMENT, **parameters(what, content_length)}
    done = subprocess.run([responder], input=what[2], env=environment, capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b""), done
    return told_by_cgi(done.stdout)


@contextlib.contextmanager
def alone(directory, responder=RESPONDER):
    """Gives where a responder listens that answers one request at a time."""
    path, log = f"{directory}/single.sock", f"{directory}/log"
    with socket.socket(socket.AF_UNIX) as listening, open(log, "wb") as file:
        listening.bind(path)
        listening.listen(64)
        process = subprocess.Popen(
            [responder, "--single"], stdin=listening, stderr=file, env={**BASE_ENVIRONMENT, "LOG_LEVEL": "debug"}
        )
    try:
        yield path
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def single(directory):
    with alone(directory) as path:
        yield path


# --- Requests -----------------------------------------------------------------------------------

TYPES = [FORM_TYPE, FORM_TYPE.upper(), f"{FORM_TYPE}; charset=utf-8", f"{FORM_TYPE};charset=latin1"]
TYPES += ["application/json", 'Application/JSON ;charset="UTF-8"', "application/jsonx", "application/json; a"]
TYPES += ["text/plain", "multipart/form-data; boundary=x", ";", "*/*"]
NAMES = ["Ada", "Zoë", "日本", "a+b & c=d%", "", " ", "x" * 64, "x" * 65, "\u202e", "a\nb", "<b>"]
TARGETS = ["/", "/", "/", "/", "/?format=json", "/?name=Eve", "/?lang=de&format=html", "/?x", "/%FF"]
TARGETS += ["/greetings/Ada", "/health", "/nope"]


def form(dice):
    return urllib.parse.urlencode([(dice.choice(["name", "lang", "nom"]), dice.choice([*NAMES, "de"]))]).encode()


def member(dice):
    return dice.choice([*NAMES, *NAMES, 1, None, [], {"name": "Ada"}])


def object_in_json(dice):
    names = dice.sample(["name", "lang", "", "name\0"], dice.choice([0, 1, 1, 1, 2]))
    return json.dumps({name: member(dice) for name in names}, ensure_ascii=dice.random() < 0.5).encode()


def spoiled(body, dice):
    """With one byte more, less or another."""
    at = dice.randrange(len(body) + 1)
    return body[:at] + dice.choice([b"", dice.randbytes(1)]) + body[at + dice.randrange(2) :]


def random_body(dice):
    kind = dice.randrange(10)
    if kind < 3:
        return form(dice)
    if kind < 6:
        return object_in_json(dice)
    if kind < 8:
        return spoiled(dice.choice([form, object_in_json])(dice), dice)
    if kind == 8:
        return dice.choice([b"", dice.randbytes(dice.randrange(300))])
    return dice.choice([b"&", b" ", b"\xff"]) * dice.choice([ROUTE_MAX, ROUTE_MAX + 1, KEPT_MAX])


def random_request(dice):
    """Method, target, body and fields. nginx itself refuses a body with GET, HEAD or OPTIONS."""
    body = random_body(dice)
    method = dice.choice(["POST"] * 8 + ["PUT", "PATCH", "DELETE", "BREW"] + [""] * 2)
    if not method:
        method, body = dice.choice(["GET", "HEAD", "OPTIONS"]), b""
    fields = {
        "Content-Type": dice.choice([*TYPES[:6] * 3, *TYPES, None]),
        "Accept": dice.choice([None, None, "application/json", "text/html", "image/png", "text/*;q=0.1, */*"]),
        "Accept-Language": dice.choice([None, None, "de", "ar, en;q=0.5"]),
        "Content-Encoding": dice.choice([None] * 4 + ["gzip", "identity"]),
        "If-None-Match": dice.choice([None] * 9 + ["*"]),
    }
    return method, dice.choice(TARGETS), body, {name: v for name, v in fields.items() if v}


# --- Tests --------------------------------------------------------------------------------------


def test_the_same_request_has_the_same_answer_on_every_way_in(launch, single):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    service = launch(CACHE="off").wait_ready()
    service.expect("client (intended|sent) ", 0)
    statuses = set()
    for number in range(REQUESTS):
        what = random_request(dice)
        length = str(len(what[2])) if what[2] else dice.choice([None, "", "0"])
        worker = over_fastcgi(f"{service.run_dir}/responder.sock", what, length, dice)
        ways = {
            "nginx": through_nginx(service.port, what, dice),
            "--single": over_fastcgi(single, what, length, dice),
            "CGI": as_cgi(what, length),
        }
        for way, answer in ways.items():
            assert answer == worker, f"seed {seed}, request {number}, {way}: {what} {answer} {worker}"
        statuses.add(worker[0])
    assert statuses >= {200, 204, 400, 404, 405, 413, 415, 501}, f"seed {seed}: {statuses}"


WRONG = ["0", "7", "9", "08", "8", "", None, "x", "-8", "+8", " 8", "8 ", "8,8", "8x", "0x8", "1e1"]
WRONG += [str(COUNTED_MAX), str(COUNTED_MAX + 1), str(2**64 + 8), "9" * 40]


def test_a_length_that_is_wrong_has_the_same_answer_on_every_way_in(launch, single):
    """A CGI program gets as much as is declared, and no more (RFC 3875 section 4.2)."""
    dice = random.Random(1)
    worker = f"{launch().wait_ready().run_dir}/responder.sock"
    for length in WRONG:
        what = ("POST", "/", b"name=Ada", {"Content-Type": FORM_TYPE})
        answer = over_fastcgi(worker, what, length, dice)
        honest = length in ("08", "8", "", None)
        assert answer[0] == (200 if honest else 400), (length, answer)
        assert over_fastcgi(single, what, length, dice) == answer, length
        if length in ("0", "7", "", None):
            declared = int(length or 0)
            cut = ("POST", "/", b"name=Ada"[:declared], {"Content-Type": FORM_TYPE})
            answer = over_fastcgi(worker, cut, str(declared), dice)
        elif length.isdigit() and int(length) > COUNTED_MAX:
            answer = over_fastcgi(worker, (*what[:2], bytes(COUNTED_MAX + 1), what[3]), None, dice)
        assert as_cgi(what, length) == answer, length


def test_a_body_is_counted_up_to_its_bound_on_every_way_in(launch, single):
    dice = random.Random(1)
    worker = f"{launch().wait_ready().run_dir}/responder.sock"
    for target in ("/", "/health"):
        for size in (KEPT_MAX + 1, COUNTED_MAX, COUNTED_MAX + 1):
            what = ("POST", target, size * b"&", {"Content-Type": FORM_TYPE})
            answer = over_fastcgi(worker, what, str(size), dice)
            assert answer[0] == (413 if target == "/" or size > COUNTED_MAX else 405), (size, answer)
            assert over_fastcgi(single, what, str(size), dice) == answer, size
            assert as_cgi(what, str(size)) == answer, size


def test_any_bytes_arrive_up_to_the_largest_body_that_is_kept(launch, directory):
    """The responder with faults (tests/faults) tells what came by its hash. No route takes so much."""
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    worker = f"{launch(responder=FAULTY).wait_ready().run_dir}/responder.sock"
    with alone(directory, FAULTY) as single:
        for size in (1, 4095, 4096, 4097, 8192, KEPT_MAX - 1, KEPT_MAX, *dice.sample(range(KEPT_MAX), 5)):
            what = ("GET", "/health?hash", dice.randbytes(size), {})
            answer = over_fastcgi(worker, what, str(size), dice)
            assert answer[2] == hash_of(what[2]), (seed, size)
            assert over_fastcgi(single, what, str(size), dice) == answer, (seed, size)
            assert as_cgi(what, str(size), FAULTY) == answer, (seed, size)


def hash_of(body):
    """FNV-1a of 32 bits."""
    total = 2166136261
    for byte in body:
        total = (total ^ byte) * 16777619 % 2**32
    return b"%d" % total


def test_alone_it_does_not_look_at_a_body_that_is_cut_off(single, directory):
    """Which is no empty one, nor a shorter one, where nothing declares its length."""
    what = ("POST", "/", b"name=Ada", {"Content-Type": FORM_TYPE})
    whole = in_records(what, None, random.Random(1))
    for missing in range(1, 20):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(single)
            connection.sendall(whole[:-missing])
    assert over_fastcgi(single, ("GET", "/", b"", {}), None, random.Random(1))[0] == 200
    log = Path(directory, "log")
    wait_until(lambda: "GET / 200" in log.read_text(encoding="utf-8"), 5, "what came last is logged")
    assert "POST" not in log.read_text(encoding="utf-8")
