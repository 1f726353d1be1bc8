"""Takes out what is adapted of supervisord, one adaptation at a time, in a copy of the working tree, and
runs the test that is named beside it, which has to fail.

    /usr/bin/python3 tests/supervisor/adaptations.py [NAME...]      (a minute; not a part of make test)

That each can still be taken out, and names its test, is a test (test_supervisord.py).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = "supervisor/supervisord.py"
UNIT, LIFE, FAIL, PLACE = (
    "tests/supervisor/test_supervisord.py",
    *(f"tests/e2e/test_{name}.py" for name in ("lifecycle", "failures", "places")),
)


class Adaptation:
    """old becomes new, and test in file fails. name: the function or class that says so."""

    def __init__(self, name, old, new, file, test):
        self.name, self.old, self.new, self.file, self.test = name, old, new, file, test

    def is_there(self):
        return (ROOT / FILE).read_text("utf-8").count(self.old) == 1

    def names_its_test(self):
        text = (ROOT / FILE).read_text("utf-8")
        return self.test.partition(" ")[0] in text

    def is_missed(self, copy):
        """Whether its test fails without it."""
        path = copy / FILE
        original = path.read_text("utf-8")
        path.write_text(original.replace(self.old, self.new), "utf-8")
        command = ["/usr/bin/python3", "-B", "-m", "pytest", "-q", "-x", self.file, "-k", self.test]
        environment = {**os.environ, "TARGETS": "native", "RESPONDER": f"{copy}/build/responder"}
        result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=300)
        path.write_text(original, "utf-8")
        return result.returncode == 1


TABLE = (
    Adaptation(
        "EntryPoint",
        'sys.modules["pkg_resources"] = types.SimpleNamespace(EntryPoint=EntryPoint)\n',
        "",
        *(UNIT, "test_what_the_image_leaves_out_is_not_needed"),
    ),
    Adaptation(
        "Nothing",
        'if not os.path.exists("/usr/bin/supervisorctl"):',
        "if False:",
        *(UNIT, "test_what_the_image_leaves_out_is_not_needed"),
    ),
    Adaptation(
        "handleError",
        "supervisor.loggers.Handler.handleError = lambda _: None\n",
        "",
        *(UNIT, "test_a_log_that_cannot_be_written_is_not_worth_a_traceback"),
    ),
    Adaptation(
        "Poller, signals",
        "        self.register_readable(self.read_end)\n",
        "",
        *(UNIT, "test_a_signal_ends_the_wait"),
    ),
    Adaptation(
        "Poller, output",
        "not self.take(readable[0])",
        "True",
        *(UNIT, "test_output_is_taken_without_a_turn_of_the_loop"),
    ),
    Adaptation(
        "Poller, output without end",
        "if not left or writable or",
        "if writable or",
        *(UNIT, "test_output_without_end_does_not_keep_the_loop_waiting"),
    ),
    Adaptation(
        "Poller, start",
        "self.patience = lambda: 0\n",
        "self.patience = lambda: 1\n",
        *(LIFE, "test_it_answers_soon_after_its_start"),
    ),
    Adaptation(
        "set_rlimits_or_exit",
        "def set_rlimits_or_exit(self):",
        "def set_nothing(self):",
        *(LIFE, "test_a_limit_that_is_low_is_put_up_with"),
    ),
    Adaptation(
        "usage",
        "def usage(self, msg):",
        "def use(self, msg):",
        *(UNIT, "test_what_is_wrong_is_said_without_options"),
    ),
    Adaptation(
        "openhttpservers",
        "def openhttpservers(self, supervisord):",
        "def open_them(self, supervisord):",
        *(PLACE, "test_a_file_system_without_hard_links_has_no_supervisorctl"),
    ),
    Adaptation(
        "fork, group",
        "        with contextlib.suppress(OSError):\n            return self.make(self.spawning, 0)\n",
        "        return self.make(self.spawning, 0)\n",
        *(PLACE, "test_a_call_that_is_refused_is_done_without_or_said_in_one_line and setpgid-EPERM"),
    ),
    Adaptation(
        "make_pipes",
        "def make_pipes(self, stderr=True):",
        "def make_others(self, stderr=True):",
        *(UNIT, "test_a_program_s_output_has_room_and_is_read_at_once"),
    ),
    Adaptation(
        "readfd",
        "def readfd(self, fd):",
        "def read_it(self, fd):",
        *(UNIT, "test_a_program_s_output_has_room_and_is_read_at_once"),
    ),
    Adaptation(
        "fork",
        "    def fork(self):",
        "    def fork_it(self):",
        *(UNIT, "test_a_program_is_made_without_a_copy_of_this_process"),
    ),
    Adaptation(
        "patience",
        "return 0.01 if restless & states else 1",
        "return 1",
        *(UNIT, "test_it_looks_often_while_a_program_starts"),
    ),
    Adaptation(
        "runforever",
        "            group.socket_manager.get_socket()\n",
        "            None\n",
        *(FAIL, "test_a_killed_responder_is_back_within_2_s"),
    ),
    Adaptation(
        "give_up",
        "            self.give_up(name, process.spawnerr)\n",
        "            pass\n",
        *(FAIL, "test_workers_that_keep_dying_end_it_all"),
    ),
    Adaptation(
        "dismiss_orphans",
        "            self.dismiss_orphans(process)\n",
        "",
        *(FAIL, "test_a_killed_nginx_is_back_within_2_s_and_its_workers_go"),
    ),
    Adaptation(
        "run, SIGUSR1",
        "    signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n",
        "",
        *(LIFE, "test_it_can_be_stopped_at_any_moment_of_its_start"),
    ),
    Adaptation(
        "run, temporary files",
        "    tempfile.tempdir = os.path.dirname(configuration)\n",
        "",
        *(UNIT, "test_no_place_for_temporary_files_is_needed"),
    ),
)


def main(names):
    missed = True
    with tempfile.TemporaryDirectory(prefix="adaptations-") as directory:
        os.chmod(directory, 0o755)  # the service's user must get there
        copy = Path(directory) / "copy"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        for adaptation in TABLE:
            if not names or adaptation.name in names:
                fails = adaptation.is_missed(copy)
                missed = missed and fails
                says = "fails" if fails else "PASSES"
                print(f"without {adaptation.name}: {adaptation.test} {says}", flush=True)
    return int(not missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
