"""Places in which something is refused: what is optional is done without, and the rest is said in one
line."""

import os

import pytest
from client import ask
from service import REPOSITORY, Native, wait_until

native = pytest.mark.native

# What the start, nginx and the responder do without, and what they cannot do without. Calls without
# which Python itself does not start (fcntl, ioctl, lseek, mmap) are in neither.
OPTIONAL = (
    *("prctl", "capset", "capget", "seccomp", "setpgid"),
    *("link", "chown", "flock", "rename", "sched_setscheduler"),
    *("sched_getaffinity", "getrandom", "clone3", "vfork", "statx", "openat2", "close_range"),
    *("rseq", "set_robust_list", "epoll_pwait", "signalfd", "sysinfo", "statfs", "mremap"),
)
NEEDED = (
    *("memfd_create", "ftruncate", "signalfd4", "socketpair", "pipe2", "socket", "bind", "listen"),
    *("epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "poll", "accept4", "connect"),
    *("getsockopt", "setsockopt", "recvfrom", "sendto", "writev", "pwrite64", "getpeername"),
    # Sanitizers end their program when this one is refused.
    *(() if os.environ.get("SANITIZE") else ("rt_sigaction",)),
    *("rt_sigprocmask", "clone", "mkdir", "chmod", "uname", "dup2"),
    *("prlimit64", "fchown", "fchmod"),
)


class Refused(Native):
    """One of whose system calls is refused."""

    def __init__(self, call, error, **options):
        self.call, self.error = call, error
        super().__init__(**options)

    def spawn(self, command, **options):
        refuse = ["/usr/bin/python3", "-I", f"{REPOSITORY}/tests/faults/refuse.py"]
        return super().spawn([*refuse, self.call, self.error, *command], **options)


@native
@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
@pytest.mark.parametrize("call", [*OPTIONAL, *NEEDED])
def test_a_call_that_is_refused_is_done_without_or_said_in_one_line(launch, call, error):
    service = launch(call, error, kind=Refused)
    service.expect("", 0)
    wait_until(
        lambda: "serving on" in service.log() or service.process.poll() is not None,
        20,
        lambda: f"it serves or ends; it said:\n{service.log()}",
    )
    if service.process.poll() == 2:
        pytest.skip(f"this machine has no {call}")
    serves = "serving on" in service.log()
    assert serves or call in NEEDED, service.log()
    if serves:
        assert ask(service.port).text == "Hello World\n"
        service.stop()
        return
    service.is_structured = False  # without poll, or without signals, it says so in plain words
    assert service.wait() in (1, 71, 78), service.log()
    assert len(service.lines()) == 1 and "usage" not in service.log(), service.log()


@native
def test_a_file_system_without_hard_links_has_no_supervisorctl(launch):
    service = launch("link", "EPERM", kind=Refused)
    service.expect("^there is no socket for supervisorctl here: .*")
    assert ask(service.wait_ready().port).status == 200
