"""`make debug`, typed in a terminal: one process that takes one request at a time, and gdb."""

import concurrent.futures
import contextlib
import re
import signal
import socket

import pytest
from client import ask
from service import Process, Shell, wait_until

pytestmark = pytest.mark.native


class Debug(Shell):
    typed = "make debug"

    def wait_ready(self):
        path = self.wait_for_line(r"forwards to (\S+)")[1]
        with socket.socket(socket.AF_UNIX) as probe:
            wait_until(lambda: probe.connect_ex(path) == 0, 10, lambda: f"{path}:\n{self.log()}")
        return self

    def end(self):
        """nginx is in the background, in a session of its own."""
        if match := re.search(r"forwards to (\S+)/responder.sock", self.log()):
            with contextlib.suppress(FileNotFoundError), open(f"{match[1]}/nginx.pid") as file:
                Process(int(file.read())).kill(signal.SIGTERM)
        super().end()

    def says_after(self, typed, pattern):
        self.type(typed)
        return self.wait_for_line(pattern)


class DebugUnderGdb(Debug):
    typed = "make debug GDB=1"


def test_make_debug_serves_from_the_process_it_names_until_ctrl_c(launch):
    shell = launch(kind=Debug).wait_ready()
    pid = int(shell.wait_for_line(r"The responder is process (\d+)\. Attach: gdb -p \1;")[1])
    assert [ask(shell.port, f"/?name={name}").text for name in "ab"] == ["Hello a\n", "Hello b\n"]
    assert shell.named("responder")[0].pid == pid
    shell.type("\x03")
    shell.check_ends(status="0")


def test_make_debug_leaves_nothing_when_it_is_killed(launch):
    shell = launch(kind=Debug).wait_ready()
    responder = int(shell.wait_for_line(r"The responder is process (\d+)")[1])
    assert ask(shell.port).status == 200
    Process(Process(responder).parent).kill(signal.SIGTERM)
    shell.wait_for_prompt()
    shell.type("exit\n")
    shell.wait()


def test_make_debug_says_that_the_port_is_in_use(launch):
    shell = launch(kind=Debug).wait_ready()
    second = launch(kind=Debug, PORT=str(shell.port))
    second.wait_for_line(f"debug: nginx cannot serve on PORT={shell.port}, .*PORT=9000")
    second.check_ends(status="2")
    assert ask(shell.port).status == 200
    shell.type("\x03")
    shell.check_ends(status="0")


def test_make_debug_under_gdb_stops_at_a_breakpoint_and_goes_on(launch):
    shell = launch(kind=DebugUnderGdb)
    shell.wait_for_line("Then: run(.|\n)*\\(gdb\\) ")
    shell.says_after("break greeting\n", "Breakpoint 1 at ")
    shell.type("run\n")
    shell.wait_ready()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pending = pool.submit(ask, shell.port, "/?name=Ada")
        shell.wait_for_line(r"Breakpoint 1, greeting \(")
        shell.says_after("up 2\n", " in respond ")
        shell.says_after("print request->target\n", r'= 0x[0-9a-f]+ "/\?name=Ada"')
        shell.type("continue\n")
        assert pending.result().text == "Hello Ada\n"
    shell.says_after("\x03", "received signal SIGINT")
    shell.type("kill\ny\nquit\n")
    shell.check_ends(status="0")
