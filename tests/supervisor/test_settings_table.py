"""The table of settings, and what the machine gives."""

import os
import pathlib
import re
import subprocess

import machine
import pytest
import settings

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
RESPONDER = os.environ.get("RESPONDER", REPOSITORY / "build" / "responder")


def test_readme_has_the_same_table():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \| (.*?) \|$", README.read_text(), re.MULTILINE)
    said = [(name, default.strip("`"), allowed, meaning) for name, default, allowed, meaning in rows]
    table = [(s.name, s.default_text, s.allowed, s.meaning) for s in settings.TABLE]
    assert said == table


def test_the_responder_s_help_has_the_same_table():
    printed = subprocess.run([RESPONDER, "--help"], check=True, capture_output=True, text=True).stdout
    told = re.findall(r"^  ([A-Z_]+) +(.+?) \((.+)\): (.+)$", printed, re.MULTILINE)
    checked_there = [setting for setting in settings.TABLE if not setting.allows]
    assert told == [
        (one.name, one.allowed, one.default_text, one.meaning.replace("`", "")) for one in checked_there
    ]


def test_every_default_is_allowed():
    values = settings.read({})
    assert values["RUN_DIR"] == "/tmp/hello-fcgi-8080" and values["LOG_FORMAT"] is None
    for setting in settings.TABLE:
        if setting.allows and setting.default is not None:
            assert setting.allows(setting.default), setting.name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PORT", value) for value in ("", "0", "1023", "65536", "80a", " 8080", "８０８０")),
        *(("RUN_DIR", value) for value in ("", "x", "/a b", "/" + 81 * "x", "/a\n")),
        *(("CACHE", value) for value in ("", "yes", "ON")),
        *(("ACCESS_LOG", value) for value in ("", "some")),
        *(("LOG_FORMAT", value) for value in ("", "xml")),
        *(("METRICS_PORT", value) for value in ("0", "80", "8080", "x")),
        *(("DRAIN_DELAY", value) for value in ("", "-1", "601", "1.5", "9999")),
        *(("GOOGLE_CLOUD_PROJECT", value) for value in ("A", "a/b", 'a"', "a;")),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(name, value):
    with pytest.raises(settings.Wrong) as wrong:
        settings.read({name: value})
    assert str(wrong.value).startswith(f'{name}="') and str(wrong.value).isprintable()


@pytest.mark.parametrize(
    ("environment", "times"),
    [({}, 0), ({"NAME": "pc"}, 1), ({"NAME": "pc", "GREETING_NAME": "Ada"}, 0)],
)
def test_a_name_that_the_system_has_set_is_noticed(environment, times):
    assert len(list(settings.notices(environment))) == times


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GREETNG", "GREETING"),
        ("WORKER", "WORKERS"),
        ("WROKERS", "WORKERS"),
        ("SANDBOXX", "SANDBOX"),
        ("CACHÉ", "CACHE"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("XPORT", "PORT"),
    ],
)
def test_a_misspelt_setting_is_noticed(name, meant):
    noticed = f"{name} is not a setting, and changes nothing: {meant} is one"
    assert list(settings.notices({name: "", "HOME": "/"})) == [noticed]


@pytest.mark.parametrize("name", ["PATH", "TEMPORARY", "PROT_X", "K_SERVICE", "HOST", ""])
def test_other_variables_are_not_noticed(name):
    assert not list(settings.notices({name: ""}))


def test_no_setting_is_taken_for_another_one_misspelt():
    names = {setting.name: "" for setting in settings.TABLE}
    assert not list(settings.notices(names))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("", None),
        ("max 100000\n", None),
        ("-1 100000", None),
        ("0 100000", None),
        ("100000 0", None),
        ("100000 100000\n", 1),
        ("100001 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("800000 100000", 8),
    ],
)
def test_a_quota_is_rounded_up_to_whole_cpus(quota, cpus):
    assert machine.quota_cpus(quota) == cpus
