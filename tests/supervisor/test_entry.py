"""Entries of the log, as lines."""

import json
import random

import entry as entries
import pytest

SEED = random.randrange(2**32)
SOUND = b'{"severity":"INFO","message":"words","request_id":"0"}\n'


def random_text(chance, most):
    ranges = [(0, 32), (32, 127), (127, 160), (0x200B, 0x2070), (0x4E00, 0x4E20), (0x1F600, 0x1F640)]
    return "".join(chr(chance.randrange(*chance.choice(ranges))) for _ in range(chance.randrange(most)))


def test_every_entry_is_one_short_printable_line_that_says_the_same():
    chance = random.Random(SEED)
    for _ in range(300):
        entry = {"severity": "ERROR"}
        entry.update((name, random_text(chance, chance.choice([5, 100, 9000]))) for name in "abcdef")
        line = entries.to_json(entry)
        assert len(line) <= entries.LINE_MAX and line.endswith(b"}\n"), f"seed {SEED}"
        assert line[:-1].decode("ascii").isprintable(), f"seed {SEED}"
        for name, value in json.loads(line).items():
            whole, cut, _ = value.partition(entries.CUT)
            assert entry[name].startswith(whole) and (cut or whole == entry[name]), f"seed {SEED}"


def test_an_entry_for_people_has_nothing_that_a_terminal_obeys():
    chance = random.Random(SEED)
    for _ in range(300):
        text = random_text(chance, 200)
        line = entries.to_text({"severity": "ERROR", "message": text, "request": text}, False)
        assert line.decode().replace("\n", "").isprintable(), f"seed {SEED}"


def test_colours_are_the_only_escape_sequences():
    line = entries.to_text({"severity": "ERROR", "message": "\x1b[2J"}, True)
    assert line.count(b"\x1b[31m") == line.count(b"\x1b[0m") == 1 and line.count(b"\x1b") == 2


def test_the_time_is_utc_with_milliseconds():
    assert entries.now(1764096815.0079) == "2025-11-25T18:53:35.007Z"


def test_a_request_s_time_of_day_has_milliseconds_from_elsewhere():
    entry = {"severity": "INFO", "message": "", "time": "2026-11-26T07:14:55+00:00", "ended": 1.042}
    assert entries.to_text(entry, False).startswith(b"07:14:55.042 INFO")


@pytest.mark.parametrize("times", [1, 2, 100])
def test_sound_lines_are_known(times):
    assert entries.is_sound(SOUND * times) and entries.is_clean(SOUND * times)


@pytest.mark.parametrize(
    "bad",
    [
        b"words\n",
        b"\n",
        SOUND[:-2] + b"\n",
        SOUND[1:],
        SOUND.replace(b"words", b"\x1b[2J"),
        SOUND.replace(b"words", b"\x7f"),
        SOUND.replace(b"words", b"\xff"),
        SOUND.replace(b"words", "\u202e".encode()),
        SOUND.replace(b"words", b"x" * 4096),
        SOUND.replace(b"words", b"a\nb"),
        SOUND.replace(b"words", b"a\rb"),
        b'{"severity":"IN' + SOUND,
        SOUND[:20] + SOUND,
    ],
)
def test_what_is_not_sound_is_found_wherever_it_stands(bad):
    for before, after in [(0, 0), (1, 0), (0, 1), (50, 50)]:
        assert not entries.is_sound(SOUND * before + bad + SOUND * after)


def test_a_line_of_the_greatest_length_is_sound_by_itself():
    longest = SOUND.replace(b"words", b"x" * (entries.LINE_MAX - len(SOUND) + 5))
    assert len(longest) == entries.LINE_MAX and entries.is_sound(longest)
    assert not entries.is_sound(longest.replace(b"x", b"xx", 1))


@pytest.mark.parametrize(
    "bad",
    [
        SOUND.replace(b"words", b"\x7f"),
        SOUND.replace(b"words", b"\xff"),
        SOUND.replace(b"words", "\u202e".encode()),
        SOUND.replace(b"words", b"x" * 4096),
    ],
)
def test_what_nginx_does_not_escape_or_cut_is_found_in_its_whole_lines(bad):
    for before, after in [(0, 0), (1, 0), (0, 1), (50, 50)]:
        assert not entries.is_clean(SOUND * before + bad + SOUND * after)


@pytest.mark.parametrize("line", ["", "words", "[]", "{", "{}", '{"message":"x"}', "{" * 9000, "1"])
def test_what_is_no_entry_is_none(line):
    assert entries.from_json(line) is None
