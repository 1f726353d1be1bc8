"""The benchmark: that its figures are what was measured, and that it cleans up behind itself. How
fast anything is, no test says."""

import argparse
import collections
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
import bench
import load
import processes
import report
import results
import server
from plan import ALL, CACHE_OFF, CACHED, DEFAULT, FLASK, GO, LIMIT, ONE, PASSED_ON, PYTHON, RESPONDER, Setting

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
    common = {"part": ALL.name, "round": number, "setting": setting.name, "place": 0}
    return {**common, "connections": connections, **fields}


def parts(*rows):
    return report.parts_of(rows)


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


@pytest.mark.parametrize(("rps", "verdict"), [(74, "**not met**"), (75, "met"), (None, "not measured")])
def test_a_target_is_met_not_met_or_not_measured(rps, verdict):
    table = report.target_table(
        report.targets(parts(row(CACHE_OFF, rps=rps, errors=0), row(LIMIT, rps=100, errors=0)))
    )
    what = f"| {CACHE_OFF.name}, 64 connections: requests/s / {LIMIT.name} "
    [line] = [line for line in table.splitlines() if line.startswith(what)]
    assert line.split("|")[4].strip() == verdict, line


def test_an_error_with_any_number_of_connections_misses_the_target():
    table = report.target_table(
        report.targets(parts(row(DEFAULT, connections=8, errors=1), row(DEFAULT, connections=64, errors=0)))
    )
    [line] = [line for line in table.splitlines() if line.startswith("| hello-fcgi: errors")]
    assert "**not met**" in line, line


def test_nginx_alone_is_held_to_the_same_targets():
    measured = parts(row(CACHED, rps=81), row(PASSED_ON, rps=76), row(LIMIT, rps=100))
    verdicts = [(met, bound) for _, _, bound, met in report.reachable(measured) if met is not None]
    assert verdicts == [(False, "≥ 0.93"), (True, "≥ 0.75")]


def test_what_differs_by_more_than_the_spread_is_told():
    before = {"a": [10, 9, 11], "b": [10, 9, 11], "c": [1, 1, 1]}
    after = {"a": [12, 11, 13], "b": [13, 12, 14], "d": [1, 1, 1]}
    assert list(report.changes(before, after)) == ["b: 13 (12–14), was 10 (9–11)"]


def test_figures_of_too_few_values_to_have_an_interval_are_not_compared():
    few, enough = (parts(*(row(DEFAULT, number, rps=number) for number in range(count))) for count in (5, 6))
    assert not report.all_figures(few)
    assert report.all_figures(enough) == {f"{ALL.name}: {DEFAULT.name}, 64: rps": [2.5, 0, 5]}


def test_what_others_had_of_the_cpus_is_told():
    counts = {"measurements": 100, "measured again": 3, "disturbed all the same": 1}
    facts = bench.quiet([{"others": share} for share in (0.2, 0.01, 0.02)], counts)
    assert facts == {
        "CPU time that others had": "2.0 % in the median measurement, 20.0 % in the worst",
        "measured again": "3 times, of 100 measurements",
        "disturbed all the same": 1,
    }


def test_what_was_measured_among_others_is_measured_again():
    shares = iter((0.2, 0.04, 0.2, 0.2, 0.2, 0.06))
    counts = collections.Counter()

    def work():
        return [{"others": next(shares)}]

    assert bench.undisturbed(work, counts) == [{"others": 0.04}]
    assert counts == {"measurements": 1, "measured again": 1}
    assert bench.undisturbed(work, counts) == [{"others": 0.06}]
    assert counts == {"measurements": 2, "measured again": 4, "disturbed all the same": 1}


def test_what_deciding_servers_do_is_measured_more_often():
    chosen = [DEFAULT, FLASK]
    work = []
    options = argparse.Namespace(connections=None, seed=1, seconds=1, attempts=1)

    def take(part, setting, connections, _):
        work.append((part.name, setting.name, connections))
        return [{"others": 0}]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "measure_once", take)
        for number in (0, 1):
            list(bench.measure_round(number, options, (ALL, ONE), chosen, collections.Counter()))
    assert work.count((ALL.name, DEFAULT.name, 64)) == 2 and work.count((ALL.name, FLASK.name, 64)) == 1
    half = work[: -len(ALL.connections) - len(ONE.connections)]
    assert half != sorted(half), "a die throws the order"


def test_readme_says_what_the_results_say():
    text = (BENCH / "results.md").read_text("utf-8")
    quoted = re.search(r"^With \d+ connections .*? missed\.$", text, re.MULTILINE | re.DOTALL)[0]
    readme = (BENCH.parent / "README.md").read_text("utf-8")
    assert " ".join(quoted.split()) in " ".join(readme.split())


def test_readme_says_what_the_page_on_the_image_says():
    page = (BENCH.parent / "docs" / "container.md").read_text("utf-8")
    readme = " ".join((BENCH.parent / "README.md").read_text("utf-8").split())
    start, of_flask = re.search(r"^\| of which in the container \| (\d+) .*? \| (\d+) ", page, re.MULTILINE).groups()
    memory = re.search(r"^\| with 1000 connections that ask \| ([\d.]+) MiB", page, re.MULTILINE)[1]
    stop = re.search(r"^\| stop, 64 busy connections, no answer lost \| (\d+) ms", page, re.MULTILINE)[1]
    assert f"starts in {int(start) / int(of_flask):.2f} of the time that Flask's own server takes" in readme
    assert f"stops in {stop} ms under load" in readme and f"takes {float(memory):.0f} MiB of memory" in readme


def test_the_page_on_scale_has_what_is_computed():
    printed = subprocess.run([BENCH / "scale"], check=True, capture_output=True, text=True).stdout
    page = (BENCH.parent / "docs" / "scale.md").read_text("utf-8")
    for table in printed.split("\n\n"):
        assert table.strip() in page


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


def test_a_quota_that_cannot_be_had_leaves_nothing(directory, monkeypatch):
    monkeypatch.setattr(server, "GROUPS", str(directory))  # a directory that is no control group
    parts_left, skipped = bench.choose_parts(None)
    assert skipped and not skipped.keys() & {part.name for part in parts_left}, skipped
    assert os.listdir(directory) == ["servers"]


# --- The open loop -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def openloop(tmp_path_factory):
    program = tmp_path_factory.mktemp("openloop") / "openloop"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-o", program, BENCH / "openloop.c"], check=True)
    return program


def ask_at(openloop, pause, answer=GOOD, seconds=1, rate=100):
    """What it measures of a server that is silent for a while, once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            client, _ = listener.accept()
            time.sleep(pause)  # this is the server's fault
            while client.recv(1000):
                client.sendall(answer.encode())
                if "close" in answer:
                    client.close()
                    client, _ = listener.accept()

        threading.Thread(target=serve, daemon=True).start()
        command = [openloop, *map(str, (listener.getsockname()[1], rate, seconds, 1))]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_server_that_is_silent_for_a_while_has_made_all_wait_that_were_due(openloop):
    """A closed loop would have one slow answer among a hundred: a median of nothing."""
    measured = ask_at(openloop, 0.8)
    assert (measured["sent"], measured["errors"]) == (100, 0)
    assert measured["p50"] > 250_000 and measured["p99"] > 700_000, measured


def test_what_is_not_answered_or_answered_otherwise_is_an_error(openloop):
    assert ask_at(openloop, 5)["errors"] == 100
    assert ask_at(openloop, 0, GOOD.replace("200 OK", "500 No"))["errors"] == 100
    assert ask_at(openloop, 0, GOOD.replace("200 OK", "200 OK\r\nConnection: close"))["errors"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a control group")
def test_a_quarter_of_a_cpu_is_a_quarter():
    quota = server.Quota(0.25)
    spinning = subprocess.Popen(
        [PYTHON, "-c", "import time; end = time.monotonic() + 1\nwhile time.monotonic() < end: pass"],
        preexec_fn=quota.enter,
    )
    _, status, used = os.wait4(spinning.pid, 0)
    quota.remove()
    assert status == 0 and used.ru_utime + used.ru_stime < 0.5, used


def test_what_was_not_measured_has_no_section():
    titles = [title for title, _ in report.sections(parts(row(DEFAULT, rps=1, errors=0)))]
    assert "Requests per second" in titles and not [title for title in titles if "CPU" in title], titles


# --- Runs -----------------------------------------------------------------------------------


def start(directory, *arguments):
    """Starts a benchmark all of whose files are in the directory."""
    places = {"TMPDIR": f"{directory}/servers", "BUILD": f"{directory}/build"}
    command = [BENCH / "bench.py", "--rounds=1", "--seconds=1", "--attempts=1", f"--output={directory}", *arguments]
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
    only = [LIMIT.name, CACHED.name, PASSED_ON.name, CACHE_OFF.name]
    names = [*only, f"{DEFAULT.name}, {directory}", f"{CACHE_OFF.name}, {directory}"]
    benchmark = start(
        directory,
        *("--connections=64", f"--against={directory}", *(f"--only={name}" for name in only)),
    )
    output, _ = benchmark.communicate(timeout=60)
    assert benchmark.returncode == 0, output
    rows = json.loads((directory / "build/bench/measured.json").read_text())["rows"]
    assert sorted(measured["setting"] for measured in rows) == sorted(names)
    for measured in rows:
        assert measured["errors"] == 0, f"{measured}\n{output}"
        fields = ("rps", "p50", "p99", "p999", "cpu_us", "idle_mb", "loaded_mb", "first_ms")
        assert all(measured[field] > 0 for field in fields), measured
    text = (directory / "results.md").read_text()
    assert all(f"\n| {name} | " in text for name in names), text
    xml.etree.ElementTree.parse(directory / "throughput.svg")
    assert not (directory / "latency.svg").exists(), "of what was not measured"
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
