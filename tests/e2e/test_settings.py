"""Settings and the run directory: what is refused, with which words, and what is put up with."""

import os
import re
import shutil
import stat

import pytest
from client import ask
from service import copy_checkout, end, port_of, reserve_port

native = pytest.mark.native
needs_root = pytest.mark.root

# --- Settings -------------------------------------------------------------------------------


BAD_PORTS = ["", "0", "1", "80", "1023", "65536", "99999", "-8080", "+8080", "80a", " 8080", "８０８０"]


@pytest.mark.parametrize("port", BAD_PORTS)
def test_a_port_that_is_none_is_refused(launch, port):
    line = f'PORT="{port}": must be a number from 1024 to 65535'
    launch(PORT=port).check_refuses(78, re.escape(line))


def test_a_port_in_use_is_refused(launch):
    with reserve_port() as taken:
        taken.listen()
        port = port_of(taken)
        launch(PORT=str(port)).check_refuses(1, f"PORT={port} cannot be used: .*PORT=9000")


@pytest.mark.parametrize("value", ["", "yes", "ON", "off "])
def test_a_cache_that_is_neither_on_nor_off_is_refused(launch, value):
    launch(CACHE=value).check_refuses(78, f'CACHE="{value}": must be on or off')


@pytest.mark.parametrize(
    ("name", "values", "allowed"),
    [
        ("GREETING", ["", 65 * "x", "a\tb"], "1 to 64 characters"),
        ("GREETING_NAME", ["", 65 * "é", "\x7f"], "1 to 64 characters"),
        ("WORKERS", ["", "0", "65", "-1", "two", "2 ", "99999999999999999999"], "1 to 64"),
        ("LOG_LEVEL", ["", "loud", "INFO"], "debug, info, warning or error"),
    ],
)
def test_a_setting_that_is_wrong_is_refused(launch, name, values, allowed):
    for value in values:
        launch(**{name: value}).check_refuses(78, f'{name}=".*": must be .*{allowed}.*')


@native  # engines give no such values to a container
@pytest.mark.parametrize(("name", "value"), [("GREETING", b"\xff"), ("GREETING_NAME", b"\xc3")])
def test_a_setting_that_is_not_utf_8_is_refused(launch, name, value):
    launch(**{name: value}).check_refuses(78, f'{name}=".*": must be .*UTF-8.*')


@pytest.mark.parametrize(("name", "value"), [("PORT", "8080\n"), ("GREETING", "a\nb")])
def test_a_wrong_value_with_a_line_feed_is_refused_in_one_line_too(launch, name, value):
    launch(**{name: value}).check_refuses(78, f".*{name}=.*: must be .*")


@native
def test_a_responder_that_is_not_there_is_refused(launch, directory):
    path = f"{directory}/responder"
    launch(responder=path).check_refuses(1, f"RESPONDER={path} cannot be read: .*make build")


@native
@pytest.mark.parametrize(
    ("end", "how", "status"), [("exit 3", "with status 3", 3), ("kill -SEGV $$", "by signal 11", 1)]
)
def test_a_responder_that_ends_without_a_word_is_named(launch, directory, end, how, status):
    program = f"{directory}/responder"
    with open(program, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{end}\n")
    os.chmod(program, 0o755)
    launch(responder=program).check_refuses(status, f"RESPONDER={program} (was )?ended {how}")


def test_what_only_resembles_a_setting_is_noticed_and_changes_nothing(launch):
    service = launch(NAME="pc", GREETNG="Hi")
    service.expect("^NAME is not a setting, .*: use GREETING_NAME$")
    service.expect("^GREETNG is not a setting, .*: GREETING is one$")
    assert ask(service.wait_ready().port).text == "Hello World\n"


# --- The run directory ----------------------------------------------------------------------


BAD_RUN_DIRS = ["", "relative", "./x", "/", "/tmp/a b", "/tmp/{", "/tmp/$x", "/tmp/" + 80 * "x"]


@native
@pytest.mark.parametrize("path", BAD_RUN_DIRS)
def test_a_run_directory_by_a_wrong_name_is_refused(launch, path):
    line = re.escape(f'RUN_DIR="{path}": must be an absolute path')
    launch(RUN_DIR=path).check_refuses(78, f"{line} .*")


@native
def test_a_run_directory_that_cannot_be_made_is_refused(launch, directory):
    path = f"{directory}/missing/run"
    launch(RUN_DIR=path).check_refuses(1, f"RUN_DIR={path} cannot be made: No such file .*")


@native
@needs_root
def test_a_run_directory_that_its_user_may_not_make_is_refused(launch, directory):
    home = copy_checkout(f"{directory}/home", user="nobody")
    os.chmod(directory, 0o755)
    service = launch(
        checkout=home, responder=f"{home}/responder", RUN_DIR=f"{directory}/run", user="nobody"
    )
    service.check_refuses(1, f"RUN_DIR={directory}/run cannot be made: Permission denied")


@native
def test_a_run_directory_that_holds_other_files_is_refused_and_left_alone(launch, directory):
    path = f"{directory}/run"
    os.mkdir(path, 0o755)
    os.mkdir(f"{path}/temp")
    open(f"{path}/file", "w", encoding="utf-8").close()
    if os.geteuid() == 0:
        shutil.chown(path, "www-data")
    launch(RUN_DIR=path).check_refuses(1, f"RUN_DIR={path} must be a directory .*empty")
    assert set(os.listdir(path)) == {"file", "temp"}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o755


@native
def test_a_run_directory_that_is_none_is_refused(launch, directory):
    path = f"{directory}/file"
    open(path, "w", encoding="utf-8").close()
    launch(RUN_DIR=path).check_refuses(1, f"RUN_DIR={path} .*directory.*")


@native
@needs_root
def test_a_run_directory_of_somebody_else_is_refused_and_left_alone(launch, directory):
    path = f"{directory}/run"
    os.mkdir(path)
    open(f"{path}/file", "w", encoding="utf-8").close()
    launch(RUN_DIR=path).check_refuses(1, f"RUN_DIR={path} must be a directory that .*, and empty")
    assert os.listdir(path) == ["file"] and os.stat(path).st_uid == 0


@native
def test_a_run_directory_in_use_is_refused(start, launch):
    first = start()
    second = launch(RUN_DIR=first.run_dir)
    second.check_refuses(1, f"RUN_DIR={first.run_dir} is in use by another run.*")
    assert ask(first.port).status == 200


@native
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_an_empty_run_directory_is_used_and_emptied(start, directory, mode):
    path = f"{directory}/run"
    os.mkdir(path, mode)
    service = start(RUN_DIR=path)
    assert ask(service.port).status == 200
    service.stop()
    assert os.listdir(path) == []


@native
def test_a_run_after_one_that_was_killed_takes_its_directory_over(launch, directory):
    path = f"{directory}/run"
    os.mkdir(path)
    killed = launch(RUN_DIR=path).wait_ready()
    end(killed.processes)
    assert "responder.sock" in os.listdir(path)
    service = launch(RUN_DIR=path).wait_ready()
    assert ask(service.port).status == 200
    service.stop()
    assert os.listdir(path) == []


@native
@needs_root
def test_a_run_directory_that_is_a_link_is_refused(launch, directory):
    elsewhere = f"{directory}/elsewhere"
    os.mkdir(elsewhere)
    os.symlink(elsewhere, f"{directory}/run")
    service = launch(RUN_DIR=f"{directory}/run")
    service.check_refuses(1, f"RUN_DIR={directory}/run .*")
    assert os.stat(elsewhere).st_uid == 0


@native
@needs_root
def test_nobody_else_can_write_to_the_run_directory(start, directory):
    path = f"{directory}/run"
    os.mkdir(path)
    os.chmod(path, 0o777)
    service = start(RUN_DIR=path)
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o022 == 0, oct(os.stat(path).st_mode)
    service.stop()


@native
@needs_root
def test_a_run_directory_below_one_of_roots_is_removed(start, directory):
    os.chmod(directory, 0o755)
    service = start(RUN_DIR=f"{directory}/run")
    service.stop()
    assert not os.path.exists(service.run_dir), os.listdir(service.run_dir)
