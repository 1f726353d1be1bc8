"""HTTP as the tests speak it: answers that are checked, connections that send what they are told,
and clients in numbers."""

import base64
import contextlib
import hashlib
import http.client
import io
import json
import re
import socket
import threading
import time

import html5lib

TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

ICON = "image/svg+xml"
FORM_TYPE = "application/x-www-form-urlencoded"
TEXT, HTML, JSON, PROBLEM = (
    f"{media_type}; charset=utf-8"
    for media_type in ("text/plain", "text/html", "application/json", "application/problem+json")
)
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self'; style-src 'sha256-{}'"
)


# What must never be taken for a request of its own.
SMUGGLED = b"GET /?name=smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

REQUEST_ID = "[A-Za-z0-9._-]{8,64}"


class Answer:
    """One response. As text it says what was sent and what came, for messages."""

    def __init__(self, sent, response):
        self.sent = sent
        self.status, self.reason = response.status, response.reason
        self.fields = response.msg
        self.body = response.read()

    def __repr__(self):
        fields = "".join(f"\n  {name}: {value}" for name, value in self.fields.items())
        return (
            f"\nsent: {shorten(self.sent)}"
            f"\ncame: {self.status} {self.reason}{fields}\n\n  {shorten(self.body)}\n"
        )

    def __getitem__(self, name):
        """The value of a header field, None when there is none."""
        values = self.fields.get_all(name, [])
        assert len(values) < 2, f"{name} is there {len(values)} times: {self}"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode()

    @property
    def unidentified(self):
        """The body without the request's id, which is each time another one."""
        line = rf"\n(<p>)?Request: (<code>)?{REQUEST_ID}(</code></p>)?"
        return re.sub(rf'{line}|,"request_id":"{REQUEST_ID}"', "", self.text)

    def json(self):
        return json.loads(self.body)


def shorten(data):
    return repr(data) if len(data) < 1000 else f"{data[:500]!r}...({len(data)} bytes)"


class Connection:
    """One connection to the service, for requests byte by byte and for one answer at a time."""

    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.reader = io.BufferedReader(self.socket.makefile("rb", buffering=0))
        self.sent = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def makefile(self, _):
        """For http.client: a reader whose end is not the connection's."""
        return Borrowed(self.reader)

    def send(self, data):
        """Sends bytes. A server that has closed already is seen when its answer is read."""
        self.sent += data
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            self.socket.sendall(data)

    def begins_to_answer(self):
        """Whether at least one byte comes."""
        try:
            return self.reader.peek(1) != b""
        except ConnectionError:
            return False

    def answer(self, method="GET"):
        """The next answer, whole, or an exception of http.client or socket."""
        response = http.client.HTTPResponse(self, method=method)
        response.begin()
        return Answer(self.sent, response)

    def rest(self):
        """Everything up to the end of the connection."""
        with contextlib.suppress(ConnectionResetError):
            return self.reader.read()
        return b""


class Borrowed(io.BufferedIOBase):
    """A reader that is not closed when this one is."""

    def __init__(self, reader):
        super().__init__()
        self.read, self.readline, self.readinto = reader.read, reader.readline, reader.readinto
        self.flush = lambda: None


def request(target, method="GET", body=b"", **fields):
    """The bytes of a well-formed request. Underscores in names of fields stand for hyphens; a list
    is a field that comes more than once."""
    lines = [f"{method} ".encode() + encode(target) + b" HTTP/1.1"]
    for name, values in {"Host": "localhost", **fields}.items():
        for value in values if isinstance(values, list) else [values]:
            lines.append(name.replace("_", "-").encode() + b": " + encode(value))
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def head(line, *fields, host=b"Host: localhost"):
    """The head of a request, well-formed or not."""
    lines = [line, *([host] if host else []), *fields]
    return b"\r\n".join(encode(text) for text in [*lines, "", ""])


def encode(text):
    return text if isinstance(text, bytes) else text.encode()


def exchange(port, data, method="GET"):
    """The one answer to bytes that make the server close, or that say Connection: close."""
    with Connection(port) as connection:
        connection.send(data)
        answer = connection.answer(method)
        assert answer["Connection"] == "close", str(answer)
        with contextlib.suppress(OSError):  # for a server that waits for the rest of a body
            connection.socket.shutdown(socket.SHUT_WR)
        more = connection.rest()
        assert not more, f"{answer} was followed by {shorten(more)}"
        return check(answer, method)


def ask(port, target="/", method="GET", body=b"", **fields):
    """The answer to a request on a connection of its own."""
    data = request(target, method, body, Connection="close", **fields)
    return exchange(port, data, method)


# --- What holds for every answer ------------------------------------------------------------


def policy_of(answer):
    """A page's allows the style that it has, by its hash (CSP 3, section 8.3)."""
    style = re.search(b"<style>(.*)</style>", answer.body, re.DOTALL)
    if style and answer["Content-Type"] == HTML:
        return PAGE_POLICY.format(base64.b64encode(hashlib.sha256(style[1]).digest()).decode())
    said = answer["Content-Security-Policy"]
    of_page = said.startswith(PAGE_POLICY.partition("{")[0])
    return said if of_page and not answer.body else POLICY  # of HEAD, or a 304


def check(answer, method="GET"):
    """Returns the answer when it has what every answer has to have."""
    assert answer["Content-Security-Policy"] == policy_of(answer), str(answer)
    assert answer["X-Content-Type-Options"] == "nosniff", str(answer)
    assert answer["Referrer-Policy"] == "no-referrer", str(answer)
    assert answer["Cache-Control"], str(answer)
    assert answer["Server"] == "nginx", f"a server that tells its version: {answer}"
    assert b"<center>" not in answer.body, f"nginx's stock page: {answer}"
    assert answer["Transfer-Encoding"] is None, str(answer)
    assert answer["Vary"] in ("Accept", "Accept-Language", "Accept, Accept-Language", None), str(answer)
    assert answer["X-Cache"] in ("HIT", "MISS", "STALE", None), str(answer)
    if answer.status in (204, 304):
        assert answer["Content-Type"] is None, str(answer)
        assert answer["Content-Length"] is None, str(answer)
    else:
        assert answer["Content-Type"] in (TEXT, HTML, JSON, PROBLEM, ICON), str(answer)
        length = answer["Content-Length"]
        assert length and (method == "HEAD" or int(length) == len(answer.body)), str(answer)
    return answer


def parse_page(answer):
    """The root of an HTML page that has no parse error, and that is as small as it was promised."""
    assert answer["Content-Type"] == HTML, str(answer)
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    assert len(answer.body) < 10000, f"{len(answer.body)} bytes"
    return parser.parse(answer.body, transport_encoding="utf-8")


def texts(root, tag):
    """The texts of all elements of that kind in a page."""
    return ["".join(element.itertext()) for element in root.iter(tag)]


def check_problem(answer, status, form="text"):
    """Returns the detail of an error answer that has the service's shape in this form."""
    assert answer.status == status, f"{status} was expected: {answer}"
    assert answer["Cache-Control"] == "no-store" and answer["ETag"] is None, str(answer)
    title = TITLES[status]
    if form == "json":
        assert answer["Content-Type"] == PROBLEM, str(answer)
        problem = answer.json()
        detail, identity = problem.pop("detail"), problem.pop("request_id", None)
        assert problem == {"type": "about:blank", "title": title, "status": status}, str(answer)
    elif form == "html":
        page = parse_page(answer)
        whole = [f"{status} {title}"]
        assert texts(page, "title") == texts(page, "h1") == whole, str(answer)
        assert page.get("lang") == "en" and page.find(".//a").get("href") == "/", str(answer)
        detail = texts(page, "p")[0]
        identity = next(iter(texts(page, "code")), None)
        assert texts(page, "p")[2:] == ([f"Request: {identity}"] if identity else []), str(answer)
    else:
        assert answer["Content-Type"] == TEXT, str(answer)
        head, detail, *quoted, end = answer.text.split("\n")
        identity = quoted[0].removeprefix("Request: ") if quoted else None
        assert quoted in ([], [f"Request: {identity}"]), str(answer)
        assert (head, end) == (f"{status} {title}", ""), str(answer)
    assert identity is None or re.fullmatch(REQUEST_ID, identity), str(answer)
    assert detail.endswith("."), f"the detail is no sentence: {answer}"
    return detail


# --- Clients in numbers ---------------------------------------------------------------------


class Load:
    """Clients that each send one GET after the other on a kept connection, and count.

    refused: connections that could not be made.
    unanswered: requests that got not one byte on a new connection. On a kept one, which the server
    may have closed meanwhile, they are tried once more, on a new one.
    failures: answers that broke off or were not the greeting.
    """

    def __init__(self, port, clients):
        self.port = port
        self.answered, self.refused, self.unanswered, self.failures = 0, 0, 0, []
        self.stopping, self.lock = False, threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def __repr__(self):
        return (
            f"{self.answered} answered, {self.refused} refused, {self.unanswered} unanswered, "
            f"{len(self.failures)} failures: {''.join(self.failures[:2])}"
        )

    def count(self, name, value=1):
        with self.lock:
            setattr(self, name, getattr(self, name) + value)

    def run(self):
        while not self.stopping:
            try:
                connection = Connection(self.port)
            except OSError:
                self.count("refused")
                time.sleep(0.01)
                continue
            with connection:
                self.run_on(connection)

    def run_on(self, connection):
        kept = False
        while not self.stopping and self.get(connection, kept):
            kept = True

    def get(self, connection, kept):
        """Sends one request. Returns whether the connection is of use for another one."""
        connection.sent = b""
        connection.send(request("/"))
        try:
            if not connection.begins_to_answer():
                self.count("unanswered", 0 if kept else 1)
                return False
            answer = connection.answer()
        except (OSError, http.client.HTTPException) as error:
            self.count("failures", [f"broken off: {error!r}"])
            return False
        if answer.status == 200 and answer.body == b"Hello World\n":
            self.count("answered")
        else:
            self.count("failures", [str(answer)])
        return answer["Connection"] != "close"
