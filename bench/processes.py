"""The processes of this machine, and what they take."""

import contextlib
import os
import re
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc/PID/stat


class Process(NamedTuple):
    parent: int
    session: int
    cpu_s: float  # its own, and that of its children that have ended


def parse_stat(text):
    """A line of /proc/PID/stat. The name, in parentheses, may itself hold some; None for a process
    that has ended and waits for its parent to look."""
    state, parent, _, session, *rest = text.rpartition(")")[2].split()
    if state in "ZX":
        return None
    return Process(int(parent), int(session), sum(map(int, rest[7:11])) / TICKS)


def parse_pss(text):
    """The proportional set size that /proc/PID/smaps_rollup tells, in MB."""
    return int(re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)[1]) * 1024 / 1e6


def read(pid, name, parse):
    """None when the process is gone, or somebody else's."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            text = file.read()
        return parse(text) if text else None
    return None


def table():
    """All processes, by pid."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    processes = {pid: read(pid, "stat", parse_stat) for pid in pids}
    return {pid: process for pid, process in processes.items() if process}


def of_sessions(sessions):
    return {pid: process for pid, process in table().items() if process.session in sessions}


def of_tree(root):
    """A process and its descendants."""
    processes = table()
    found, wanted = {}, {root} & processes.keys()
    while wanted:
        found |= {pid: processes[pid] for pid in wanted}
        wanted = {pid for pid, process in processes.items() if process.parent in wanted}
    return found


def pss_mb(pids):
    """Of all together, or None when one of them does not let itself be looked at."""
    sizes = [read(pid, "smaps_rollup", parse_pss) for pid in pids]
    return None if None in sizes else sum(sizes)
