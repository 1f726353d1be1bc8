"""The responder behind other web servers: Apache and lighttpd speak FastCGI to it, and lighttpd
runs it as a CGI program. Each answers a table of requests as nginx does."""

import getpass
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from client import FORM_TYPE, Connection, request
from service import BASE_ENVIRONMENT, RESPONDER, end, port_of, process_table, reserve_port
from service import make_directory, wait_until

pytestmark = pytest.mark.native

ROOT = os.geteuid() == 0
USER = "www-data" if ROOT else getpass.getuser()  # as whom the servers and the responder run

APACHE = """
ServerRoot "{directory}"
ServerName localhost
Listen 127.0.0.1:{port}
PidFile "{directory}/apache.pid"
DefaultRuntimeDir "{directory}"
ErrorLog "{directory}/error.log"
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
{user}
AllowEncodedSlashes NoDecode
ProxyPass "/" "unix:{directory}/responder.sock|fcgi://localhost/"
"""

LIGHTTPD = """
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{directory}"
server.errorlog = "{directory}/error.log"
server.upload-dirs = ("{directory}")
server.http-parseopts = ("url-normalize" => "enable", "url-invalid-utf8-reject" => "disable")
{user}
"""

LIGHTTPD_FASTCGI = (
    LIGHTTPD
    + """
server.modules = ("mod_fastcgi")
fastcgi.server = ("/" => ((
    "socket" => "{directory}/responder.sock", "check-local" => "disable"
)))
"""
)

LIGHTTPD_CGI = (
    LIGHTTPD
    + """
server.modules = ("mod_alias", "mod_cgi", "mod_setenv")
alias.url = ("/" => "{directory}/responder.cgi/")
cgi.assign = (".cgi" => "")
"""
)

SERVERS = {
    "Apache": (["apache2", "-DFOREGROUND", "-f"], APACHE, "User {0}\nGroup {0}"),
    "lighttpd": (
        ["lighttpd", "-D", "-f"],
        LIGHTTPD_FASTCGI,
        'server.username = "{0}"\nserver.groupname = "{0}"',
    ),
    "lighttpd with CGI": (
        ["lighttpd", "-D", "-f"],
        LIGHTTPD_CGI,
        'server.username = "{0}"\nserver.groupname = "{0}"',
    ),
}

# What reaches the responder whoever stands in front. Each names its own way to refuse the rest.
REQUESTS = [
    ("GET", "/", {}),
    ("GET", "/", {"Accept": "text/html"}),
    ("GET", "/", {"Accept": "text/html;q=0.5, application/json"}),
    ("GET", "/", {"Accept": "image/png"}),
    ("GET", "/", {"If_None_Match": "*"}),
    ("GET", "/?format=html", {"Accept": "application/json"}),
    ("GET", "/?name=Ada", {}),
    ("GET", "/?name=Ada", {"If_None_Match": '"other"'}),
    ("GET", "/?name=%E6%9D%8E+%26%3D%25%2B%3Cb%3E&format=html", {}),
    ("GET", "/?n%61me=%41da", {}),
    ("GET", "/?", {}),
    ("GET", "/?name=", {}),
    ("GET", "/?name=a&name=b", {}),
    ("GET", "/?name=" + 65 * "x", {"Accept": "application/json"}),
    ("GET", "/?name=%FF", {}),
    ("GET", "/?name=%zz", {}),
    ("GET", "/?format=xml", {"Accept": "text/html"}),
    ("GET", "/health", {}),
    ("GET", "/%68ealth", {}),
    ("GET", "/ready", {}),
    ("GET", "/version", {}),
    ("GET", "/nope", {}),
    ("GET", "/nope", {"Accept": "text/html"}),
    ("GET", "/health/", {}),
    ("GET", "/health/../version", {}),
    ("GET", "/one%2Fx//y?env", {}),
    ("GET", "//", {}),
    ("GET", "/" + 4000 * "x", {}),
    ("HEAD", "/", {}),
    ("HEAD", "/nope", {"Accept": "application/json"}),
    ("OPTIONS", "/", {}),
    ("OPTIONS", "/nope", {}),
    ("PUT", "/version", {"body": b"hello"}),
    ("PUT", "/version", {"body": 10000 * b"x", "Accept": "application/json"}),
    ("PUT", "/health", {"body": b"hello"}),
    ("DELETE", "/version", {}),
    ("GET", "/", {"Proxy": "http://evil.example"}),
    ("POST", "/", {"Content_Length": "0"}),
    ("POST", "/", {"body": b"name=Ada+L.", "Content_Type": FORM_TYPE}),
    ("POST", "/", {"body": b"name=Ada", "Content_Type": FORM_TYPE, "Expect": "100-continue"}),
    ("POST", "/?format=json", {"body": '{"name":"日本"}'.encode(), "Content_Type": "application/json"}),
    ("POST", "/", {"body": b'{"name":', "Content_Type": "application/json"}),
    ("POST", "/", {"body": b"name=", "Content_Type": FORM_TYPE, "Accept": "text/html"}),
    ("POST", "/", {"body": b"Ada", "Content_Type": "text/plain"}),
    ("POST", "/", {"body": b"Ada"}),
    ("POST", "/", {"body": b"name=Ada", "Content_Type": FORM_TYPE, "Content_Encoding": "gzip"}),
    ("POST", "/", {"body": 4096 * b"&", "Content_Type": FORM_TYPE}),
    ("POST", "/", {"body": 4097 * b"&", "Content_Type": FORM_TYPE}),
    ("POST", "/", {"chunks": [b"name=", b"Ada"], "Content_Type": FORM_TYPE}),
    ("POST", "/", {"chunks": [65000 * b"&"], "Content_Type": FORM_TYPE}),
]


class Front:
    """A web server with the responder behind it."""

    def __init__(self, command, template, user):
        self.directory = make_directory()
        os.chmod(self.directory, 0o755)
        self.holder = reserve_port()
        self.port = port_of(self.holder)
        shutil.copy(RESPONDER, f"{self.directory}/responder.cgi")
        configuration = f"{self.directory}/server.conf"
        with open(configuration, "w", encoding="utf-8") as file:
            names = {"directory": self.directory, "port": self.port}
            file.write(template.format(user=user.format(USER) if ROOT else "", **names))
        if ROOT:
            shutil.chown(self.directory, USER)
        as_user = ["-u", USER, "-g", USER, "-U", USER] if ROOT else []
        spawn = ["spawn-fcgi", "-n", "-s", f"{self.directory}/responder.sock", *as_user, "--"]
        self.log = open(f"{self.directory}/log", "w+", encoding="utf-8")
        self.programs = [
            self.start([*spawn, f"{self.directory}/responder.cgi"]),
            self.start([*command, configuration]),
        ]

    def start(self, command):
        environment = {**BASE_ENVIRONMENT, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.Popen(
            command,
            env={**environment, "LOG_LEVEL": "warning"},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def wait_ready(self):
        def answers():
            try:
                with Connection(self.port) as connection:
                    connection.send(request("/ready"))
                    return connection.answer().status == 200
            except OSError:
                return False

        wait_until(answers, 10, lambda: f"it answers; it said:\n{self.said('log', 'error.log')}")
        return self

    def said(self, *names):
        texts = [pathlib.Path(self.directory, name) for name in names]
        return "".join(text.read_text(encoding="utf-8") for text in texts if text.exists())

    def end(self):
        for program in self.programs:
            program.terminate()
        sessions = {program.pid for program in self.programs}
        try:
            for program in self.programs:
                program.wait(10)
            assert not self.said("log"), f"it said:\n{self.said('log')}"
        finally:
            end(lambda: [one for one in process_table() if one.session in sessions])
            for program in self.programs:
                program.wait()
            self.log.close()
            self.holder.close()
            shutil.rmtree(self.directory)


@pytest.fixture(scope="module", params=SERVERS)
def front(request):
    server = Front(*SERVERS[request.param])
    try:
        yield server.wait_ready()
    finally:
        server.end()


FIELDS = ["Content-Type", "Cache-Control", "ETag", "Vary", "Allow", "Content-Security-Policy"]
FIELDS += ["Referrer-Policy", "X-Content-Type-Options"]


def value(answer, name):
    """The field's value; Apache writes the list in Vary without its spaces."""
    return answer[name] and re.sub(r",\s*", ", ", answer[name])


def answer_from(port, method, target, fields):
    chunks = fields.pop("chunks", [])
    if chunks:
        fields = {**fields, "Transfer_Encoding": "chunked"}
    with Connection(port) as connection:
        connection.send(request(target, method, Connection="close", **fields))
        connection.send(b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""] if chunks))
        return connection.answer(method)


@pytest.mark.parametrize(("method", "target", "fields"), REQUESTS)
def test_it_answers_as_behind_nginx(front, port, method, target, fields):
    there, here = (answer_from(at, method, target, dict(fields)) for at in (front.port, port))
    both = f"nginx: {here}there: {there}"
    assert (there.status, there.unidentified) == (here.status, here.unidentified), both
    for name in FIELDS:
        assert value(there, name) == value(here, name), f"{name} differs. nginx: {here}there: {there}"
