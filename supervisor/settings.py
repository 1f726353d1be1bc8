"""The settings: environment variables, in one table. README's table says the same (tests/supervisor
compares them). Those that the responder reads are checked by it (responder --check)."""

import re


class Wrong(Exception):
    """A setting has a value that is not allowed. In one line, whatever the value holds."""

    def __init__(self, name, value, allowed):
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
        super().__init__(f'{name}="{shown}": must be {allowed}')


class Setting:
    """default: None where it is computed, and default_text says from what. allows: whether a value
    is allowed; None where the responder checks it."""

    def __init__(self, name, default, allowed, meaning, allows=None, default_text=None):
        self.name, self.default, self.allowed, self.meaning = name, default, allowed, meaning
        self.allows, self.default_text = allows, default_text or default


def one_of(*values):
    return lambda value: value in values


def is_port(value):
    """Those below 1024 are for root, who does not serve."""
    return bool(re.fullmatch(r"[0-9]{4,5}", value)) and 1024 <= int(value) <= 65535


def is_run_dir(value):
    """80 characters: a unix socket's path has at most 107 bytes; and none that nginx's or
    supervisord's configuration would have to quote."""
    return bool(re.fullmatch(r"/[A-Za-z0-9._/+@-]{1,80}", value))


TABLE = (
    Setting("PORT", "8080", "a number from 1024 to 65535", "where it listens", is_port),
    Setting(
        "RUN_DIR",
        None,
        "an absolute path of at most 80 letters, digits and ._/+@-",
        "the only directory that is written to; removed at the end if it was made",
        is_run_dir,
        "/tmp/hello-fcgi-PORT",
    ),
    Setting("GREETING", "Hello", "1 to 64 characters", "the word that greets"),
    Setting("GREETING_NAME", "World", "1 to 64 characters", "who is greeted without `?name=`"),
    Setting(
        "WORKERS", None, "1 to 64", "responder processes", default_text="the CPUs, at least 2"
    ),
    Setting(
        "CACHE",
        "on",
        "on or off",
        "`off`: every request goes to the responder",
        one_of("on", "off"),
    ),
    Setting(
        "LOG_LEVEL",
        "info",
        "debug, info, warning or error",
        "`debug` logs every request that reaches the responder",
    ),
)


def read(environment):
    """The values of all settings that are checked here, by name. Raises Wrong."""
    values = {}
    for setting in TABLE:
        if setting.allows:
            value = environment.get(setting.name, setting.default)
            if value is not None and not setting.allows(value):
                raise Wrong(setting.name, value, setting.allowed)
            values[setting.name] = value
    values["RUN_DIR"] = values["RUN_DIR"] or f"/tmp/hello-fcgi-{values['PORT']}"
    return values
