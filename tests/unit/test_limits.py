"""docs/design.md lists every limit: what it says is what the sources say."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TABLE = re.findall(
    r"^\| `(\w+)` \| ([^|]+) \| `([\w./-]+)` \|",
    (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("name", "value", "file"), TABLE)
def test_a_limit_is_what_the_table_says(name, value, file):
    source = (REPOSITORY / file).read_text(encoding="utf-8")
    assert re.search(rf"\b{name} ?=? +{re.escape(value)}\s*[,;}}/ \n]", source), (name, value)


def test_every_limit_is_in_the_table():
    """Those of the sources that are called so."""
    found = set()
    for path in (REPOSITORY / "fcgi-app").rglob("*.[ch]"):
        found |= set(re.findall(r"\b([A-Z_]+_(?:MAX|MS|MIN)) = [\d(]", path.read_text()))
    assert found - {name for name, *_ in TABLE} == set()


def milliseconds(pattern, file, unit=1):
    return unit * int(re.search(pattern, (REPOSITORY / file).read_text(encoding="utf-8"))[1])


def test_what_stops_by_itself_has_the_time_for_it():
    """The parent kills its workers before supervisord kills the parent, which could not say so then; and
    nginx's workers give up before supervisord ends them."""
    workers, clients = (
        milliseconds(r"\bSTOP_MS = (\d+)", "fcgi-app/service.c"),
        milliseconds(r"worker_shutdown_timeout (\d+)s", "nginx/nginx.conf.template", 1000),
    )
    configuration = (REPOSITORY / "supervisor/supervisord.conf").read_text(encoding="utf-8")
    responder, nginx = (
        1000 * int(re.search(rf"program:{name}\][^[]*stopwaitsecs = (\d+)", configuration)[1])
        for name in ("responder", "nginx")
    )
    assert workers + 500 <= responder and clients + 500 <= nginx
