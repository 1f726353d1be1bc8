"""Places in which something is refused: what is optional is done without, and the rest is said in one
line."""

import os
import socket
import subprocess

import pytest
from client import ask
from service import REPOSITORY, RESPONDER, Native, wait_until

native = pytest.mark.native
needs_root = pytest.mark.root

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


# --- Without IPv6 -------------------------------------------------------------------------------


def probe(service, *before):
    """The exit status of --probe, run by a command."""
    command = [*before, RESPONDER, "--probe"]
    return subprocess.run(command, env={"PORT": str(service.port)}, check=False).returncode


@native
def test_a_kernel_without_ipv6_serves_on_ipv4(launch):
    """As ipv6.disable=1 at its start leaves it: there is no such family."""
    call, error = f"socket:{int(socket.AF_INET6)}", "EAFNOSUPPORT"
    service = launch(call, error, kind=Refused).wait_ready()
    assert ask(service.port).text == "Hello World\n"
    refuse = ["/usr/bin/python3", "-I", f"{REPOSITORY}/tests/faults/refuse.py", call, error]
    assert probe(service, *refuse) == 0


class WithoutAddresses(Native):
    """In a network of its own, in which IPv6 is turned off, as engines turn it off."""

    inside = (
        "ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && exec \"$@\""
    )

    def spawn(self, command, **options):
        return super().spawn(["unshare", "--net", "sh", "-c", self.inside, "sh", *command], **options)


@native
@needs_root
def test_a_network_without_ipv6_is_served_on_ipv4(launch):
    service = launch(kind=WithoutAddresses)
    wait_until(lambda: service.log() or service.process.poll() is not None, 15, "it says something")
    if "unshare failed" in service.log():
        service.expect("unshare failed")
        service.is_structured = False
        pytest.skip("may not make a network")
    service.wait_ready()
    enter = ["nsenter", "--net", f"--target={service.process.pid}"]
    curl = ["curl", "--silent", f"http://127.0.0.1:{service.port}/"]
    answer = subprocess.run([*enter, *curl], capture_output=True, text=True, check=True).stdout
    assert answer == "Hello World\n"
    assert probe(service, *enter) == 0
