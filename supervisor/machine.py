"""What the machine, or the container, gives: CPUs, descriptors, a scheduling class."""

import contextlib
import os
import re
import resource


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
    cpus = len(os.sched_getaffinity(0))
    match = re.fullmatch(r"(\d+)\s+(\d+)\s*", quota)  # "max" or -1 where there is no limit
    if match:
        cpus = min(cpus, -(-int(match[1]) // int(match[2])))
    return cpus


def raise_descriptor_limit():
    """As far as it may be raised: 1000 clients take 2000 descriptors of one nginx worker, and many
    a shell's limit is 1024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def share_cpus_in_batches():
    """A process that is woken does not take the CPU from the one that has woken it: nginx sends
    several requests on before a worker runs, and is sent several answers (docs/design.md). Where
    the system refuses, it is only slower."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
