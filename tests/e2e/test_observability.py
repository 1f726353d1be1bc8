"""docs/observability.md and docs/metrics.md: they name what the service says, neither less nor more,
and their queries can be typed as they stand."""

import json
import os
import re
import subprocess

import pytest
import requests
from client import ask
from service import REPOSITORY, SEVERITIES, port_of, reserve_port, wait_until

pytestmark = pytest.mark.native

DOCUMENTS = {
    name: open(f"{REPOSITORY}/docs/{name}.md", encoding="utf-8").read()
    for name in ("observability", "metrics", "runbook")
}
SERIES = re.compile("_(bucket|sum|count)$")  # of a histogram
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def rows(document, heading):
    """The cells of the first table under a heading."""
    section = f"\n{DOCUMENTS[document]}".partition(f"\n{heading}\n")[2]
    table = re.search(r"^\|.*\n\|-.*\n((?:\|.*\n)+)", section, re.MULTILINE)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def names(cell):
    return re.findall("`([^`]+)`", cell)


# --- Fields and metrics -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def observed(shared_launch):
    """A service that has said something of each kind, and the port of its metrics."""
    holder = reserve_port()
    port = port_of(holder)
    service = shared_launch(
        ACCESS_LOG="all", LOG_LEVEL="debug", CACHE="on", METRICS_PORT=str(port)
    )
    service.expect("", 0)
    provoke(service.wait_ready())
    yield service, port
    holder.close()


def provoke(service):
    ask(service.port, traceparent=TRACE, Referer="http://referrer/")
    ask(service.port, "/?name=Ada", traceparent=TRACE)
    ask(service.port, "/nowhere", "BREW")
    socket = f"{service.run_dir}/responder.sock"
    os.rename(socket, f"{socket}.away")
    for worker in service.named("responder")[1]:  # whose connections are kept
        worker.kill()

    def has_said(field):
        ask(service.port)  # STALE in two seconds, and fetched anew by a subrequest
        ask(service.port, "/?name=away", Referer="http://referrer/")
        return any(field in entry for entry in service.entries())

    for field in ("subrequest", "referrer", "count"):
        wait_until(lambda: has_said(field), 10, lambda: f"a line has {field!r}: {service.log()}")
    os.rename(f"{socket}.away", socket)


def kind_of(entry):
    if "path" in entry:
        return "requests"
    if "tid" in entry:
        return "nginx's errors"
    return "responder" if "request_id" in entry else "other"


def test_the_fields_are_those_that_are_documented(observed):
    documented = {}
    for fields, kinds, *_ in rows("observability", "## Fields"):
        for kind in kinds.split(", "):
            documented.setdefault(kind, set()).update(names(fields))
    everywhere, of_floods = documented.pop("all"), documented.pop("floods")
    emitted = {}
    for entry in observed[0].entries():
        assert everywhere <= entry.keys(), entry
        own = entry.keys() - everywhere - (of_floods if "more like this" in entry["message"] else set())
        emitted.setdefault(kind_of(entry), set()).update(own)
    assert emitted.pop("other") == set()
    assert emitted == documented


def test_the_metrics_are_those_that_are_documented(observed):
    text = requests.get(f"http://127.0.0.1:{observed[1]}/metrics", timeout=10).text
    emitted = {name: (kind, set()) for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)}
    for series, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        name = series if series in emitted else SERIES.sub("", series)
        emitted[name][1].update(set(re.findall(r'(\w+)="', labels)) - {"le"})
    documented = {
        name: (kind, set(names(labels)))
        for cell, kind, _, labels, _ in rows("metrics", "# Metrics")
        for name in names(cell)
    }
    assert emitted == documented


# --- Queries ----------------------------------------------------------------------------------


def blocks(document, language):
    found = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENTS[document], re.MULTILINE | re.DOTALL)
    assert found, f"docs/{document}.md has no block of {language}"
    return found


def queries(document, language, comment):
    """What stands between comments and empty lines."""
    for block in blocks(document, language):
        lines = ["" if line.startswith(comment) else line for line in block.splitlines()]
        yield from filter(None, (query.strip() for query in "\n".join(lines).split("\n\n")))


def test_promtool_takes_the_queries_and_they_ask_for_what_there_is(tmp_path):
    documented = {name for cell, *_ in rows("metrics", "# Metrics") for name in names(cell)}
    documented |= {name for cell, *_ in rows("metrics", "## nginx") for name in names(cell)}
    rules = []
    for query in [*queries("observability", "promql", "#"), *queries("metrics", "promql", "#")]:
        asked = set(re.findall(r"\b(?:http_server|fastcgi|responder|process|nginx)_\w+", query))
        unknown = {name for name in asked if not documented & {name, SERIES.sub("", name)}}
        assert not unknown, f"{query}: no metric has that name: {unknown}"
        rules.append({"record": f"query_{len(rules)}", "expr": query})
    file = tmp_path / "rules.yaml"  # JSON is YAML, too
    file.write_text(json.dumps({"groups": [{"name": "documented", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stderr


class Filter:
    """Recognises the query language of Cloud Logging, https://docs.cloud.google.com/logging/docs/view/
    logging-query-language, but for a search for a word alone, which a mistake would be taken for.
    gcloud has no parser for it: the server does that."""

    TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|=~|!~|!=|<=|>=|[=<>:(),]|[\w.*/@-]+|\S')

    def __init__(self, text):
        self.tokens, self.fields = self.TOKENS.findall(text), []
        self.any_of()
        assert not self.tokens, f"{text}: what is {self.tokens}?"

    def next(self, *wanted):
        """Takes the next token, if it is one of these."""
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else None

    def any_of(self):
        self.all_of()
        while self.next("OR"):
            self.all_of()

    def all_of(self):
        self.term()
        while self.next("AND"):
            self.term()

    def term(self):
        self.next("NOT")
        if self.next("("):
            self.any_of()
            return self.expect(")")
        name = self.expect_word()
        if self.next("("):  # log_id("..."), sample(insertId, 0.1)
            assert name in ("log_id", "sample"), name
            self.value()
            while self.next(","):
                self.value()
            return self.expect(")")
        self.fields.append(name)
        self.compare(name)

    def compare(self, name):
        operator = self.next("=", "!=", "<", "<=", ">", ">=", ":", "=~", "!~")
        assert operator, f"{name} is compared with nothing: {self.tokens}"
        if operator in ("=~", "!~"):
            return re.compile(json.loads(self.tokens.pop(0)))
        if self.next("("):
            self.value()
            while self.next("OR", "AND"):
                self.value()
            return self.expect(")")
        value = self.value()
        assert name != "severity" or value in SEVERITIES, value

    def value(self):
        token = self.tokens.pop(0)
        assert re.fullmatch(r'"[^"]*"|[\w.*/@-]+', token), token
        return token

    def expect(self, token):
        assert self.next(token), f"{token} was expected before {self.tokens}"

    def expect_word(self):
        assert self.tokens and re.fullmatch(r"[A-Za-z][\w.]*", self.tokens[0]), self.tokens
        return self.tokens.pop(0)


def test_cloud_logging_s_queries_are_well_formed_and_name_fields_that_there_are():
    filters = [*queries("observability", "sql", "--")]
    for document in ("runbook", "observability"):
        filters += re.findall(r"gcloud logging read '([^']+)'", DOCUMENTS[document])
    assert len(filters) > 12
    fields = {name for cell, *_ in rows("observability", "## Fields") for name in names(cell)}
    for text in filters:
        for field in Filter(text).fields:
            root, _, name = field.partition(".")
            assert root in ("resource", "severity", "trace", "timestamp", "httpRequest", "jsonPayload")
            assert root != "jsonPayload" or name in fields, field


@pytest.mark.parametrize(
    "wrong",
    [
        "severity=>ERROR",
        "severity>=WORSE",
        'jsonPayload.request_id="a" and severity=INFO',
        'jsonPayload.message=~"(" ',
        'jsonPayload.message="a',
        'resource.type="a" AND (severity=INFO',
        "error",
        'jsonPayload.status=="500"',
    ],
)
def test_a_malformed_query_is_found(wrong):
    with pytest.raises((AssertionError, re.error, ValueError, IndexError)):
        Filter(wrong)


def test_jq_takes_the_queries(observed, tmp_path):
    log = tmp_path / "log"
    log.write_text(observed[0].log())
    for block in blocks("observability", "sh"):
        for command in re.findall(r"^jq .*", block, re.MULTILINE):
            done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}: {done.stderr}"
