"""`make run`, from another program and from a terminal."""

import random
import signal
import time

import pytest
from client import ask
from service import Make, Shell, listens_to_signals, wait_until

pytestmark = pytest.mark.native


def test_make_run_ends_with_make(launch):
    service = launch(kind=Make).wait_ready()
    service.expect(r"^  CC |^make: \*\*\* .* Terminated$", 0)
    assert ask(service.port).text == "Hello World\n"
    service.send_signal(signal.SIGTERM)
    service.check_stops(status=-signal.SIGTERM)


@pytest.mark.parametrize("keys", ["\x03", "\x1a\x03"], ids=["ctrl-c", "ctrl-z, ctrl-c"])
def test_ctrl_c_ends_make_run_without_an_error(launch, keys):
    shell = launch(kind=Shell).wait_ready()
    for key in keys:
        assert ask(shell.port).text == "Hello World\n"
        shell.type(key)
    shell.check_ends(status="0")


@pytest.mark.parametrize("longest", [0, 20, 200])
def test_ctrl_c_at_any_moment_of_its_start_is_no_traceback(launch, longest):
    """Until start.py has the terminal, make gets it, too, and reports it."""
    shell = launch(kind=Shell)

    def python():
        return [process for process in shell.processes() if process.name.startswith("python")]

    [process] = wait_until(python, 10, "it is started")
    assert listens_to_signals(process.pid), "it is Python and waits for no signals yet"
    milliseconds = random.uniform(0, longest)
    time.sleep(milliseconds / 1000)
    shell.type("\x03")
    shell.wait_for_prompt()
    assert "Traceback" not in shell.log(), f"after {milliseconds} ms: {shell.log()}"
    shell.type("exit\n")
    shell.wait()


@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 0.2])
def test_an_impatient_ctrl_c_leaves_nothing_either(launch, seconds):
    shell = launch(kind=Shell).wait_ready()
    shell.type("\x03")
    time.sleep(seconds)
    shell.type("\x03")
    shell.wait_for_prompt()
    shell.type("exit\n")
    shell.wait()


def test_a_terminal_that_is_closed_leaves_nothing(launch):
    shell = launch(kind=Shell).wait_ready()
    shell.close_terminal()
    wait_until(lambda: not shell.processes(), 3, lambda: f"{shell.processes()} end")
