"""What the machine, or the container, gives: CPUs, descriptors, a scheduling class, a port. Where the
system refuses something that the service can do without, it does without."""

import contextlib
import errno
import os
import re
import resource
import socket
import subprocess

from log import fail


def read_file(*names):
    """What the first of the files holds that exists, "" where none does."""
    for name in names:
        with contextlib.suppress(OSError), open(name, encoding="utf-8") as file:
            return file.read()
    return ""


def usable_cpus():
    """The CPUs that this container may use: by affinity, and by the control group's quota in its
    version 2 or 1. nginx and the responder by themselves see no quota."""
    cgroup = "/sys/fs/cgroup"
    quota = read_file(f"{cgroup}/cpu.max") or " ".join(
        read_file(f"{cgroup}/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")
    )
    try:
        cpus = len(os.sched_getaffinity(0))
    except OSError:
        cpus = os.cpu_count() or 1
    return min(cpus, quota_cpus(quota) or cpus)


def quota_cpus(quota):
    """The CPUs that "QUOTA PERIOD" makes, rounded up; None where there is no limit, for which the
    quota is "max" or -1."""
    match = re.fullmatch(r"([1-9]\d*)\s+([1-9]\d*)\s*", quota)
    return -(-int(match[1]) // int(match[2])) if match else None


def raise_descriptor_limit():
    """As far as it may be raised: 1000 clients take 2000 descriptors of one nginx worker, and many
    a shell's limit is 1024."""
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def share_cpus_in_batches():
    """A process that is woken does not take the CPU from the one that has woken it: nginx sends
    several requests on before a worker runs, and is sent several answers (docs/design.md). Where
    the system refuses, it is only slower."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def check_port(port):
    """Whether nginx can listen there; ends where it cannot. Returns whether it can on IPv6, too."""
    if error := binding_error(socket.AF_INET, "0.0.0.0", port):
        fail(f"PORT={port} cannot be used: {error.strerror}. Choose another: PORT=9000")
    error = binding_error(socket.AF_INET6, "::", port)
    if error and error.errno == errno.EADDRINUSE:
        fail(f"PORT={port} cannot be used: {error.strerror}, on IPv6. Choose another: PORT=9000")
    return error is None


def binding_error(family, address, port):
    """What the system says to listening there: an OSError, or None. No address, no IPv6 and no such
    family all mean that it has none."""
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nginx does
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, int(port)))
    except OSError as error:
        return error
    return None


def ending_with_start():
    """What stands before a command so that the program ends when this process is killed, which can
    tell nobody. Process 1 of a container takes all others with it."""
    command = ["/usr/bin/setpriv", "--pdeathsig", "TERM"]  # every Debian has it, the image has not
    return " ".join([*command, ""]) if os.getpid() != 1 and succeeds([*command, "true"]) else ""


def succeeds(command):
    """Whether it can be run, and ends with status 0; what it says is not heard."""
    try:
        silent = subprocess.DEVNULL
        return subprocess.run(command, stdout=silent, stderr=silent, check=False).returncode == 0
    except OSError:
        return False
