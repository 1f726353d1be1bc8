"""What holds for each route of fcgi-app/routes.def by itself, through the front door: a new one has its
place here without a word."""

import re
from pathlib import Path

import pytest
from client import FORM_TYPE, ask, check_problem

TABLE = (Path(__file__).parents[2] / "fcgi-app" / "routes.def").read_text(encoding="utf-8")
TABLE = re.sub(r"/\*.*?\*/", "", TABLE, flags=re.DOTALL)
for name, text in re.findall(r"#define (\w+) (.+)", TABLE):
    TABLE = re.sub(rf"\b{name}\b", lambda _, text=text: text, TABLE)
ROUTES = [
    (re.sub(r"\{\w+\}", "Ada", path), re.findall(r"\w+", methods), line)
    for line, path, methods in re.findall(
        r'^(ROUTE\(\w+, \.path = "([^"]+)", \.methods = ([A-Z| ]+).*)$', TABLE, re.MULTILINE
    )
]
# Whoever adds a route to these has thought of what its answers depend on (docs/reliability.md).
KEPT_BY_NGINX = {"/"}
KEPT_BY_CLIENTS = {"/", "/greetings/Ada", "/favicon.ico", "/robots.txt"}
each_route = pytest.mark.parametrize(("path", "methods", "line"), ROUTES)


def test_the_table_was_understood():
    assert len(ROUTES) == len(re.findall(r"^ROUTE\(", TABLE, re.MULTILINE)) > 4


@each_route
def test_allow_is_what_the_table_says(port, path, methods, line):
    """HEAD comes with GET, and OPTIONS everywhere; all others are a 405."""
    expected = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    allow = ask(port, path, "OPTIONS")["Allow"]
    assert set(allow.split(", ")) == expected
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - expected:
        answer = ask(port, path, method)
        check_problem(answer, 405)
        assert answer["Allow"] == allow, str(answer)


@each_route
def test_nothing_is_kept_unless_the_route_says_so(port, path, methods, line):
    for method in methods:
        answers = [ask(port, path, method) for _ in range(2)]
        for answer in answers:
            assert answer.status < 500, str(answer)
            if method != "GET" or path not in KEPT_BY_CLIENTS:
                assert answer["Cache-Control"] == "no-store", str(answer)
            if path not in KEPT_BY_NGINX:
                assert answer["X-Cache"] is None, str(answer)


@each_route
def test_only_what_says_so_is_for_every_origin(port, path, methods, line):
    answer = ask(port, path, methods[0], Origin="https://example.org")
    public = ".is_public = true" in line
    assert answer["Access-Control-Allow-Origin"] == ("*" if public else None), str(answer)


@each_route
def test_a_body_is_for_routes_that_take_one(port, path, methods, line):
    takes = re.search(r"\.body_max = (\d+)", line)
    for method in {"POST", "PUT", "PATCH"} & {*methods}:
        answer = ask(port, path, method, (int(takes[1]) + 1) * b"&" if takes else b"&", Content_Type=FORM_TYPE)
        assert (answer.status == 413) == bool(takes), str(answer)
        answer = ask(port, path, method, b"x", Content_Type="image/png")
        assert (answer.status == 415) == bool(takes), str(answer)
