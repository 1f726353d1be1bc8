"""What the service answers to well-meant requests, and to wrong ones that are still HTTP."""

import re
import subprocess
from xml.etree import ElementTree
from urllib.parse import quote

import pytest
import requests
from client import (
    HTML,
    JSON,
    PROBLEM,
    TEXT,
    ask,
    check_problem,
    parse_page,
    texts,
)
from service import REPOSITORY

FORMATS = {"text": TEXT, "html": HTML, "json": JSON}
ROUTES = ["/", "/favicon.ico", "/robots.txt", "/health", "/ready", "/version"]
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
CHROME = f"{FIREFOX.replace('*/*', 'image/apng,*/*')},application/signed-exchange;v=b3;q=0.7"


def salutation(answer):
    """What a greeting says, out of whichever format it has, the rest of which is checked."""
    assert answer.status == 200, str(answer)
    if answer["Content-Type"] == HTML:
        page = parse_page(answer)
        assert texts(page, "title") == texts(page, "h1"), str(answer)
        return texts(page, "h1")[0]
    if answer["Content-Type"] == JSON:
        assert set(answer.json()) == {"greeting", "name"}, str(answer)
        return answer.json()["greeting"]
    assert answer["Content-Type"] == TEXT and answer.text.endswith("\n"), str(answer)
    return answer.text[:-1]


# --- Formats --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        # no preference
        ([], TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        # one type
        ("text/plain", TEXT),
        ("text/html", HTML),
        ("application/json", JSON),
        ("TEXT/HTML", HTML),
        # wildcards
        ("text/*", TEXT),
        ("application/*", JSON),
        ("image/png, */*;q=0.1", TEXT),
        # quality
        ("text/plain;q=0.5, text/html;q=0.6, application/json;q=0.55", HTML),
        ("text/html;q=0.001, application/json;q=0.002", JSON),
        ("text/html;Q=0.1, application/json;Q=0.2", JSON),
        ("text/html ; q=0.1 , application/json ; q=0.2", JSON),
        # the more specific range decides, wherever it stands
        ("text/plain;q=0, */*", HTML),
        ("*/*, text/plain;q=0, text/html;q=0", JSON),
        ("text/*;q=0.9, text/plain;q=0.1, application/json;q=0.5", HTML),
        ("text/*;q=0, application/json;q=0.001", JSON),
        ("text/html;q=0.2, text/html;charset=utf-8;q=0.9, text/plain;q=0.5", HTML),
        # what is not well-formed is passed over
        ("rubbish, application/json", JSON),
        ("text/html;q=2, application/json;q=0.1", JSON),
        # who is out there
        (FIREFOX, HTML),
        (CHROME, HTML),
        ("application/json, text/plain, */*", TEXT),
        ("application/json, text/javascript, */*; q=0.01", JSON),
    ],
)
def test_accept_chooses_the_format(port, accept, media_type):
    answer = ask(port, Accept=accept)
    assert salutation(answer) == "Hello World"
    assert answer["Content-Type"] == media_type, str(answer)
    assert answer["Vary"] == "Accept, Accept-Language", str(answer)


@pytest.mark.xfail(reason="nginx before 1.23 passes on only the first of several fields")
def test_accept_may_come_in_several_fields(port):
    answer = ask(port, Accept=["image/png", "application/json"])
    assert salutation(answer) == "Hello World" and answer["Content-Type"] == JSON, str(answer)


@pytest.mark.parametrize("accept", [[], "text/html", "application/json;q=0", "image/png", FIREFOX])
@pytest.mark.parametrize("name", FORMATS)
def test_the_parameter_format_wins_over_accept(port, name, accept):
    answer = ask(port, f"/?format={name}", Accept=accept)
    assert salutation(answer) == "Hello World"
    assert answer["Content-Type"] == FORMATS[name], str(answer)
    assert answer["Vary"] == "Accept-Language", str(answer)


@pytest.mark.parametrize(
    "accept", ["image/png", "*/*;q=0", "text/*;q=0, application/json;q=0.000", "text/html;level=1"]
)
def test_nothing_acceptable_is_a_406_that_lists_what_there_is(port, accept):
    answer = ask(port, Accept=accept)
    detail = check_problem(answer, 406)
    for word in ("text/plain", "text/html", "application/json", "?format="):
        assert word in detail, str(answer)
    assert answer["Vary"] == "Accept", str(answer)


# --- Names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        "Ada",
        "Zoë",
        "Ὀδυσσεύς",
        "李小龙",
        "עדה",
        "e\N{COMBINING ACUTE ACCENT}",
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{ROCKET}",
        " a ",
        "a+b c&d=e;f#g/h?i",
        "100%",
        "%41",
        "<script>alert(1)</script>",
        "</title></h1><!-- ",
        "\"'&<>`",
        "&lt;&#39;&amp",
        "\\\"\\u0041\N{LINE SEPARATOR}\\",
        "]]>",
        "x" * 64,
        "𝄞" * 64,
    ],
)
def test_a_name_is_greeted_as_it_is(port, name, form):
    answer = ask(port, f"/?format={form}&name={quote(name, safe='')}")
    assert salutation(answer) == f"Hello {name}", str(answer)
    assert form != "json" or answer.json()["name"] == name, str(answer)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/?name=Ada+Lovelace", "Hello Ada Lovelace"),
        ("/?n%61me=%41da", "Hello Ada"),
        ("/?name=Zo\xeb", "Hello Zo\xeb"),  # as curl sends it
        ("/?", "Hello World"),
        ("/?&name=Ada&", "Hello Ada"),
        ("/?name=a=b", "Hello a=b"),
    ],
)
def test_the_query_is_decoded_once(port, target, said):
    assert salutation(ask(port, target)) == said


@pytest.mark.parametrize("form", FORMATS)
def test_the_greeting_is_what_the_environment_says(start, form):
    service = start(GREETING='Grüß <"Gott">', GREETING_NAME="Wörld & Co")
    answer = ask(service.port, f"/?format={form}")
    assert salutation(answer) == 'Grüß <"Gott"> Wörld & Co', str(answer)
    named = ask(service.port, f"/?format={form}&name=Ada")
    assert salutation(named) == 'Grüß <"Gott"> Ada', str(named)


# --- Requests that make no sense ------------------------------------------------------------

OVER_LONG = quote("é" * 65)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        # not to be decoded
        ("/?name=%", ["name", "%"]),
        ("/?name=%4", ["name", "%"]),
        ("/?name=%zz", ["name", "%"]),
        ("/?%zz=1", ["parameter 1", "%"]),
        ("/?name=a%00b", ["name", "NUL"]),
        ("/?name=a%0Ab", ["name", "control"]),
        ("/?name=%7F", ["name", "control"]),
        ("/?name=%C2%85", ["name", "control"]),
        ("/?name=%1B[31m", ["name", "control"]),
        ("/?name=%EF%BF%BF", ["name", "noncharacter"]),  # HTML forbids them
        ("/?name=%EF%B7%90", ["name", "noncharacter"]),
        ("/?name=%FF", ["name", "UTF-8"]),
        ("/?name=%C0%AF", ["name", "UTF-8"]),  # over-long
        ("/?name=%ED%A0%80", ["name", "UTF-8"]),  # a surrogate
        ("/?name=%F4%90%80%80", ["name", "UTF-8"]),  # beyond U+10FFFF
        ("/?name=%E2%82", ["name", "UTF-8"]),  # cut short
        (b"/?name=\xff", ["name", "UTF-8"]),
        ("/%FF", ["path", "UTF-8"]),
        ("/%0A", ["path", "control"]),
        (b"/\xff", ["path", "UTF-8"]),
        # not to be understood
        (f"/?name={OVER_LONG}", ["name", "64"]),
        ("/?name=", ["name", "empty"]),
        ("/?name", ["name", "empty"]),
        ("/?name=+%20", ["name", "blank"]),
        ("/?name=%E2%80%8B%EF%BB%BF", ["name", "blank"]),
        ("/?name=%E2%80%AEadA", ["name", "direction"]),
        ("/?name=Ada&name=Bob", ["name", "more than once"]),
        ("/?name=Ada&n%61me=Ada", ["name", "more than once"]),
        ("/?format=xml", ["format", "text", "html", "json"]),
        ("/?format=", ["format", "text", "html", "json"]),
        ("/?format=HTML", ["format", "text", "html", "json"]),
        ("/?nmae=Ada", ["nmae", "name", "format"]),
        ("/?=", ["parameter", "name", "format"]),
        ("/?name=Ada;format=html&x", ['"x"', "name", "format"]),
        ("/?<script>", ["<script>", "name", "format"]),
        ("/?" + "&".join(f"p{i}=" for i in range(17)), ["16"]),
        ("/?" + "x" * 4000, ["name", "format"]),
    ],
)
@pytest.mark.parametrize(
    ("form", "accept"), [("text", []), ("html", "text/html"), ("json", "application/json")]
)
def test_a_senseless_request_is_a_400_that_says_which_and_why(port, target, words, form, accept):
    answer = ask(port, target, Accept=accept)
    detail = check_problem(answer, 400, form)
    for word in words:
        assert word in detail, f"{word!r} was expected in the detail: {answer}"
    assert len(detail) < 300, f"a detail that quotes what it should not: {answer}"


@pytest.mark.parametrize("target", ["/%", "/%4", "/%zz", "/%00", "/health%00", "/../", "/%2e%2e/"])
def test_a_path_that_nginx_refuses_is_a_400_too(port, target):
    """nginx does so before it reads the Accept field."""
    check_problem(ask(port, target, Accept="application/json"), 400)


# --- Errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    ["/nope", "//", "/health/", "/Health", "/health%2F", "/x/../health", "/.env", "/-/error"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_unknown_path_is_a_404(port, target, method):
    check_problem(ask(port, target, method), 404)


@pytest.mark.parametrize("target", ["/-/error/", "/-/error/text", "/-/error/json", "/-/error/x"])
def test_the_pages_of_nginxs_errors_cannot_be_asked_for(port, target):
    check_problem(ask(port, target), 404)


@pytest.mark.parametrize(
    ("query", "accept", "form"),
    [
        ("", [], "text"),
        ("", "text/html", "html"),
        ("", FIREFOX, "html"),
        ("", "application/json", "json"),
        ("", "application/problem+json", "json"),
        ("", "text/html;q=0.5, application/problem+json", "json"),
        ("", "image/png", "text"),  # better than nothing
        ("?format=json", "text/html", "json"),
        ("?format=html", "application/json", "html"),
        ("?format=text", "text/html", "text"),
        ("?format=xml", "application/json", "json"),
    ],
)
def test_an_error_has_the_format_that_the_client_prefers(port, query, accept, form):
    answer = ask(port, f"/nope{query}", Accept=accept)
    check_problem(answer, 404, form)
    negotiated = query in ("", "?format=xml")
    assert answer["Vary"] == ("Accept" if negotiated else None), str(answer)


@pytest.mark.parametrize(
    "query", ["name=%&format=json", "%FF&" + 20 * "a=&" + "f%6frmat=json", "format=json&%zz"]
)
def test_the_form_of_an_error_does_not_depend_on_what_the_error_is(port, query):
    answer = ask(port, f"/?{query}", Accept="text/html")
    check_problem(answer, 400, "json")
    assert answer["Vary"] is None, str(answer)


@pytest.mark.parametrize("target", [*ROUTES, "/?name=Ada&format=json"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"])
@pytest.mark.parametrize("body", [b"", b"name=Ada"])
def test_another_method_is_a_405_that_names_the_allowed_ones(port, target, method, body):
    allowed = ask(port, target, "OPTIONS")["Allow"]
    if method in allowed or (body and method in ("TRACE", "CONNECT")):
        return
    answer = ask(port, target, method, body)
    form = "json" if "json" in target else "text"
    assert "GET" in check_problem(answer, 405, form), str(answer)
    assert answer["Allow"] == allowed, str(answer)


@pytest.mark.parametrize("target", ["/", "/version", "/nope"])
@pytest.mark.parametrize("method", ["PROPFIND", "FOO-BAR", "GETS"])
def test_a_method_that_is_not_known_is_a_501(port, target, method):
    answer = ask(port, target, method)
    check_problem(answer, 501)
    assert answer["Allow"] is None, str(answer)


@pytest.mark.parametrize("target", [*ROUTES, "/?name=Ada"])
def test_options_is_a_204_that_names_the_allowed_methods(port, target):
    answer = ask(port, target, "OPTIONS")
    allowed = "GET, HEAD, OPTIONS" + (", POST" if target[:2] in ("/", "/?") else "")
    assert (answer.status, answer["Allow"]) == (204, allowed), str(answer)
    assert answer.body == b"", str(answer)


@pytest.mark.parametrize("accept", [[], "text/html", "application/json", "image/png"])
@pytest.mark.parametrize(
    "target",
    [*ROUTES, "/?name=Ada", "/?format=html", "/nope", "/?name=%FF", "/?x", "/%00", "/-/error/text"],
)
def test_head_answers_with_the_fields_of_get_and_no_body(port, target, accept):
    def head(answer):
        differing = ["Age", "Date", "X-Cache", "X-Request-Id"]
        if answer["X-Request-Id"] != identity:  # refused before nginx came to that field
            differing.append("Content-Length")
        fields = [(name, value) for name, value in answer.fields.items() if name not in differing]
        return answer.status, answer.reason, fields

    identity = "of-both-the-same"
    fields = {"Accept": accept, "X_Request_Id": identity}
    got, without_body = (ask(port, target, method, **fields) for method in ("GET", "HEAD"))
    assert head(without_body) == head(got), f"{got}{without_body}"
    assert without_body.body == b"" and got.body, f"{got}{without_body}"


# --- Caching --------------------------------------------------------------------------------


def test_every_greeting_has_a_strong_tag_of_its_own(port):
    targets = [f"/?format={form}{name}" for form in FORMATS for name in ("", "&name=Ada")]
    tags = {ask(port, target)["ETag"] for target in targets}
    assert all(re.fullmatch(r'"[!#-~]+"', tag or "") for tag in tags), tags
    assert len(tags) == len(targets), f"{targets} have the tags {tags}"
    assert ask(port)["ETag"] == ask(port)["ETag"] == ask(port, "/?format=text")["ETag"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ("*", 304),
        ('"other", {tag}', 304),
        ('"a,b" ,W/"x",{tag}', 304),
        ('"other"', 200),
        ("rubbish", 200),
        ('""', 200),
        ("", 200),
        ("{tag}, rubbish", 200),  # ill-formed, and so all of it counts for nothing
    ],
)
def test_a_tag_that_the_client_has_is_a_304(port, if_none_match, status, method):
    full = ask(port, "/?name=Ada", Accept="text/html")
    answer = ask(
        port,
        "/?name=Ada",
        method,
        Accept="text/html",
        If_None_Match=if_none_match.format(tag=full["ETag"]),
    )
    assert answer.status == status, str(answer)
    for name in ("ETag", "Cache-Control", "Vary"):
        assert answer[name] == full[name], f"{name} differs: {full}{answer}"
    assert answer.body == (full.body if (method, status) == ("GET", 200) else b""), str(answer)


def test_a_tag_of_another_format_or_name_is_no_304(port):
    tag = ask(port, "/?format=text")["ETag"]
    for target in ("/?format=html", "/?format=json", "/?name=Ada"):
        answer = ask(port, target, If_None_Match=tag)
        assert answer.status == 200, str(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("if_match", "if_none_match", "status"),
    [
        ("{tag}", [], 200),
        ("*", [], 200),
        ('"other", {tag}', '"other"', 200),
        ("{tag}", "{tag}", 304),
        ("W/{tag}", [], 412),
        ('"other"', "{tag}", 412),
        ("{tag}, rubbish", [], 412),
    ],
)
def test_if_match_is_judged_first(port, if_match, if_none_match, status, method):
    tag = ask(port, "/?name=Ada")["ETag"]
    fields = {
        name: value.format(tag=tag)
        for name, value in {"If_Match": if_match, "If_None_Match": if_none_match}.items()
        if value
    }
    answer = ask(port, "/?name=Ada", method, **fields)
    assert answer.status == status, str(answer)
    assert status != 412 or method == "HEAD" or check_problem(answer, 412)


@pytest.mark.parametrize("target", ["/nope", "/?x"])
def test_a_condition_changes_no_error(port, target):
    for fields in ({"If_None_Match": "*"}, {"If_Match": '"x"'}):
        plain, conditional = ask(port, target), ask(port, target, **fields)
        assert plain["ETag"] is None, str(plain)
        both = f"{plain}{conditional}"
        assert (conditional.status, conditional.unidentified) == (
            plain.status,
            plain.unidentified,
        ), both


@pytest.mark.parametrize("target", ["/health", "/version"])
def test_what_has_no_tag_is_listed_by_the_asterisk_only(port, target):
    assert ask(port, target)["ETag"] is None
    assert ask(port, target, If_None_Match="*").status == 304
    assert ask(port, target, If_None_Match='"x"').status == 200
    assert ask(port, target, If_Match="*").status == 200
    check_problem(ask(port, target, If_Match='"x"'), 412)


@pytest.mark.parametrize(
    ("target", "cache_control"),
    [
        ("/", "public, max-age=1, stale-while-revalidate=9, stale-if-error=9"),
        ("/?format=json", "public, max-age=1, stale-while-revalidate=9, stale-if-error=9"),
        ("/?name=Ada", "private, no-cache"),
        ("/health", "no-store"),
        ("/ready", "no-store"),
        ("/version", "no-store"),
        ("/nope", "no-store"),
        ("/?x", "no-store"),
    ],
)
def test_shared_caches_may_keep_the_common_greeting_only(port, target, cache_control):
    answer = ask(port, target)
    assert re.fullmatch(cache_control, answer["Cache-Control"]), str(answer)


@pytest.mark.parametrize(
    "fields",
    [
        {"Range": "bytes=0-3"},
        {"If_Modified_Since": "Tue, 24 Nov 2099 02:56:02 GMT"},
        {"If_Unmodified_Since": "Tue, 24 Nov 1999 02:56:02 GMT"},
        {"If_Match": "*", "If_Unmodified_Since": "Tue, 24 Nov 1999 02:56:02 GMT"},
    ],
)
def test_ranges_and_dates_mean_nothing_here(port, fields):
    answer = ask(port, "/?name=Ada", **fields)
    assert salutation(answer) == "Hello Ada", str(answer)


# --- Browsers -------------------------------------------------------------------------------


def test_a_name_may_stand_in_the_path(port):
    answer = ask(port, "/greetings/Zo%C3%AB%2Fb")
    assert (answer.status, answer.text) == (200, "Hello Zoë/b\n"), str(answer)
    assert answer["Cache-Control"] == "private, no-cache", str(answer)
    check_problem(ask(port, "/greetings/%FF"), 400)
    check_problem(ask(port, "/greetings/"), 404)


@pytest.mark.parametrize("target", ["/", "/?name=Ada&format=json", "/?format=xml"])
def test_scripts_of_any_origin_may_read_the_greeting(port, target):
    answer = ask(port, target, Origin="https://example.org")
    assert answer["Access-Control-Allow-Origin"] == "*", str(answer)
    preflight = ask(
        port,
        target,
        "OPTIONS",
        Origin="https://example.org",
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="if-none-match",
    )
    assert preflight.status == 204, str(preflight)
    assert preflight["Access-Control-Allow-Origin"] == "*", str(preflight)
    assert preflight["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS, POST", str(preflight)
    assert preflight["Access-Control-Allow-Headers"] == "*", str(preflight)


@pytest.mark.parametrize("target", ["/health", "/version", "/nope"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_everything_else_is_for_its_own_origin(port, target, method):
    answer = ask(port, target, method, Origin="https://example.org")
    assert answer["Access-Control-Allow-Origin"] is None, str(answer)
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin", str(answer)


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/json"])
def test_errors_of_nginx_have_the_fields_of_the_responders(port, accept):
    """But for those that are about what was asked for or when."""
    answers = [
        ask(port, "/nope", Accept=accept),
        ask(port, "/", body=b"x", Accept=accept),
    ]
    assert [answer.status for answer in answers] == [404, 413], str(answers)
    own = {"Date", "Content-Length", "X-Request-Id"}
    responders, nginxs = ({*map(tuple, answer.fields.items())} for answer in answers)
    assert {f for f in responders if f[0] not in own} == {f for f in nginxs if f[0] not in own}


@pytest.mark.parametrize(
    ("target", "found"),
    [("/", True), ("/health", True), ("/?name=Ada", False), ("/nope", False), ("/?x", False)],
)
def test_what_quotes_its_request_is_not_for_search_engines(port, target, found):
    answer = ask(port, target)
    assert answer["X-Robots-Tag"] == (None if found else "noindex"), str(answer)


# --- The other routes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "said"), [("/health", "ok\n"), ("/ready", "ready\n"), ("/%68ealth", "ok\n")]
)
@pytest.mark.parametrize("accept", [[], "image/png"])
def test_health_and_readiness_are_plain_words_for_everybody(port, target, said, accept):
    answer = ask(port, target, Accept=accept)
    assert (answer.status, answer.text, answer["Content-Type"]) == (200, said, TEXT), str(answer)
    assert answer["Vary"] == ("Accept" if said == "ok\n" else None), str(answer)


def check_version(port, **revision):
    answer = ask(port, "/version")
    assert answer.status == 200 and answer["Content-Type"] == JSON, str(answer)
    told = answer.json()
    commit = told.pop("commit")
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", commit), str(answer)
    version = (REPOSITORY / "VERSION").read_text(encoding="utf-8").strip()
    assert told == {"version": version, **revision}, str(answer)


def test_version_tells_version_and_commit(port):
    check_version(port)


def test_version_tells_the_revision_on_cloud_run(start):
    service = start(K_SERVICE="greeter", K_REVISION="greeter-00001-abc")
    check_version(service.port, service="greeter", revision="greeter-00001-abc")


# --- Languages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "language", "greeting"),
    [
        ([], "en", "Hello Ada"),
        ("de-CH, fr;q=0.5", "de", "Hallo Ada"),
        ("nl, he;q=0.1", "he", "שלום, Ada!"),
        ("en;q=0.5, ja", "ja", "Adaさん、こんにちは！"),
        ("nl", "en", "Hello Ada"),
    ],
)
@pytest.mark.parametrize("form", FORMATS)
def test_it_greets_in_the_language_that_the_client_wants(port, asked, language, greeting, form):
    answer = ask(port, f"/?name=Ada&format={form}", Accept_Language=asked)
    assert (salutation(answer), answer["Content-Language"]) == (greeting, language), str(answer)
    chosen = ask(port, f"/?name=Ada&format={form}&lang={language}", Accept_Language="fr")
    assert (salutation(chosen), chosen["Content-Language"]) == (greeting, language), str(chosen)
    assert (answer["Vary"], chosen["Vary"]) == ("Accept-Language", None), f"{answer}{chosen}"


def test_a_page_says_its_language_and_direction_and_links_the_others(port):
    page = parse_page(ask(port, "/?format=html", Accept_Language="ar-EG"))
    assert (page.get("lang"), page.get("dir")) == ("ar", "rtl")
    for link in page.findall(".//nav/a"):
        language = link.get("lang")
        other = parse_page(ask(port, link.get("href"), Accept="text/html"))
        assert other.get("lang") == language == link.get("hreflang")
        current = [one.get("lang") for one in other.findall(".//nav/a[@aria-current='true']")]
        assert current == [language]


def test_what_the_operator_has_set_holds_in_all_languages(start):
    service = start(GREETING="Moin", GREETING_NAME="Ada")
    assert {ask(service.port, Accept_Language=one).text for one in ("de", "ja")} == {"Moin Ada\n"}
    service = start(GREETING_NAME="Ada")
    assert ask(service.port, Accept_Language="ja").text == "Adaさん、こんにちは！\n"
    service = start(GREETING="Moin")
    assert ask(service.port, Accept_Language="de").text == "Moin Welt\n"


def test_a_page_tells_version_revision_and_region(start):
    def facts(port):
        page = parse_page(ask(port, "/?format=html&lang=de"))
        return dict(zip(texts(page, "dt"), texts(page, "dd")))

    version = (REPOSITORY / "VERSION").read_text(encoding="utf-8").strip()
    assert facts(start().port) == {"Version": version}
    service = start(K_REVISION="greeter-1", REGION="europe-west6")
    expected = {"Version": version, "Revision": "greeter-1", "Region": "europe-west6"}
    assert facts(service.port) == expected


def test_there_is_an_icon_and_a_file_for_robots(port):
    icon, robots = ask(port, "/favicon.ico"), ask(port, "/robots.txt")
    assert (icon.status, icon["Content-Type"]) == (200, "image/svg+xml"), str(icon)
    ElementTree.fromstring(icon.text)
    assert (robots.status, robots["Content-Type"]) == (200, TEXT), str(robots)
    assert "User-agent: *\n" in robots.text, str(robots)
    for answer, path in ((icon, "/favicon.ico"), (robots, "/robots.txt")):
        assert ask(port, path, If_None_Match=answer["ETag"]).status == 304


# --- Other people's clients -----------------------------------------------------------------


def test_curl_gets_text(service):
    got = subprocess.run(
        ["curl", "-sS", "-w", "%{content_type}", service.url], capture_output=True, text=True
    )
    assert (got.stdout, got.stderr) == (f"Hello World\n{TEXT}", "")


def test_a_session_of_requests_keeps_its_connection(service):
    with requests.Session() as session:
        for name in ("Ada", "Zoë", "李小龙"):
            answer = session.get(service.url, params={"name": name, "format": "json"}, timeout=5)
            assert answer.json() == {"greeting": f"Hello {name}", "name": name}
        problem = session.get(f"{service.url}/nope", headers={"Accept": "application/json"})
        assert problem.headers["Content-Type"] == PROBLEM and problem.status_code == 404
        pools = session.adapters["http://"].poolmanager.pools
        assert [pools[key].num_connections for key in pools.keys()] == [1]
