"""The settings: environment variables, in one table. README's table says the same (tests/supervisor
compares them). Those that the responder reads are checked by it (responder --check)."""

import os
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


def is_project(value):
    """A Google Cloud project's identifier, in front of which may stand a domain."""
    return not value or bool(re.fullmatch(r"[a-z0-9.:-]{1,100}", value))


def is_delay(value):
    return bool(re.fullmatch(r"[0-9]{1,3}", value)) and int(value) <= 600


def is_metrics_port(value):
    return not value or is_port(value)


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
        "WORKERS",
        None,
        "a number from 1 to 64",
        "responder processes",
        default_text="the CPUs, at least 2",
    ),
    Setting(
        "WAITING_WORKERS",
        "8",
        "a number from 1 to 64",
        "the same for routes that wait; none where there is no such route",
    ),
    Setting(
        "REQUEST_TIMEOUT",
        "4",
        "a number from 1 to 3600",
        "seconds after which a worker that hangs is ended and replaced",
    ),
    Setting(
        "SANDBOX",
        "on",
        "on or off",
        "`off`: the responder keeps system calls and privileges that it does not need",
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
    Setting(
        "LOG_FORMAT",
        None,
        "json or text",
        "one JSON object a line, or lines for people",
        one_of("json", "text"),
        "text on a terminal, else json",
    ),
    Setting(
        "ACCESS_LOG",
        None,
        "all, errors or off",
        "which requests are logged; errors: status 500 and more, 499, or longer than a second",
        one_of("all", "errors", "off"),
        "all on a terminal, else errors",
    ),
    Setting(
        "DRAIN_DELAY",
        "0",
        "a number from 0 to 600",
        "seconds for which it goes on serving when it is stopped, with /ready at 503",
        is_delay,
    ),
    Setting(
        "METRICS_PORT",
        "",
        "a number from 1024 to 65535, and not PORT",
        "where Prometheus finds /metrics, and nginx-prometheus-exporter /nginx_status; on loopback only",
        is_metrics_port,
        "none",
    ),
    Setting(
        "GOOGLE_CLOUD_PROJECT",
        "",
        "a project's identifier",
        "the project of the traces in the log",
        is_project,
        "none",
    ),
)


def read(environment):
    """The values of all settings that are checked here, by name; None where there is none and the
    default is computed. Raises Wrong."""
    values = {}
    for setting in TABLE:
        if setting.allows:
            value = environment.get(setting.name, setting.default)
            if value is not None and not setting.allows(value):
                raise Wrong(setting.name, value, setting.allowed)
            values[setting.name] = value
    if values["METRICS_PORT"] and int(values["METRICS_PORT"]) == int(values["PORT"]):
        raise Wrong("METRICS_PORT", values["METRICS_PORT"], "a number other than PORT")
    values["RUN_DIR"] = values["RUN_DIR"] or f"/tmp/hello-fcgi-{values['PORT']}"
    return values


def is_misspelt(name, setting):
    """Whether one letter is missing, too many or another, or two are swapped."""
    before = len(os.path.commonprefix([name, setting]))
    name, setting = name[before:][::-1], setting[before:][::-1]
    behind = len(os.path.commonprefix([name, setting]))
    name, setting = name[behind:], setting[behind:]
    return max(len(name), len(setting)) <= 1 or (len(name) == 2 and name == setting[::-1])


def notices(environment):
    """What to say about variables that are there and are no settings."""
    if "NAME" in environment and "GREETING_NAME" not in environment:
        yield "NAME is not a setting, since some systems set it themselves: use GREETING_NAME"
    names = [setting.name for setting in TABLE]
    for name in sorted(set(environment) - set(names)):
        for meant in names:
            if is_misspelt(name, meant):
                yield f"{name} is not a setting, and changes nothing: {meant} is one"
