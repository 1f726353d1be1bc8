"""What Prometheus finds at METRICS_PORT, and that nobody else does. In a container it is found inside
of it only."""

import re
import signal
import socket
import subprocess
import time

import pytest
import requests
from client import Load, ask
from service import port_of, reserve_port, wait_until

pytestmark = pytest.mark.native

REPLACED = r"worker \d+ was killed by signal 9 and is replaced"


@pytest.fixture
def metrics_port():
    holder = reserve_port()
    yield port_of(holder)
    holder.close()


@pytest.fixture
def start(launch, metrics_port):
    """Without the cache, so that it is the responder who answers."""
    return lambda **options: launch(
        **{"METRICS_PORT": str(metrics_port), "CACHE": "off", **options}
    ).wait_ready()


def scrape(port, path="/metrics", method="GET"):
    return requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=10)


def read(port):
    """The series, by their names with labels."""
    answer = scrape(port)
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def requests_of(series, **labels):
    """The sum of the requests whose labels have these values."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(
        value
        for name, value in series.items()
        if name.startswith("http_server_requests_total{") and all(part in name for part in wanted)
    )


def test_promtool_finds_nothing_to_say(start, metrics_port):
    service = start()
    for path in ("/", "/health", "/version", "/nothing", "/?name="):
        ask(service.port, path)
    for method in ("HEAD", "OPTIONS", "POST", "BREW"):
        ask(service.port, "/", method)
    answer = scrape(metrics_port)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    result = subprocess.run(
        ["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_requests_are_counted_by_route_method_and_status(start, metrics_port):
    service = start()
    before = read(metrics_port)
    sent = [
        ("/", "GET", 200, 7),
        ("/?name=Ada", "HEAD", 200, 5),
        ("/version", "GET", 200, 3),
        ("/health?format=json", "GET", 200, 2),
        ("/?name=", "GET", 400, 4),
        ("/", "PUT", 405, 2),
    ]
    for target, method, status, times in sent:
        for _ in range(times):
            assert ask(service.port, target, method).status == status
    after = read(metrics_port)
    for target, method, status, _ in sent:
        labels = {
            "http_route": target.partition("?")[0],
            "http_request_method": method,
            "http_response_status_code": status,
        }
        expected = sum(
            count
            for other, by, got, count in sent
            if (other.partition("?")[0], by, got) == tuple(labels.values())
        )
        assert requests_of(after, **labels) - requests_of(before, **labels) == expected, labels
    total = sum(times for *_, times in sent)
    assert requests_of(after) - requests_of(before) == total
    counts = [
        sum(value for name, value in series.items() if "duration_seconds_count" in name)
        for series in (before, after)
    ]
    assert counts[1] - counts[0] == total


def test_nothing_is_lost_when_workers_die(start, metrics_port):
    """What was answered was counted before it was sent; what was counted twice was sent twice."""
    service = start(WORKERS="3")
    before = read(metrics_port)
    with Load(service.port, 8) as load:
        for _ in range(15):
            goal = load.answered + 50
            wait_until(lambda: load.answered >= goal, 10, lambda: f"{goal} answers, but {load}")
            time.sleep(0.15)  # one that dies within 100 ms counts as one that cannot start
            service.named("responder")[1][0].kill()
    service.expect(REPLACED, 15)
    service.expect("", 0)  # nginx, of the connections that broke
    assert not load.failures, str(load)
    after = wait_until(
        lambda: (series := read(metrics_port))["responder_workers"] == 3 and series,
        5,
        "three workers run",
    )
    counted = requests_of(after) - requests_of(before)
    assert load.answered <= counted <= load.answered + 15 + 8, str(load)
    assert after['responder_worker_deaths_total{cause="killed"}'] == 15
    assert after["responder_workers_started_total"] == 18
    for name, value in before.items():
        if re.search(r"_total|_count|_bucket|_sum", name):
            assert after[name] >= value, f"{name} went back"


def test_the_process_is_described(start, metrics_port):
    service = start(WORKERS="2")
    parent, workers = service.named("responder")
    for _ in range(200):
        ask(service.port, "/")
    used = wait_until(
        lambda: (series := read(metrics_port))["process_cpu_seconds_total"] > 0 and series,
        5,
        "CPU time is used",
    )
    resident = sum(int(process.status("VmRSS")[0]) * 1024 for process in (parent, *workers))
    assert 0.5 * resident < used["process_resident_memory_bytes"] < 2 * resident
    assert used["fastcgi_connections"] >= 1
    assert used["process_max_fds"] >= used["process_open_fds"] / 2 > 6
    assert used["http_server_active_requests"] == 0


def test_a_client_cannot_multiply_the_series(start, metrics_port):
    service = start()
    for number in range(50):
        ask(service.port, f"/{number}")
        ask(service.port, f"/?name={number}")
        ask(service.port, "/", f"METHOD-{number}")
        ask(service.port, "/", Host=f"host-{number}", User_Agent=f"agent {number}")
    text = scrape(metrics_port).text
    assert len(re.findall(r"^http_server_requests_total\{", text, re.MULTILINE)) <= 6, text
    assert "number" not in text and "METHOD" not in text and "agent" not in text


def test_it_is_found_at_its_port_only(start, metrics_port):
    service = start()
    assert ask(service.port, "/metrics").status == 404
    assert ask(service.port, "/nginx_status").status == 404
    assert ask(service.port, "/metrics", Metrics="1").status == 404
    assert scrape(metrics_port, "/").status_code == 404
    assert scrape(metrics_port, method="HEAD").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/nginx_status"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_figures_are_only_read(start, metrics_port, path, method):
    start()
    answer = scrape(metrics_port, path, method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_no_other_address_than_loopback_reaches_it(start, metrics_port):
    service = start()
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    for address in ["127.0.0.2", *(address for address in addresses if ":" not in address)]:
        with socket.socket() as client:
            assert client.connect_ex((address, metrics_port)) != 0, address
    assert ask(service.port).status == 200


def test_nginx_counts_what_the_responder_does_not_see(start, metrics_port):
    service = start(CACHE="on")

    def figures():
        status = scrape(metrics_port, "/nginx_status").text
        return int(re.search(r"\n \d+ \d+ (\d+) ", status)[1]), requests_of(read(metrics_port))

    nginx, responder = figures()
    for _ in range(100):
        assert ask(service.port).status == 200
    nginx_after, responder_after = figures()
    assert nginx_after - nginx == 100 + 2  # the two scrapes in between
    assert responder_after - responder < 50


def test_there_is_none_by_default(launch, metrics_port):
    service = launch().wait_ready()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", metrics_port)) != 0
    service.send_signal(signal.SIGTERM)
    assert service.wait() == 0
