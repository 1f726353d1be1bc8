"""What is adapted of supervisord, as far as it shows without a service; the end-to-end tests have the
rest. `adaptations` takes each out and runs its test."""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import adaptations
import pytest
import supervisord
from supervisor.states import ProcessStates

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1] / "supervisor"


@pytest.mark.parametrize("number", range(len(adaptations.TABLE)))
def test_each_adaptation_can_be_taken_out_and_names_its_test(number):
    adaptation = adaptations.TABLE[number]
    assert adaptation.is_there(), f"{adaptation.old!r} is in no line, or in several"
    assert adaptation.names_its_test(), f"{adaptation.test} is not named where {adaptation.name} is"


IMPORT = """
import os, sys
class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {names!r}.split():
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, {source!r})
os.path.exists = lambda _: False
sys.dont_write_bytecode = True
import supervisord
"""


@pytest.mark.parametrize("names", ["pkg_resources", "http xmlrpc", "html base64 gettext"])
def test_what_the_image_leaves_out_is_not_needed(names):
    """names: modules."""
    code = IMPORT.format(names=names, source=str(SOURCE))
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_program_is_made_without_a_copy_of_this_process(monkeypatch):
    """In a group of its own, with its environment, and reachable by what ends this one."""
    monkeypatch.setattr(os, "fork", None)
    options, output = supervisord.Options((signal.SIGTERM,)), os.pipe()
    says = "import os, signal; print(os.getpgrp() == os.getpid(), os.environ['WHICH'], signal.getsignal(15).name)"
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    options.spawning = types.SimpleNamespace(
        get_execv_args=lambda: (sys.executable, ["python", "-c", says]),
        pipes={"child_stdin": subprocess.DEVNULL, "child_stdout": output[1]},
        config=types.SimpleNamespace(redirect_stderr=True, environment={"WHICH": "its own"}),
    )
    status = os.waitpid(options.fork(), 0)[1]
    signal.signal(signal.SIGTERM, before)
    assert (status, os.read(output[0], 99)) == (0, b"True its own SIG_DFL\n")


@pytest.fixture
def poller():
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    yield supervisord.Options(()).poller
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR2, before)


def test_a_signal_ends_the_wait(poller):
    poller.patience = lambda: 20
    os.kill(os.getpid(), signal.SIGUSR2)
    begun = time.monotonic()
    assert poller.poll(20) == ([poller.read_end], [])
    assert time.monotonic() - begun < 10


def test_output_is_taken_without_a_turn_of_the_loop(poller):
    read_end, write_end = os.pipe()
    taken = []

    def take(descriptor):
        """The second time there is the end of the output."""
        taken.append(os.read(descriptor, 9))
        os.close(write_end) if taken[-1] else None
        return bool(taken[-1])

    poller.take, poller.patience = take, lambda: 20
    poller.register_readable(read_end)
    os.write(write_end, b"words")
    assert poller.poll(20) == ([read_end], []) and taken == [b"words", b""]
    os.close(read_end)


def test_output_without_end_does_not_keep_the_loop_waiting(poller):
    read_end, write_end = os.pipe()
    turns = iter(range(1000))
    poller.take, poller.patience = lambda _: next(turns) < 900, lambda: 0.05
    poller.register_readable(read_end)
    os.write(write_end, b"words")
    assert poller.poll(20) == ([read_end], []) and next(turns) < 900
    os.close(read_end)
    os.close(write_end)


def test_a_program_s_output_has_room_and_is_read_at_once():
    options = supervisord.Options(())
    pipes = options.make_pipes()
    os.set_blocking(pipes["child_stdout"], False)
    written = os.write(pipes["child_stdout"], b"x" * supervisord.PIPE_SIZE)
    assert written == supervisord.PIPE_SIZE
    assert len(options.readfd(pipes["stdout"])) == written
    options.close_parent_pipes(pipes)
    options.close_child_pipes(pipes)
    signal.set_wakeup_fd(-1)


@pytest.mark.parametrize(
    "state, seconds",
    [("STARTING", 0.01), ("EXITED", 0.01), ("BACKOFF", 0.01), ("RUNNING", 1), ("FATAL", 1)],
)
def test_it_looks_often_while_a_program_starts(state, seconds):
    process = types.SimpleNamespace(state=getattr(ProcessStates, state))
    group = types.SimpleNamespace(processes={"responder": process})
    parent = types.SimpleNamespace(process_groups={"responder": group})
    assert supervisord.Supervisor.patience(parent) == seconds


def test_what_is_wrong_is_said_without_options(capfd):
    with pytest.raises(SystemExit):
        supervisord.Options(()).usage("it is so")
    assert json.loads(capfd.readouterr().err)["message"] == "supervisord: it is so"


def refuse():
    raise FileNotFoundError("no usable temporary directory")


def test_no_place_for_temporary_files_is_needed(monkeypatch, tmp_path):
    configuration = tmp_path / "supervisord.conf"
    configuration.write_text("[supervisord]\nnodaemon=true\nlogfile=/dev/null\n", "utf-8")
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    service = types.SimpleNamespace(main=lambda: None, end=lambda: None, failed=False)
    assert supervisord.run(lambda _: service, str(configuration), ()) == 0


def test_a_log_that_cannot_be_written_is_not_worth_a_traceback(capsys):
    handler = importlib.import_module("supervisor.loggers").Handler()
    try:
        raise OSError
    except OSError:
        handler.handleError()
    assert capsys.readouterr() == ("", "")
