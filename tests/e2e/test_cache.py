"""The cache of the greeting: what it keeps, for whom and for how long."""

import concurrent.futures
import os
import random
import re
import signal
import time

import pytest
from client import Connection, Load, ask, check, request
from service import FAKE, wait_until
from test_failures import NGINX_LINE, wait_for_answers
from test_greeting import CHROME, FIREFOX, FORMATS

native = pytest.mark.native

KEPT = [
    *(("/", accept, "text") for accept in ([], "", "*/*", "text/plain")),
    *(("/", accept, "html") for accept in ("text/html", FIREFOX, CHROME)),
    ("/", "application/json", "json"),
    *((f"/?format={form}", "image/png", form) for form in FORMATS),
]
SOONEST, LATEST = 1, 2.1  # seconds after which an answer that is kept for one second has expired


@pytest.fixture
def start(launch):
    """A service of whose responder every request is seen."""
    return lambda **options: launch(**{"LOG_LEVEL": "debug", **options}).wait_ready()


def requests_of(service, pattern=r"(GET|HEAD) /"):
    """Those that the responder has answered."""
    return re.findall(f'"message":"({pattern}.*)"', service.log())


def wait_for_requests(service, number, pattern="(GET|HEAD) /"):
    wait_until(
        lambda: len(requests_of(service, pattern)) >= number, 5, lambda: requests_of(service)
    )


def all_requests_of(service, pattern):
    """The same, and all until now: the log is a little behind. It is through when it has come to a
    request that was sent last."""
    ask(service.port, "/version")
    wait_for_requests(service, 1, "GET /version")
    return requests_of(service, pattern)


@pytest.fixture
def quiet(start):
    """Such a service, and what it has said is no concern of the test."""
    service = start()
    service.expect("", 0)
    return service


def together(number, function):
    """What so many calls at the same time return."""
    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda _: function(), range(number)))


def expire():
    """Waits until everything that is kept has expired."""
    time.sleep(LATEST)


# --- What is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "accept", "form"), KEPT)
def test_a_greeting_is_a_miss_first_and_then_a_hit(quiet, target, accept, form):
    first, second = (ask(quiet.port, target, Accept=accept) for _ in range(2))
    assert (first["X-Cache"], second["X-Cache"]) == ("MISS", "HIT"), f"{first}{second}"
    for name in set(first.fields) - {"Date", "X-Cache"}:
        assert second[name] == first[name], f"{name} differs: {first}{second}"
    assert first["Content-Type"] == second["Content-Type"] == FORMATS[form], f"{first}{second}"
    assert first.body == second.body, f"{first}{second}"
    assert len(all_requests_of(quiet, "GET /[ ?]f?")) == 1, requests_of(quiet)


@pytest.mark.parametrize(
    ("method", "target", "accept"),
    [
        ("GET", "/?name=Ada", []),
        ("GET", "/?format=json&name=Ada", []),
        ("GET", "/health", []),
        ("GET", "/ready", []),
        ("GET", "/version", []),
        ("GET", "/nope", []),
        ("GET", "/?", []),
        ("GET", "//", []),
        ("GET", "/?x", []),
        ("GET", "/?format=xml", []),
        ("GET", "/?FORMAT=html", []),
        ("GET", "/?format=HTML", []),
        ("GET", "/?format=html&", []),
        ("GET", "/", "image/png"),
        ("GET", "/", "text/*"),
        ("GET", "/", "text/html;q=0.5, application/json"),
        ("POST", "/", []),
        ("OPTIONS", "/", []),
    ],
)
def test_anything_else_is_answered_by_the_responder_every_time(quiet, method, target, accept):
    for kept, form, _ in KEPT:  # also where one is there that it might be taken for
        ask(quiet.port, kept, Accept=form)
    before = len(requests_of(quiet, method))
    for _ in range(2):
        answer = ask(quiet.port, target, method, Accept=accept)
        assert answer["X-Cache"] is None, str(answer)
    wait_for_requests(quiet, before + 2, method)


def test_the_cache_changes_no_answer(start):
    """Whatever the Accept field says, and in whichever order the requests come."""
    service, without = start(), start(CACHE="off")
    dice, hits = random.Random(11), 0
    types = ["text/html", "text/plain", "application/json", "text/*", "*/*", "image/webp"]
    types += ["application/xhtml+xml", "application/xml", "application/signed-exchange", "rubbish"]
    ends = ["", "", "", ";q=0.9", ";q=0.8", ";q=0", ";q=1", ";v=b3;q=0.7", ";q=2", ";level=1", ";"]
    for one in (service, without):
        one.expect("", 0)
    with Connection(service.port) as connection, Connection(without.port) as other:
        for _ in range(1500):
            ranges = [dice.choice(types) + dice.choice(ends) for _ in range(dice.randrange(5))]
            if dice.random() < 0.5:
                ranges = ["text/html", *ranges]
            accept = dice.choice([",", ", ", " , "]).join(ranges)
            for one in (connection, other):
                one.send(request("/", Accept=accept))
            with_cache, expected = check(connection.answer()), check(other.answer())
            connection.sent = other.sent = b""
            assert (with_cache.status, with_cache.unidentified, with_cache["Content-Type"]) == (
                expected.status,
                expected.unidentified,
                expected["Content-Type"],
            ), f"Accept: {accept}\nwith{with_cache}without{expected}"
            hits += with_cache["X-Cache"] == "HIT"
    assert hits > 100, "the cache was hardly in use"


def test_clients_of_different_languages_and_formats_get_their_own_answers(quiet):
    def languages_get(accept, form):
        for language in ("de", "en", "fr;q=0.5, *;q=0.1", []):
            answer = ask(quiet.port, Accept=accept, Accept_Language=language)
            assert answer["Content-Type"] == FORMATS[form], str(answer)

    clients = [(accept, form) for target, accept, form in KEPT if target == "/"] * 4
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        for result in [pool.submit(languages_get, *client) for client in clients]:
            result.result()


@native
def test_an_answer_that_varies_on_more_than_the_cache_knows_is_not_kept(start):
    service = start(responder=FAKE)
    answers = [
        ask_fake(service, "/?format=html", Accept_Language=language) for language in ("de", "en")
    ]
    assert [answer["X-Cache"] for answer in answers] == ["MISS", "MISS"], answers
    assert answers[0].json() != answers[1].json(), answers


@native
@pytest.mark.parametrize("target", ["/?format=json", "/"])
def test_an_answer_that_the_responder_does_not_allow_to_keep_is_not_kept(start, target):
    service = start(responder=FAKE)
    answers = [ask_fake(service, target) for _ in range(2)]
    assert [answer["X-Cache"] for answer in answers] == ["MISS", "MISS"], answers
    assert answers[0].json() != answers[1].json(), answers


def ask_fake(service, target, **fields):
    """ask, without the checks of what only the real responder has."""
    with Connection(service.port) as connection:
        connection.send(request(target, **fields))
        return connection.answer()


@pytest.mark.parametrize("accept", [[], "text/html", "application/json"])
@pytest.mark.parametrize("methods", [["HEAD", "GET"], ["GET", "HEAD"]])
def test_head_and_get_do_not_get_each_others_answer(quiet, methods, accept):
    whole = ask(quiet.port, "/?format=" + ("text" if not accept else accept.split("/")[1])).body
    for method in methods * 2:
        answer = ask(quiet.port, "/", method, Accept=accept)
        assert answer.status == 200 and int(answer["Content-Length"]) == len(whole), str(answer)
        assert answer.body == (whole if method == "GET" else b""), str(answer)
        assert answer["X-Cache"] in ("HIT", "MISS"), str(answer)


# --- Conditional and partial requests -------------------------------------------------------


def test_a_tag_that_the_client_has_is_a_304_from_the_cache_too(quiet):
    full = ask(quiet.port)
    for tag, status in ((full["ETag"], 304), (f"W/{full['ETag']}", 304), ("*", 304), ('"x"', 200)):
        answer = ask(quiet.port, If_None_Match=tag)
        assert (answer.status, answer["X-Cache"]) == (status, "HIT"), str(answer)
        for name in ("ETag", "Cache-Control", "Vary"):
            assert answer[name] == full[name], f"{name} differs: {full}{answer}"


def test_a_304_is_not_kept(quiet):
    """The client that has the answer already comes first."""
    first = ask(quiet.port, If_None_Match="*")
    assert (first.status, first["X-Cache"]) == (304, "MISS"), str(first)
    answer = ask(quiet.port)
    assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)
    assert answer["X-Cache"] == "HIT", str(answer)


def test_an_answer_that_is_kept_is_not_given_in_parts(quiet):
    ask(quiet.port)
    answer = ask(quiet.port, Range="bytes=0-3")
    assert (answer.status, answer.text, answer["X-Cache"]) == (200, "Hello World\n", "HIT")
    assert answer["Accept-Ranges"] is None, str(answer)


# --- Expiry and failures --------------------------------------------------------------------


def test_under_load_the_responder_is_asked_once_a_second(quiet):
    began = time.monotonic()
    with Load(quiet.port, 16) as load:
        wait_for_requests(quiet, 3, "GET / ")
        wait_for_answers(load, 1000)
    most = (time.monotonic() - began) / SOONEST + 1
    assert len(all_requests_of(quiet, "GET / ")) <= most, requests_of(quiet)
    assert not load.failures and not load.refused and not load.unanswered, str(load)


def test_an_expiry_sends_one_request_to_the_responder(quiet):
    ask(quiet.port)
    processes = [one for some in quiet.named("responder") for one in as_list(some)]
    expire()
    for process in processes:
        process.kill(signal.SIGSTOP)
    answers = together(32, lambda: ask_and_leave(quiet.port))
    for process in processes:
        process.kill(signal.SIGCONT)
    assert {(answer.text, answer["X-Cache"]) for answer in answers} == {("Hello World\n", "STALE")}
    wait_until(lambda: ask(quiet.port)["X-Cache"] == "HIT", 5, "the update arrives")
    assert len(all_requests_of(quiet, "GET / ")) == 2, requests_of(quiet)


def ask_and_leave(port):
    """ask, without waiting until nginx closes: it does that only when the update has ended."""
    with Connection(port) as connection:
        connection.send(request("/"))
        return check(connection.answer())


def as_list(one_or_more):
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


@native
def test_of_many_first_requests_one_goes_to_the_responder(start):
    service = start(responder=FAKE)
    answers = together(32, lambda: ask_fake(service, "/?format=text"))
    told = {answer.body for answer in answers}
    # 2, since a machine that is busy may take longer than the others wait
    assert len(told) <= 2, f"{len(told)} requests"


@native
def test_an_old_answer_is_given_when_the_responder_cannot_be_reached(start):
    service = start(LOG_LEVEL="warning")
    ask(service.port)
    expire()
    service.expect("worker .* was killed by signal 9 and is replaced", 2)
    missing = f"^{NGINX_LINE}failed \\(2: No such file or directory\\)"
    service.expect(missing, 5)
    service.expect(f"^{NGINX_LINE}", 0)
    os.rename(f"{service.run_dir}/responder.sock", f"{service.run_dir}/responder")
    for worker in service.named("responder")[1]:
        worker.kill()
    for _ in range(3):
        answer = ask(service.port)
        assert (answer.text, answer["X-Cache"]) == ("Hello World\n", "STALE"), str(answer)
    answer = ask(service.port, "/?name=Ada")
    assert (answer.status, answer["X-Cache"]) == (502, None), str(answer)

    def tries():
        return [line for line in service.lines() if re.search(missing, line)]

    wait_until(lambda: len(tries()) >= 3 * 1 + 2, 5, lambda: f"all tries: {tries()}")
    assert len(tries()) == 3 * 1 + 2, tries()  # an update has one
    os.rename(f"{service.run_dir}/responder", f"{service.run_dir}/responder.sock")
    wait_until(lambda: ask(service.port)["X-Cache"] == "HIT", 5, "it recovers")


@native
def test_an_old_answer_is_given_when_the_responder_answers_with_an_error(start, directory):
    failing = f"{directory}/failing"
    service = start(responder=FAKE, FAILING=failing)
    first = ask_fake(service, "/?format=text")
    open(failing, "w", encoding="utf-8").close()
    expire()
    for _ in range(3):
        answer = ask_fake(service, "/?format=text")
        assert (answer.body, answer["X-Cache"]) == (first.body, "STALE"), str(answer)
    assert ask_fake(service, "/").status == 500
    os.unlink(failing)
    wait_until(
        lambda: ask_fake(service, "/?format=text").json()["request"] > first.json()["request"],
        5,
        "it recovers",
    )


# --- Bounds ---------------------------------------------------------------------------------


@native
def test_a_flood_of_variants_does_not_grow_the_cache(quiet):
    """There is one for each method, way to ask for a format and kind of Accept field."""
    dice = random.Random(7)
    with Connection(quiet.port) as connection:
        for number in range(3000):
            fields = {
                "Host": f"host{number}.example",
                "Accept": "text/html,image/" + "".join(dice.choices("abcdefgh", k=8)),
                "Accept_Language": f"x-{number}",
                "User-Agent": f"agent {number}",
                "Cookie": f"a={number}",
                "X-Forwarded-For": f"192.0.2.{number % 256}",
            }
            field = dice.choice(list(fields))
            target = dice.choice(["/", "/?format=text", f"/?{number}", f"/?format=text&{number}"])
            connection.send(request(target, dice.choice(["GET", "HEAD"]), **{field: fields[field]}))
            connection.answer("HEAD" if b"HEAD" in connection.sent[:4] else "GET")
            connection.sent = b""
    assert len(os.listdir(f"{quiet.run_dir}/cache")) <= 2 * (3 + 3 * 4)
    assert ask(quiet.port)["X-Cache"] in ("HIT", "STALE")


@native
def test_what_nobody_asks_for_goes(quiet):
    """After 10 s; the manager of the cache looks at least every 10 s."""
    ask(quiet.port)
    assert os.listdir(f"{quiet.run_dir}/cache")
    wait_until(lambda: not os.listdir(f"{quiet.run_dir}/cache"), 25, "the cache is empty")


# --- Without it -----------------------------------------------------------------------------


def test_with_cache_off_the_responder_answers_every_request(start):
    service = start(CACHE="off")
    service.expect("", 0)
    answers = [ask(service.port) for _ in range(3)]
    assert {(answer.text, answer["X-Cache"]) for answer in answers} == {("Hello World\n", None)}
    assert ask(service.port, If_None_Match=answers[0]["ETag"]).status == 304
    wait_for_requests(service, 4, "GET / ")
    assert "GET / 304" in requests_of(service, "GET / ")[-1], requests_of(service)
