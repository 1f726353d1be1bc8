"""What programs write, as entries."""

import json
import random

import output
import pytest

SEED = random.randrange(2**32)


class Log:
    """Keeps what it is given."""

    as_text = False

    def __init__(self):
        self.entries, self.pending = [], b""

    def add(self, entry, component, pid=None):
        self.entries.append({"component": component, **entry})

    def pass_on(self, lines):
        self.entries += [json.loads(line) for line in lines.splitlines()]

    def flush(self, seconds=0):
        pass


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def programs(log):
    return output.Output(log)


def messages(log):
    return [entry["message"] for entry in log.entries]


TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nValueError: no'
ADDRESS = (
    "=================================================================\n"
    "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n"
    "READ of size 1\n    #0 0x1 in f x.c:1\n\nSUMMARY: AddressSanitizer: x.c:1 in f\n"
    "Shadow bytes around the buggy address:\n==7==ABORTING"
)
UNDEFINED = "x.c:1:2: runtime error: signed integer overflow\n    #0 0x1 in f x.c:1"


@pytest.mark.parametrize("report", [TRACEBACK, ADDRESS])
def test_a_report_is_one_entry_as_soon_as_it_ends(log, programs, report):
    programs.feed("responder", "stdout", 1, f"before\n{report}\nafter\n".encode())
    assert messages(log) == ["before", report, "after"]
    assert {entry["severity"] for entry in log.entries} == {"ERROR"}


def test_a_report_without_an_end_ends_when_no_more_comes(log, programs, monkeypatch):
    programs.feed("responder", "stdout", 1, UNDEFINED.encode() + b"\n")
    programs.tick()
    assert not log.entries and programs.is_restless()
    monkeypatch.setattr(output, "QUIET", -1)
    programs.tick()
    assert messages(log) == [UNDEFINED] and not programs.is_restless()


def test_a_report_ends_with_its_program(log, programs):
    programs.feed("responder", "stdout", 1, UNDEFINED.encode() + b"\n    #1 cu")
    programs.close("responder")
    assert messages(log) == [UNDEFINED + "\n    #1 cu"]


def test_entries_of_others_do_not_end_a_report(log, programs):
    begin, end = TRACEBACK[:60].encode(), TRACEBACK[60:].encode() + b"\n"
    programs.feed("responder", "stdout", 1, begin.partition(b"\n")[0] + b"\n")
    programs.feed("responder", "stdout", 1, b'{"severity":"INFO","message":"words"}\n')
    programs.feed("responder", "stdout", 1, begin.partition(b"\n")[2] + end)
    assert messages(log) == ["words", TRACEBACK]


@pytest.mark.parametrize(
    "words",
    [
        "*** stack smashing detected ***: terminated",
        "free(): invalid pointer",
        "responder: x.c:1: f: Assertion `0' failed.",
        "\x1b[2J\xff",
    ],
)
def test_a_line_that_nobody_knows_is_wrapped_whole(log, programs, words):
    programs.feed("responder", "stdout", 1, words.encode("latin-1") + b"\n")
    known = words.removeprefix("responder: ").replace("\xff", "\\xff")
    assert [(entry["severity"], entry["message"]) for entry in log.entries] == [("ERROR", known)]


def test_a_flood_is_counted(log, programs):
    line = b'2026/11/25 19:00:12 [crit] 1#1: *%d write() "/x/%d" failed (28: No space left)\n'
    for number in range(500):
        programs.feed("nginx", "stderr", 1, line % (number, number) + b"other\n" * (number == 250))
    programs.end()
    assert len(log.entries) == output.FLOOD + 1 + 1
    assert sum(entry.get("count", 1) for entry in log.entries) == 501
    assert log.entries[-1]["severity"] == "CRITICAL" and log.entries[-1]["count"] == 490
    assert log.entries[-1]["message"].startswith("490 more like this: write() ")


WHOLE = b'{"severity":"INFO","message":"whole"}\n'
LONG = b'{"severity":"INFO","message":"' + b"x" * 5000 + b'"}\n'


@pytest.mark.parametrize("cut", [5, 1000, 2500, 4900])
@pytest.mark.parametrize("between", [1, 60])
def test_a_line_that_another_one_divides_is_no_entry_and_the_others_are(log, programs, cut, between):
    """As it is where the pipe was full while nginx wrote a line that is too long for one write."""
    programs.feed("nginx", "stdout", 1, WHOLE + LONG[:cut] + WHOLE * between + LONG[cut:] + WHOLE)
    programs.end()
    assert messages(log).count("whole") == between + 1
    assert len(log.entries) == between + 3


@pytest.mark.parametrize("channel", ["stdout", "stderr"])
@pytest.mark.parametrize("undivided", [True, False])
def test_only_whole_lines_of_nginx_s_requests_are_not_looked_at_one_by_one(
    log, programs, monkeypatch, channel, undivided
):
    looked_at = []
    monkeypatch.setattr(output.entries, "is_sound", lambda lines: looked_at.append(lines) or True)
    programs.feed("nginx", channel, 1, WHOLE * 3, undivided)
    assert messages(log) == ["whole"] * 3
    assert bool(looked_at) != (undivided and channel == "stdout")


def test_however_the_output_is_cut_the_entries_are_the_same():
    """A property, for random cuts."""
    chance = random.Random(SEED)
    pieces = [
        b'{"severity":"INFO","message":"sound"}\n',
        '{"severity":"INFO","message":"é"}\n'.encode(),
        b'{"severity":"INFO","message":"half\n',
        b"2026/11/25 19:00:12 [error] 1#1: *1 words, client: ::1, server: x\n",
        TRACEBACK.encode() + b"\n",
        b"\xff\n",
        b"\n",
    ]
    for _ in range(200):
        data = b"".join(chance.choice(pieces) for _ in range(chance.randrange(1, 9)))
        seen = []
        for cuts in ([], sorted(chance.randrange(len(data)) for _ in range(chance.randrange(9)))):
            log = Log()
            programs = output.Output(log)
            for start, stop in zip([0, *cuts], [*cuts, len(data)]):
                programs.feed("nginx", "stderr", 1, data[start:stop])
            programs.end()
            seen.append([(entry["severity"], entry["message"]) for entry in log.entries])
        assert seen[0] == seen[1], f"seed {SEED}: {data!r}"
