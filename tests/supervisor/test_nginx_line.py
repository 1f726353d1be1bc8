"""nginx's error log, taken apart."""

import random
import string

import nginx_line
import pytest

PREFIX = "2026/11/25 19:00:12 [{}] 17#18: "
TAIL = ', client: 127.0.0.1, server: , request: "GET /?a=b HTTP/1.1"'


def parse(text, level="error"):
    return nginx_line.parse(PREFIX.format(level) + text)


@pytest.mark.parametrize("fault", ["client intended to send too large body: 9 bytes", "client sent invalid chunked body"])
def test_what_any_client_can_provoke_is_no_error(fault):
    assert parse(f"{fault}{TAIL}")["severity"] == "WARNING"
    assert parse(f"client prematurely closed{TAIL}")["severity"] == "ERROR"
    assert parse(f"{fault}{TAIL}", "crit")["severity"] == "CRITICAL"


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("debug", "DEBUG"),
        ("info", "INFO"),
        ("notice", "NOTICE"),
        ("warn", "WARNING"),
        ("error", "ERROR"),
        ("crit", "CRITICAL"),
        ("alert", "ALERT"),
        ("emerg", "EMERGENCY"),
    ],
)
def test_each_level_has_its_severity(level, severity):
    assert parse("words", level)["severity"] == severity
    assert nginx_line.parse(f"nginx: [{level}] words") == {"severity": severity, "message": "words"}


def test_a_line_about_a_request_is_taken_apart():
    line = "*5 recv() failed (104: Connection reset by peer) while reading response header from upstream"
    upstream = ', upstream: "fastcgi://unix:/tmp/x/responder.sock:", host: "a:1", referrer: "http://b/"'
    assert parse(line + TAIL + upstream) == {
        "severity": "ERROR",
        "message": line.removeprefix("*5 "),
        "pid": 17,
        "tid": 18,
        "connection": 5,
        "client": "127.0.0.1",
        "server": "",
        "request": "GET /?a=b HTTP/1.1",
        "upstream": "fastcgi://unix:/tmp/x/responder.sock:",
        "host": "a:1",
        "referrer": "http://b/",
    }


@pytest.mark.parametrize("client", ["::1", "2001:db8::1", "unix:", "10.0.0.1"])
def test_every_kind_of_client_is_found(client):
    entry = parse(f'*1 words, client: {client}, server: name, request: "G / H"')
    assert (entry["client"], entry["server"], entry["request"]) == (client, "name", "G / H")


def test_a_client_without_a_request_is_found():
    entry = parse("*1 client timed out, client: ::1, server: 0.0.0.0:8080")
    assert (entry["message"], entry["client"]) == ("client timed out", "::1")


@pytest.mark.parametrize(
    "referrer",
    ['x", host: "y', 'x", referrer: "y', 'x", client: 1.2.3.4, server: z, request: "r"', '"', ""],
)
def test_a_referrer_cannot_pretend_to_be_something_else(referrer):
    entry = parse(f'*1 words{TAIL}, host: "h", referrer: "{referrer}"')
    assert entry["host"] == "h" and entry["referrer"] == referrer and entry["client"] == "127.0.0.1"


def test_a_host_with_a_quote_stays_whole():
    assert parse(f'*1 words{TAIL}, host: "a"b"')["host"] == 'a"b'


def test_a_line_that_nginx_has_cut_keeps_what_is_there():
    entry = parse(f'*1 words{TAIL}, host: "h", referrer: "http://long')
    assert entry["referrer"] == "http://long"


@pytest.mark.parametrize("line", ["", "words", "2026/11/25 [error] words", "nginx: words", "{}"])
def test_what_is_not_nginx_s_is_left_alone(line):
    assert nginx_line.parse(line) is None


SEED = random.randrange(2**32)


def test_whatever_members_are_put_in_come_out_again():
    """A property, for random lines. What is in quotes has neither a space nor a quote before one,
    but for the last one, the referrer, which has anything."""
    chance = random.Random(SEED)
    visible = "".join(chr(number) for number in range(33, 127)) + "é\x1b"
    anything = visible + ' ",:' * 20

    def text(alphabet, most=30):
        return "".join(chance.choice(alphabet) for _ in range(chance.randrange(most)))

    for _ in range(5000):
        members = {"client": chance.choice(["::1", "10.1.2.3"]), "server": text(string.ascii_letters)}
        message = text(visible.replace(",", "") + " ") + "."
        line = f"*7 {message}, client: {members['client']}, server: {members['server']}"
        for name in ("request", "subrequest", "upstream", "host"):
            if chance.random() < 0.6 or name == "request":
                members[name] = text(visible)
        if chance.random() < 0.6:
            members["referrer"] = text(anything, 80)
        for name in nginx_line.QUOTED:
            if name in members:
                line += f', {name}: "{members[name]}"'
        entry = parse(line)
        expected = {"severity": "ERROR", "message": message, "pid": 17, "tid": 18, "connection": 7}
        assert entry == {**expected, **members}, f"seed {SEED}: {line!r}"
