"""The log: what is said about requests, in which form, and that nothing a client sends breaks it."""

import concurrent.futures
import contextlib
import os
import random
import re
import signal
import socket
import subprocess

import pytest
from client import Connection, Load, ask, exchange, request
from service import BUILD, Native, Shell, check_entry, wait_until

native = pytest.mark.native
SEED = random.randrange(2**32)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOGLE = "logging.googleapis.com/"


@pytest.fixture
def start(launch):
    """All requests are logged, and anything may be said, as long as each line is an entry."""

    def start_and_expect_all(**options):
        service = launch(**{"ACCESS_LOG": "all", **options})
        service.expect("", 0)
        return service.wait_ready()

    return start_and_expect_all


def requests_of(service, path=None):
    """The entries about requests, for a path or all."""
    entries = [entry for entry in service.entries() if entry.get("component") == "nginx"]
    return [entry for entry in entries if "path" in entry and path in (None, entry["path"])]


def entry_of(service, path):
    """The entry about the only request for a path."""
    (entry,) = wait_until(lambda: requests_of(service, path), 5, lambda: service.log())
    return entry


# --- Fields ---------------------------------------------------------------------------------


def test_a_request_has_all_its_fields(start):
    service = start()
    answer = ask(
        service.port, "/?name=Ada", User_Agent="test", Referer="http://r/", X_Forwarded_For="192.0.2.1"
    )
    entry = entry_of(service, "/?name=Ada")
    assert entry["message"] == "200 GET /?name=Ada HTTP/1.1" and entry["severity"] == "INFO"
    assert (entry["method"], entry["status"], entry["protocol"]) == ("GET", 200, "HTTP/1.1")
    assert (entry["user_agent"], entry["referer"]) == ("test", "http://r/")
    assert entry["client"].startswith("192.0.2.1, ") and entry["host"]
    assert entry["bytes"] > len(answer.body) and 0 <= entry["duration"] < 5
    assert 0 <= entry["upstream_duration"] < 5 and isinstance(entry["connection"], int)
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", entry["request_id"])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "BREW"])
@pytest.mark.parametrize("fields", ["", "Host: b@d\r\n", "Bad\r\n"])
def test_the_method_is_what_was_sent_whoever_answers(start, method, fields):
    service = start()
    host = "" if fields.startswith("Host") else "Host: x\r\n"
    with Connection(service.port) as connection:
        connection.send(f"{method} /?sent HTTP/1.1\r\n{host}{fields}\r\n".encode())
        assert connection.begins_to_answer()
    entry = entry_of(service, "/?sent")
    assert entry["method"] == method, entry


def test_a_cache_hit_says_so_and_asked_nobody(start):
    service = start()
    wait_until(lambda: ask(service.port)["X-Cache"] == "HIT", 5, "it is a hit")

    def hits():
        return [entry for entry in requests_of(service, "/") if entry["cache"] == "HIT"]

    (hit, *_) = wait_until(hits, 5, "it is logged")
    assert hit["upstream_duration"] is None


@pytest.mark.parametrize(
    ("path", "status", "severity"), [("/", 200, "INFO"), ("/nowhere", 404, "WARNING")]
)
def test_the_status_gives_the_severity(start, path, status, severity):
    service = start()
    ask(service.port, path)
    entry = entry_of(service, path)
    assert (entry["status"], entry["severity"]) == (status, severity)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"BREW /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 501),
        (b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /x HTTP/9.9\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_what_any_client_can_ask_for_is_no_error_of_the_service(start, data, status):
    """Or anybody could raise the alert on severity ERROR."""
    service = start()
    assert exchange(service.port, data).status == status

    def about():
        return [entry for entry in requests_of(service) if entry["status"] == status]

    (entry,) = wait_until(about, 5, lambda: service.log())
    assert entry["severity"] == "WARNING", entry


@native
def test_only_errors_are_logged_unless_asked_for(launch):
    service = launch(ACCESS_LOG="errors").wait_ready()
    assert ask(service.port).status == 200
    assert ask(service.port, "/nowhere").status == 404
    os.rename(f"{service.run_dir}/responder.sock", f"{service.run_dir}/responder")
    for worker in service.named("responder")[1]:  # whose connections are kept
        worker.kill()
    service.expect("^worker .* was killed by signal 9", 2)
    service.expect("prematurely closed|reset by peer|Broken pipe", 0)
    assert ask(service.port, "/?name=Ada").status == 502
    os.rename(f"{service.run_dir}/responder", f"{service.run_dir}/responder.sock")
    service.expect("^502 GET /[?]name=Ada HTTP/1.1$")
    service.expect(r"connect\(\) to unix:.* failed", 2)
    service.check_log()
    error, *_ = [entry for entry in service.entries() if "connect()" in entry["message"]]
    (about,) = requests_of(service)
    assert about["severity"] == "ERROR" and about["connection"] == error["connection"]


# --- Traces ---------------------------------------------------------------------------------


@pytest.mark.parametrize("project", [None, "some-project"])
def test_a_trace_comes_out_of_nginx_and_of_the_responder(start, project):
    variables = {"GOOGLE_CLOUD_PROJECT": project} if project else {}
    service = start(LOG_LEVEL="debug", **variables)
    ask(service.port, "/?name=Ada", traceparent=f"00-{TRACE}-{SPAN}-01")
    name = f"projects/{project}/traces/{TRACE}" if project else TRACE

    def traced():
        return [entry for entry in service.entries() if entry.get(f"{GOOGLE}trace") == name]

    wait_until(lambda: len(traced()) == 2, 5, lambda: service.log())
    assert {entry["component"] for entry in traced()} == {"nginx", "responder"}
    for entry in traced():
        assert entry[f"{GOOGLE}spanId"] == SPAN and entry[f"{GOOGLE}trace_sampled"] is True
    assert len({entry["request_id"] for entry in traced()}) == 1


CLOUD = "105445aa7843bc8bf206b12000100000"


@pytest.mark.parametrize(
    ("fields", "trace", "span", "sampled"),
    [
        ({}, None, None, None),
        ({"traceparent": f"00-{TRACE}-{SPAN}-00"}, TRACE, SPAN, False),
        ({"traceparent": f"01-{TRACE}-{SPAN}-03-more"}, TRACE, SPAN, True),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01-more"}, None, None, None),
        ({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, None, None, None),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, None, None, None),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, None, None, None),
        ({"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"}, None, None, None),
        ({"X-Cloud-Trace-Context": f"{CLOUD}/1;o=1"}, CLOUD, "0000000000000001", True),
        ({"X-Cloud-Trace-Context": f"{CLOUD}/1;o=0"}, CLOUD, "0000000000000001", False),
        ({"X-Cloud-Trace-Context": CLOUD}, CLOUD, "", False),
        ({"X-Cloud-Trace-Context": f"{CLOUD}/x"}, None, None, None),
        (
            {"traceparent": f"00-{TRACE}-{SPAN}-00", "X-Cloud-Trace-Context": f"{CLOUD}/1;o=1"},
            *(TRACE, SPAN, False),
        ),
        (
            {"traceparent": "nonsense", "X-Cloud-Trace-Context": f"{CLOUD}/1;o=1"},
            *(CLOUD, "0000000000000001", True),
        ),
    ],
)
def test_nginx_and_the_responder_agree_on_a_trace(start, fields, trace, span, sampled):
    """But for the span of X-Cloud-Trace-Context, which is decimal: nginx has none."""
    service = start(LOG_LEVEL="debug")
    ask(service.port, "/?name=Ada", **fields)

    def about():
        return [entry for entry in service.entries() if "name=Ada" in entry["message"]]

    wait_until(lambda: len(about()) == 2, 5, lambda: service.log())
    for entry in about():
        assert entry.get(f"{GOOGLE}trace") == trace, entry
        assert entry.get(f"{GOOGLE}trace_sampled") == sampled, entry
        if entry["component"] == "responder" or "traceparent" in fields and trace == TRACE:
            assert entry.get(f"{GOOGLE}spanId", "") == (span or ""), entry


@pytest.mark.parametrize("given", ["abcdefgh", "A-Z.a_z-0123456789", "x" * 64])
def test_a_well_formed_identifier_is_kept(start, given):
    service = start()
    ask(service.port, "/?name=Ada", X_Request_Id=given)
    assert entry_of(service, "/?name=Ada")["request_id"] == given


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space", 'quote"quote', "ümläut-ümläut"])
def test_another_identifier_is_replaced(start, given):
    service = start()
    with Connection(service.port) as connection:
        connection.send(request("/?name=Ada", X_Request_Id=given))
        connection.answer()
    assert entry_of(service, "/?name=Ada")["request_id"] != given


# --- Hostile and many ------------------------------------------------------------------------

HOSTILE = [
    b"\x1b[2J\x1b]0;owned\x07",
    b"\xff\xfe\x80",
    b"\xc2\x9b2J",
    "‮ nimda".encode(),
    b'"},{"severity":"EMERGENCY","message":"forged',
    b'", host: "forged", referrer: "forged',
    b"\\\\\\u0000\\",
    b"\x7f\x7f",
    b"x" * 7000,
    b"\t",
]


def send_raw(port, data):
    """Waits for the answer, but not for long: some send less than they announce."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
        client.sendall(data)
        while client.recv(65536):
            pass


def test_whatever_a_client_sends_each_line_is_an_entry(start):
    """Random requests of hostile pieces, and workers killed in between: nothing but entries comes
    out, which is what check_log checks of every service."""
    service = start(LOG_LEVEL="debug", WORKERS="4")
    chance = random.Random(SEED)

    def piece():
        return chance.choice(HOSTILE)

    def random_request():
        target = b"/?name=" + (piece().replace(b" ", b"") if chance.random() < 0.5 else b"Ada")
        fields = [b"Host: " + chance.choice([b"localhost", piece()]), b"Connection: close"]
        for name in (b"Referer", b"User-Agent", b"X-Forwarded-For", b"X-Request-Id", b"traceparent"):
            if chance.random() < 0.5:
                fields.append(name + b": " + piece())
        method = chance.choice([b"GET", b"GET", b"OPTIONS", b"G\x1bT", b""])
        if method == b"OPTIONS":
            fields.append(b"Content-Length: 20000")
        return b"\r\n".join([method + b" " + target + b" HTTP/1.1", *fields, b"", b""])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(send_raw, service.port, random_request()) for _ in range(600)]
        for worker in service.named("responder")[1][:2]:
            worker.kill()
        for future in sent:
            future.result()
    service.stop()
    service.check_log()
    forged = [entry for entry in service.entries() if entry["severity"] == "EMERGENCY"]
    assert not forged and len(requests_of(service)) > 300, f"seed {SEED}"


def test_a_long_line_is_cut_visibly(start):
    service = start()
    ask(service.port, "/?name=" + "x" * 7000, Referer="y" * 7000)

    def long_ones():
        return [entry for entry in requests_of(service) if entry["path"].startswith("/?name=x")]

    (entry,) = wait_until(long_ones, 5, "it is logged")
    assert entry["referer"].endswith("... (cut)") and entry["path"].endswith("... (cut)")


@native
def test_what_a_full_pipe_divides_and_mixes_comes_out_as_entries(start):
    """Lines that are longer than what a pipe takes at once, from several workers of nginx's, while
    nobody reads: nginx waits in the middle of a line, and another one's may come in between."""
    service = start()
    long, short = request("/?long", Referer="x" * 6000), request("/?short")
    workers, clients = service.named("nginx")[1], []

    def ask_without_reading():
        client = socket.create_connection(("127.0.0.1", service.port), 10)
        clients.append(client)
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.sendall((long if len(clients) % 2 else short) * 100)

    def one_waits():
        ask_without_reading()
        return any(waits_for_a_pipe(worker) for worker in workers)

    os.kill(service.process.pid, signal.SIGSTOP)
    try:
        wait_until(one_waits, 20, "a worker of nginx's waits")
        for _ in range(20):  # for the others, too
            ask_without_reading()
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
    for client in clients:
        client.close()
    assert service.stop() == 0
    service.check_log()
    assert {"/?long", "/?short"} <= {entry["path"] for entry in requests_of(service)}


def waits_for_a_pipe(process):
    with open(f"/proc/{process.pid}/wchan", encoding="utf-8") as file:
        return "pipe" in file.read()


@native  # what it is about is the same in the container, and takes a minute
def test_a_hundred_thousand_requests_make_as_many_lines(start):
    service = start()
    with Load(service.port, 16) as load:
        wait_until(lambda: load.answered >= 100_000, 120, lambda: str(load))
    with contextlib.suppress(AssertionError):
        service.send_signal(signal.SIGTERM)
    assert service.wait() == 0
    entries = service.entries()
    dropped = sum(int(e["message"].split()[0]) for e in entries if "were dropped" in e["message"])
    assert len(requests_of(service)) + dropped >= load.answered, (len(entries), dropped, str(load))
    assert len({entry["request_id"] for entry in requests_of(service)}) == len(requests_of(service))


# --- Readers and terminals --------------------------------------------------------------------


class Asleep(Native):
    """Its reader sleeps until it is woken."""

    def spawn(self, command, **options):
        self.reader, end_of_service = os.pipe()
        process = super().spawn(command, stdout=end_of_service, stderr=end_of_service, **options)
        os.close(end_of_service)
        return process

    def wake(self):
        """Writes what was said from now on into the log."""
        self.copy = subprocess.Popen(["cat"], stdin=self.reader, stdout=self.log_file)
        os.close(self.reader)

    def end(self):
        super().end()
        self.copy.wait()


@native
def test_lines_that_nobody_reads_are_counted(launch):
    service = launch(kind=Asleep, ACCESS_LOG="all", CACHE="off")
    service.expect("", 0)
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", service.port)) == 0, 10, "it listens")
    count = 3000  # of 400 bytes each: more than the pipe and what is kept
    with Connection(service.port) as connection:
        for _ in range(count):
            connection.send(request("/?name=Ada"))
            assert connection.answer().status == 200
    service.wake()
    dropped = int(service.wait_for_line(r"(\d+) lines were dropped: nobody read them", 5)[1])
    assert 0 < dropped < count

    def accounted():
        said = [entry for entry in requests_of(service) if entry["path"] == "/?name=Ada"]
        return len(said) + dropped >= count

    wait_until(accounted, 5, lambda: f"{count} lines are there or counted, {dropped} are")
    assert ask(service.port).status == 200


TIME = r"\d\d:\d\d:\d\d\.\d\d\d "


@native
def test_on_a_terminal_it_is_for_people(launch):
    shell = launch(kind=Shell, ACCESS_LOG=None).wait_ready()
    shell.wait_for_line(rf"\n{TIME}INFO     supervisor serving on http://localhost:\d+ after \d+ ms\n")
    ask(shell.port, "/?name=Ada", Referer="\x1b[2J")
    shell.wait_for_line(rf"\n{TIME}INFO     nginx      200 GET /\?name=Ada HTTP/1\.1 .* s \d+ B -\n", 5)
    assert "\x1b[2J" not in shell.log()
    shell.type("\x03")
    shell.check_ends("0")


class Colourful(Shell):
    typed = f"TERM=xterm {Shell.typed}"


@native
@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"LOG_FORMAT": "json"}, False)]
)
def test_colours_are_for_terminals_that_want_them(launch, variables, coloured):
    shell = launch(kind=Colourful, **variables).wait_ready()
    assert ("\x1b[32mINFO" in shell.log()) == coloured
    if "LOG_FORMAT" in variables:
        line = shell.wait_for_line(r'\{"severity":"INFO","message":"serving.*\}')[0]
        check_entry(line)
    shell.type("\x03")
    shell.check_ends("0")


def test_people_s_form_can_be_had_without_a_terminal(launch):
    service = launch(LOG_FORMAT="text")
    service.is_structured = False
    service.expect("", 0)
    service.wait_for_line(rf"{TIME}INFO     supervisor serving on http://localhost:\d+ after \d+ ms")


# --- Last words -------------------------------------------------------------------------------


@native
def test_what_a_library_says_at_the_end_of_a_process_is_one_entry(launch):
    """glibc's abort message; in a build with sanitizers a report of fifty lines."""
    service = launch(responder=f"{BUILD}/tests/faulty_responder", CACHE="off").wait_ready()
    ask(service.port, "/fault/free")
    pattern = r"free\(\): invalid pointer|AddressSanitizer: attempting free"
    service.wait_for_line(pattern)
    wait_until(lambda: ask(service.port).status == 200, 5, "it goes on")
    service.stop()
    told = [entry for entry in service.entries() if re.search(pattern, entry["message"])]
    severities = {entry["severity"] for entry in told}
    assert told and severities == {"ERROR"}, service.log()
    assert {entry["component"] for entry in told} == {"responder"}
    parts = re.findall("SUMMARY: |#0 0x", service.log())
    assert len(parts) == sum(len(re.findall("SUMMARY: |#0 0x", e["message"])) for e in told)
    service.expect("")
