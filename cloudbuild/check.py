"""Checks what a running service answers: its version, greetings, health, and its errors' shape.

usage: check.py URL COMMIT

Needs Python 3.8, which the builder image of Docker has.
"""

import json
import urllib.error
import urllib.request

from command_line import Failure, Parser, finish

TIMEOUT = 10  # seconds for one answer, a cold start included
TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
PROBLEM = "application/problem+json; charset=utf-8"


class Wrong(Failure):
    """An answer that is not what it has to be."""


class NoAnswer(Wrong):
    """No answer at all."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The service never redirects: where a redirect leads, something else answers."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirects)


def ask(method, url, fields, form=None):
    """Returns status, media type and body of the answer. form: the body of the request, encoded."""
    request = urllib.request.Request(url, form, fields, method=method)
    try:
        with OPENER.open(request, timeout=TIMEOUT) as response:
            return response.status, response.headers["Content-Type"], response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{method} {url} got no answer: {error}")


def has(body, expected):
    """Whether a body is these bytes, or a JSON object that has these members, others aside."""
    if isinstance(expected, bytes):
        return body == expected
    try:
        return json.loads(body).items() >= expected.items()
    except (ValueError, AttributeError):
        return False


def check(url, commit, revision=None, greeting="Hello", name="World", fields=None):
    """Raises Wrong at the first answer of the service at url that is not right. The fields go with
    every request; revision is the one that has to answer, if it matters. Returns the number of
    requests."""
    version = {"commit": commit, **({"revision": revision} if revision else {})}
    not_found = {"type": "about:blank", "title": "Not Found", "status": 404}
    not_allowed = {"type": "about:blank", "title": "Method Not Allowed", "status": 405}
    questions = [
        ("GET", "/version", "application/json", 200, JSON, version),
        ("GET", "/", "text/plain", 200, TEXT, f"{greeting} {name}\n".encode()),
        ("GET", "/?name=Ada", "application/json", 200, JSON, {"greeting": f"{greeting} Ada"}),
        ("GET", "/health", "text/plain", 200, TEXT, b"ok\n"),
        ("GET", "/no-such-page", "application/json", 404, PROBLEM, not_found),
        ("PUT", "/", "application/json", 405, PROBLEM, not_allowed),
        ("POST", "/", "text/plain", 200, TEXT, f"{greeting} Ada\n".encode(), b"name=Ada"),
    ]
    for method, path, accept, status, media_type, body, *form in questions:
        came = ask(method, url + path, {**(fields or {}), "Accept": accept}, *form)
        if came[:2] != (status, media_type) or not has(came[2], body):
            raise Wrong(
                f"{method} {url}{path} was to be answered {status} {media_type} {body!r}, and was"
                f" answered {came[0]} {came[1]} {came[2][:300]!r}"
            )
    return len(questions)


def main(url, commit):
    print(f"{check(url, commit)} answers are right")


if __name__ == "__main__":
    parser = Parser(__doc__)
    parser.require("url", "commit")
    finish(main, **vars(parser.parse_args()))
