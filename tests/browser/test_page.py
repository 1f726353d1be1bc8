"""The pages as a visitor has them, in a real browser, from the service behind nginx."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from service import REPOSITORY, wait_until

DEFINED = Path(REPOSITORY, "fcgi-app/languages.def").read_text("utf-8")
LANGUAGES = dict(re.findall(r'^LANGUAGE\("([\w-]+)", "(ltr|rtl)"', DEFINED, re.MULTILINE))
NAMES = {
    "letters": "W" * 64,
    "emoji": "🎉" * 64,
    "words": "Wilhelmina Wilhelmina Wilhelmina Wilhelmina Wilhelmina Wilhelmin",
    "arabic": "ليلى" * 16,
    "markup": "&" * 64,
}
WINDOWS = [(320, 568), (375, 812), (768, 1024), (812, 375), (1280, 800), (1920, 1080)]
ERRORS = ["400", "404", "405", "413"]  # the last one is nginx's own

# From above, those of what stands one below the other.
EDGES = """
const disc = getComputedStyle(document.body, "::before"), of = text => parseFloat(text);
return [of(disc.top), of(disc.top) + of(disc.height), ...["h1", "main > :last-child", "footer"]
    .map(selector => document.querySelector(selector).getBoundingClientRect())
    .flatMap(box => [box.top, box.bottom])];
"""

# What only a page that somebody has tampered with would send.
POST = """
const [form] = document.forms;
form.elements.name.removeAttribute("maxlength");
form.elements.name.value = "x".repeat(arguments[1]);
Object.assign(form, {method: "post", action: arguments[0]}).submit();
"""

SPOIL = """
const [done] = arguments;
const image = new Image(), text = document.createElement("p");
text.textContent = "pale";
Object.assign(text.style, {color: "#eee", minWidth: "150vw"});
document.querySelector("main").append(image, text);
addEventListener("securitypolicyviolation", () => setTimeout(done));
image.src = "http://localhost:9/";
"""


def target_of(name):
    return f"/?name={quote(name)}"


def visit_error(browser, service, status):
    browser.statuses.append(status)
    if status in ("400", "404"):
        return browser.visit(service.url + {"400": "/?name=", "404": "/nope"}[status])
    browser.visit(service.url)
    path, size = {"405": ("/version", 1), "413": ("/", 70_000)}[status]
    browser.driver.execute_script(POST, path, size)
    return wait_until(lambda: browser.text("h1").startswith(status), 15, "the answer is there")


def test_the_languages_are_understood():
    assert len(LANGUAGES) == DEFINED.count("\nLANGUAGE(") and set(LANGUAGES.values()) == {"ltr", "rtl"}


# --- The form -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name", "said"),
    [
        ("/", "Ada Lovelace", "Hello Ada Lovelace"),
        ("/", "<b>\"&amp;'+%41</b>", "Hello <b>\"&amp;'+%41</b>"),
        ("/", "🎉" * 64, f"Hello {'🎉' * 64}"),
        ("/?lang=ja", "さくら", "さくらさん、こんにちは！"),
    ],
    ids=["words", "markup", "emoji", "japanese"],
)
def test_the_form_greets_by_name_without_scripts_and_mouse(browser, service, target, name, said):
    browser.runs_scripts(False)
    browser.visit(service.url + target)
    browser.press("Tab")
    browser.type(name)
    browser.press("Enter")
    wait_until(lambda: browser.text("h1") == said, 15, lambda: f"{said} is said: {browser.text('h1')}")
    assert browser.look("matchMedia('(scripting: none)').matches")
    assert browser.look("document.title") == said
    assert browser.look("document.documentElement.lang") == ("ja" if "ja" in target else "en")


@pytest.mark.parametrize(
    ("character", "count", "fits"), [("x", 0, False), ("x", 64, True), ("x", 65, False), ("🎉", 64, True)]
)
def test_the_form_knows_how_long_a_name_may_be(browser, service, character, count, fits):
    browser.visit(service.url)
    browser.press("Tab")
    browser.type(character * count)
    assert browser.look("document.forms[0].checkValidity()") == fits


def test_each_control_is_reached_by_keyboard_and_shows_it(browser, service):
    browser.visit(service.url)
    reached = []
    for _ in range(2 + len(LANGUAGES)):
        browser.press("Tab")
        reached.append(browser.look("document.activeElement.lang || document.activeElement.localName"))
        outline = browser.look("getComputedStyle(document.activeElement).outline")
        assert "solid 3px" in outline, (reached, outline)
    assert reached == ["input", "button", *LANGUAGES]


# --- What it looks like -----------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "/nope"])
def test_it_is_light_or_dark_as_the_visitor_prefers(browser, service, target):
    lightness = {}
    for scheme in ("light", "dark"):
        browser.prefers(scheme)
        browser.visit(service.url + target)
        colour = browser.look("getComputedStyle(document.body).backgroundColor")
        lightness[scheme] = sum(map(int, re.findall(r"\d+", colour))) / (3 * 255)
    browser.statuses = ["404"] * 2 if target == "/nope" else []
    assert lightness["light"] > 0.9 and lightness["dark"] < 0.1, lightness


def check_fits(browser):
    """Nothing is cut off, and the disc, the greeting, what stands below it and the footer do not touch."""
    for width, height in WINDOWS:
        browser.has_window(width, height)
        assert browser.look("document.documentElement.scrollWidth") == width
        assert browser.beyond() == [], width
        edges = browser.driver.execute_script(EDGES)
        assert edges == sorted(edges), f"{width}: parts overlap: {edges}"
    assert browser.look("performance.getEntriesByType('navigation')[0].decodedBodySize") < 10000


@pytest.mark.parametrize("name", NAMES)
def test_the_longest_names_fit_every_window(browser, service, name):
    browser.visit(service.url + target_of(NAMES[name]))
    assert NAMES[name] in browser.text("h1")
    check_fits(browser)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_fits_every_window(browser, service, language):
    browser.visit(f"{service.url}/?lang={language}")
    check_fits(browser)


@pytest.mark.parametrize("error", ERRORS)
def test_each_error_fits_every_window(browser, service, error):
    visit_error(browser, service, error)
    check_fits(browser)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_written_in_the_direction_of_the_visitor_s_language(browser, service, language):
    browser.prefers(language=f"{language}, en;q=0.5")
    browser.visit(f"{service.url}/?name=Ada")
    root = browser.look("[document.documentElement.lang, document.documentElement.dir]")
    assert root == [language, LANGUAGES[language]]
    direction, name_direction, field, button = browser.look(
        "[getComputedStyle(document.body).direction, getComputedStyle(document.querySelector('bdi')).direction,"
        "...['input', 'button'].map(name => document.querySelector(name).getBoundingClientRect().left)]"
    )
    assert (direction, name_direction) == (LANGUAGES[language], "ltr")
    assert (field < button) == (direction == "ltr")


# --- Errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_looks_like_the_greeting_and_leads_back_to_it(browser, service, error):
    style = "['color', 'background', 'font'].map(name => getComputedStyle(document.body)[name])"
    browser.prefers(language="de")
    visit_error(browser, service, error)
    assert browser.text("h1").startswith(f"{error} ")
    assert browser.look("document.documentElement.lang") == "en"
    of_error = browser.look(style)
    browser.press("Tab")
    browser.press("Enter")
    wait_until(lambda: browser.text("h1") == "Hallo Welt", 15, "the link leads to the greeting")
    assert browser.look(style) == of_error


# --- What it must not do ------------------------------------------------------------------------


def test_its_icon_is_there(browser, service):
    browser.visit(service.url)

    def asked():
        return {line["status"] for line in service.entries() if line.get("path") == "/favicon.ico"}

    wait_until(asked, 15, "the browser asks for the icon")
    assert asked() == {200}


def test_what_is_wrong_with_a_page_would_be_noticed(browser, faults, service):
    """What the other tests expect to find nothing with finds something."""
    browser.visit(service.url)
    browser.driver.execute_async_script(SPOIL)
    assert browser.look("window.refused.splice(0)") == ["img-src http://localhost:9/"]
    assert "Content Security Policy" in browser.complaints()[0]
    assert browser.requests() == [f"{service.url}/", "http://localhost:9/"]
    assert "pale" in browser.beyond()[-1]
    assert {fault.split(":")[0] for fault in faults()} >= {"color-contrast", "image-alt"}
    browser.visit(service.url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("target", ["/", "/?lang=ar", "/?lang=hi&name=Ada", "/?lang=ja", "letters"])
def test_axe_finds_nothing_on_the_greeting(browser, faults, service, target, scheme):
    browser.prefers(scheme)
    browser.visit(service.url + (target_of(NAMES[target]) if target in NAMES else target))
    assert faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("error", ERRORS)
def test_axe_finds_nothing_on_an_error(browser, faults, service, error, scheme):
    browser.prefers(scheme)
    visit_error(browser, service, error)
    assert faults() == []
