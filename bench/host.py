"""What the figures depend on: this machine, and the versions of what runs on it."""

import os
import platform
import re
import subprocess
import time

from plan import REPOSITORY
from processes import TICKS

PACKAGES = (
    *("nginx", "supervisor", "libfcgi-dev", "wrk", "nghttp2-client"),
    *("golang-go", "nodejs", "php-fpm", "python3-flask", "gunicorn"),
)


def first_match(path, pattern):
    with open(path, encoding="utf-8") as file:
        match = re.search(pattern, file.read(), re.MULTILINE)
    return match[1].strip() if match else "unknown"


def split_cpus(servers=0):
    """The CPUs of the servers and those of the load. Servers that have one, or a part of one, do not share it
    where there is another; those that have all share them where there are fewer than four, as one core alone
    could do neither justice."""
    cpus = sorted(os.sched_getaffinity(0))
    if servers:
        return cpus[:1], cpus[1:] or cpus
    half = len(cpus) // 2
    return (cpus[:half], cpus[half:]) if half >= 2 else (cpus, cpus)


def ticks():
    """Seconds of CPU time so far: of programs, whosever, and stolen by other machines; and of all CPUs."""
    user, nice, system, _, _, _, _, stolen, *_ = map(
        int, first_match("/proc/stat", r"^cpu +(.*)$").split()
    )
    return (user + nice + system + stolen) / TICKS, time.monotonic() * os.cpu_count()


def versions():
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def commit():
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--exclude=*"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


def describe():
    memory_kb = int(first_match("/proc/meminfo", r"^MemTotal: +(\d+)"))
    servers, load = split_cpus()
    apart = "apart from the load" if servers != load else "shared with the load"
    return {
        "CPU": first_match("/proc/cpuinfo", r"^model name\s*:(.*)$"),
        "cores": f"{len(os.sched_getaffinity(0))}; the servers have {len(servers)}, {apart}",
        "memory": f"{memory_kb * 1024 / 1e9:.0f} GB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "load before": f"{os.getloadavg()[0]:.2f}",
        "versions": ", ".join(versions()),
        "commit": commit(),
    }
