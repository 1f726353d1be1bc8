"""The benchmark: that its figures are what was measured, and that it cleans up behind itself. How
fast anything is, no test says."""

import json
import os
import pathlib
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

# pylint: disable=wrong-import-position
import load
import processes
import report
import results
import server
from plan import CACHE_OFF, DEFAULT, GO, LIMIT, PYTHON, RESPONDER, Setting

WRK = """Running 1s test @ http://127.0.0.1:1/
  2 threads and 8 connections

{"requests": 1000, "duration": 2000000, "p50": 150, "p99": 2500, "p999": 31000, "connect": 1, \
"read": 2, "write": 4, "status": 100, "timeout": 16}
"""

H2LOAD = """finished in 1.00s, 500.00 req/s, 53.64MB/s
                     min         max         mean         sd        +/- sd
time for request:     3.44ms     20.58ms      7.29ms       820us    93.91%
req/s           :      20.00      137.28       80.00        0.49    79.80%
"""


def row(setting, number=0, connections=64, **fields):
    return {"round": number, "setting": setting.name, "connections": connections, **fields}


@pytest.fixture
def directory():
    """With a short path, for sockets, which others than root may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    path.chmod(0o755)
    (path / "servers").mkdir()
    yield path
    shutil.rmtree(path)


# --- The sandbox ----------------------------------------------------------------------------


def test_the_sandboxs_cost_is_a_median_with_its_interval():
    interval = runpy.run_path(str(BENCH / "sandbox"))["interval"]
    assert interval(range(1, 25)) == (7, 18)  # as tables of order statistics have it
    assert interval(range(1, 7)) == (1, 6)
    ended = subprocess.run([BENCH / "sandbox", "6"], capture_output=True, text=True, check=True)
    line = r"%d clients: \d+ ns without, \d+ ns with the sandbox; it costs (\S+)%%, .* (\S+)%% to (\S+)%%"
    for clients, said in zip((1, 64), ended.stdout.splitlines(), strict=True):
        cost, low, high = map(float, re.fullmatch(line % clients, said).groups())
        assert low <= cost <= high, said
    ended = subprocess.run([BENCH / "sandbox", "5"], capture_output=True, text=True)
    assert ended.returncode == 1 and "6 have" in ended.stderr


# --- Figures --------------------------------------------------------------------------------


def test_failed_requests_are_errors_and_count_for_no_rate():
    measures = load.parse_wrk(WRK)
    assert measures["errors"] == 1 + 2 + 4 + 100 + 16
    assert measures["requests"] == 1000 - 100 - 16
    assert measures["rps"] == pytest.approx((1000 - 100 - 16) / 2)
    assert (measures["p50"], measures["p99"], measures["p999"]) == (0.15, 2.5, 31)


def test_the_slowest_connection_is_compared_with_the_average():
    assert load.parse_h2load(H2LOAD) == 0.25
    assert load.parse_h2load(H2LOAD.replace("  20.00", "   0.00")) == 0


def test_cpu_time_is_that_of_the_process_and_of_its_ended_children():
    numbers = "1 10 20 0 -1 4194560 9 9 9 9 100 20 3 4 20 0 1 0 999"
    process = processes.parse_stat(f"42 (a) b (c) S {numbers}\n")
    assert (process.parent, process.session) == (1, 20)
    assert process.cpu_s == pytest.approx(127 / os.sysconf("SC_CLK_TCK"))
    assert processes.parse_stat(f"42 (a) Z {numbers}\n") is None


def test_memory_is_the_proportional_set_size():
    rollup = "Rss:   900 kB\nPss:   250 kB\nPss_Anon:  100 kB\n"
    assert processes.parse_pss(rollup) == pytest.approx(0.256)


def test_a_figure_is_the_median_of_the_rounds_with_their_range():
    rows = [row(DEFAULT, number, rps=rps) for number, rps in enumerate((100, 10, 20, 30, 25))]
    figure = results.Results(rows).figure(DEFAULT.name, 64, "rps")
    assert figure == (25, 10, 100)
    assert figure.spread == pytest.approx(45 / 25)


def test_a_ratio_is_made_within_each_round():
    """The ratio of the medians would be 1."""
    ours, peer = (10, 20, 300), (5, 20, 100)
    rows = [row(DEFAULT, number, rps=rps) for number, rps in enumerate(ours)]
    rows += [row(GO, number, rps=rps) for number, rps in enumerate(peer)]
    ratio = results.Results(rows).ratio("rps", (DEFAULT.name, 64), (GO.name, 64))
    assert ratio == (2, 1, 3)


def test_what_was_not_measured_makes_no_figure():
    rows = [row(DEFAULT, 0, rps=1, loaded_mb=None), row(DEFAULT, 1, rps=3), row(GO, 1, rps=2)]
    measured = results.Results(rows)
    assert measured.figure(LIMIT.name, 64, "rps") is None
    assert measured.figure(DEFAULT.name, 64, "loaded_mb") is None
    assert measured.ratio("rps", (DEFAULT.name, 64), (LIMIT.name, 64)) is None
    assert measured.ratio("rps", (DEFAULT.name, 64), (GO.name, 64)).median == 1.5


@pytest.mark.parametrize(
    ("rps", "verdict"), [(99, "**not met**"), (100, "met"), (None, "not measured")]
)
def test_a_target_is_met_not_met_or_not_measured(rps, verdict):
    rows = [row(CACHE_OFF, rps=rps, errors=0), row(GO, rps=100, errors=0)]
    what = f"| {CACHE_OFF.name}, 64 connections: requests/s / {GO.name} "
    lines = report.target_table(results.Results(rows)).splitlines()
    [line] = [line for line in lines if line.startswith(what)]
    assert line.split("|")[4].strip() == verdict, line


def test_a_missed_target_stands_beside_what_nginx_alone_reaches():
    measured = ((DEFAULT, 140), (GO, 100), (LIMIT, 145))
    rows = [row(setting, rps=rps, errors=0) for setting, rps in measured]
    what = f"| {DEFAULT.name}, 64 connections: requests/s / {GO.name} "
    table = report.target_table(results.Results(rows))
    [line] = [line for line in table.splitlines() if line.startswith(what)]
    assert line == f"{what}| ≥ 1.5 | 1.4 | **not met** | 1.45 |"


def test_an_error_with_any_number_of_connections_misses_the_target():
    rows = [row(DEFAULT, connections=8, errors=1), row(DEFAULT, connections=64, errors=0)]
    table = report.target_table(results.Results(rows))
    [line] = [line for line in table.splitlines() if line.startswith("| hello-fcgi: errors")]
    assert "**not met**" in line, line


# --- Answers --------------------------------------------------------------------------------

FIELDS = "".join(f"{name}: {value}\r\n" for name, value in server.FIELDS.items())
GOOD = f"HTTP/1.1 200 OK\r\n{FIELDS}\r\nHello World\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (GOOD, None),
        (GOOD.replace("World", "Worle"), "200, b'Hello Worle"),
        (GOOD.replace("200 OK", "502 Bad Gateway"), "502, b'Hello World"),
        (GOOD.replace("nosniff", "sniff"), "X-Content-Type-Options is 'sniff', not 'nosniff'"),
        (GOOD.replace("Vary: Accept, Accept-Language\r\n", ""), "Vary is None"),
        (GOOD[:-5], "no answer: IncompleteRead"),
        ("", "no answer: RemoteDisconnected"),
    ],
)
def test_an_answer_is_checked_as_a_whole(answer, words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            client, _ = listener.accept()
            with client:
                client.recv(1000)
                client.sendall(answer.encode())

        thread = threading.Thread(target=serve)
        thread.start()
        wrong = server.ask(listener.getsockname()[1])
        thread.join()
    assert wrong == words if words is None else wrong.startswith(words), wrong


def test_a_server_that_does_not_start_is_a_failure_that_quotes_it(directory, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(directory / "servers"))
    setting = Setting(name="broken", commands=[[PYTHON, "-c", "print('no such thing')"]])
    with pytest.raises(server.Failure, match="broken: no answer: .*\nno such thing\n"):
        with server.Server(setting, os.sched_getaffinity(0)):
            pass
    assert not os.listdir(directory / "servers")


# --- Runs -----------------------------------------------------------------------------------


def start(directory, *arguments):
    """Starts a benchmark all of whose files are in the directory."""
    places = {"TMPDIR": f"{directory}/servers", "BUILD": f"{directory}/build"}
    command = [BENCH / "bench.py", "--rounds=1", "--seconds=1", f"--output={directory}", *arguments]
    return subprocess.Popen(
        command,
        env={**os.environ, "RESPONDER": RESPONDER, **places},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_ours_a_peer_and_another_checkout_are_measured_and_reported(directory):
    (directory / "build").mkdir()
    shutil.copy(RESPONDER, directory / "build/responder")
    for part in ("supervisor", "nginx"):
        (directory / part).symlink_to(BENCH.parent / part)
    only = [LIMIT.name, CACHE_OFF.name]
    names = [*only, f"{DEFAULT.name}, {directory}", f"{CACHE_OFF.name}, {directory}"]
    benchmark = start(
        directory,
        *("--connections=64", f"--against={directory}", *(f"--only={name}" for name in only)),
    )
    output, _ = benchmark.communicate(timeout=60)
    assert benchmark.returncode == 0, output
    rows = json.loads((directory / "build/bench/measured.json").read_text())["rows"]
    assert [measured["setting"] for measured in rows] == names
    for measured in rows:
        assert measured["errors"] == 0, f"{measured}\n{output}"
        fields = ("rps", "p50", "p99", "p999", "cpu_us", "idle_mb", "loaded_mb", "first_ms")
        assert all(measured[field] > 0 for field in fields), measured
    text = (directory / "results.md").read_text()
    assert all(f"\n| {name} | " in text for name in names), text
    for plot in ("throughput.svg", "latency.svg"):
        xml.etree.ElementTree.parse(directory / plot)
    assert not os.listdir(directory / "servers")


def command_name(pid):
    return processes.read(pid, "comm", str.strip)


def wait_for_load(benchmark):
    """Returns the sessions of the servers, once they are under load."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and benchmark.poll() is None:
        started = processes.of_tree(benchmark.pid)
        if "wrk" in map(command_name, started):
            return {process.session for process in started.values()} - {os.getsid(0)}
        time.sleep(0.01)
    raise AssertionError(f"there was no load: {benchmark.communicate()[0]}")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_benchmark_that_is_stopped_leaves_nothing(directory, number, status):
    benchmark = start(directory, "--connections=64", f"--only={DEFAULT.name}")
    sessions = wait_for_load(benchmark)
    assert processes.of_sessions(sessions)
    benchmark.send_signal(number)
    output, _ = benchmark.communicate(timeout=20)
    assert benchmark.returncode == status, output
    assert not processes.of_sessions(sessions)
    assert not os.listdir(directory / "servers")


def test_an_unknown_name_is_refused_with_those_that_there_are(directory):
    benchmark = start(directory, "--only=Apache")
    output, _ = benchmark.communicate(timeout=20)
    assert benchmark.returncode == 1
    assert output.startswith("bench: no Apache; there are: ") and GO.name in output, output


def test_tools_that_are_missing_are_named(directory, monkeypatch):
    monkeypatch.setenv("PATH", str(directory))
    benchmark = start(directory)
    output, _ = benchmark.communicate(timeout=20)
    assert benchmark.returncode == 1
    assert output.startswith("bench: wrk, h2load, gnuplot not found."), output
