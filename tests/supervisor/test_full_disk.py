"""Where lines go, when what takes them takes none for a while."""

import json
import os

import pytest
from log import PENDING_MAX, Log


@pytest.fixture
def log():
    """One that writes to a file on a disk that is full."""
    log = Log()
    log.fd = os.open("/dev/full", os.O_WRONLY)
    yield log
    os.close(log.fd)


def lines_once_there_is_room(log, path):
    """What gets into a file that takes the place of the full one."""
    with open(path, "wb") as file:
        os.dup2(file.fileno(), log.fd)
    assert log.flush()
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_a_disk_that_is_full_costs_no_line(log, tmp_path):
    for number in range(3):
        log.write("INFO", f"line {number}")
    assert not log.flush(0.1)
    assert lines_once_there_is_room(log, tmp_path / "log") == ["line 0", "line 1", "line 2"]


def test_what_does_not_fit_meanwhile_is_counted(log, tmp_path):
    message = "x" * 1000
    for _ in range(2 * PENDING_MAX // 1000):
        log.write("INFO", message)
    *kept, last = lines_once_there_is_room(log, tmp_path / "log")
    assert set(kept) == {message} and len(kept) * 1000 < PENDING_MAX
    assert last == f"{2 * PENDING_MAX // 1000 - len(kept)} lines were dropped: nobody read them"


def test_what_nobody_will_ever_read_is_given_up(tmp_path):
    log = Log()
    read_end, log.fd = os.pipe()
    os.close(read_end)
    log.write("INFO", "for nobody")
    assert not log.pending and log.size == 0
    os.close(log.fd)
