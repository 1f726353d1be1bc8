"""fcgi-app/pages/compile: a hole of a page cannot be filled with anything but text."""

import os
import subprocess
from pathlib import Path

import pytest

COMPILE = Path(__file__).parents[2] / "fcgi-app/pages/compile"
PAGE = "<!doctype html>\n<title>{{a}}</title>\n"
ESCAPED = "&lt;b a=&quot;&#39;x&amp;&#39;&quot;&gt;"


def compile_page(directory, text, name="page.html"):
    (directory / name).write_text(text, encoding="utf-8")
    return subprocess.run([COMPILE, directory / name], capture_output=True, text=True)


def run(directory, page, initializers, header="page.html"):
    """What a page becomes when its struct is initialised so."""
    compiled = compile_page(directory, page)
    assert compiled.returncode == 0, compiled.stderr
    (directory / f"{header}.h").write_text(compiled.stdout, encoding="utf-8")
    (directory / "main.c").write_text(
        f"""
#include "core/text.h"
#include "{header}.h"
#include <stdio.h>
int main(void)
{{
    static char bytes[100000];
    struct text text = text_in(bytes, sizeof(bytes));
    text_add_page_html(&text, &(struct page_html){{{initializers}}});
    return fputs(bytes, stdout) < 0;
}}
""",
        encoding="utf-8",
    )
    core = COMPILE.parents[1] / "core"
    subprocess.run(
        ["cc", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
        + [f"-I{core.parent}", "-o", directory / "main", directory / "main.c"]
        + [core / "text.c", core / "utf8.c", "-ljansson"],
        check=True,
    )
    return subprocess.check_output([directory / "main"], text=True)


def test_what_fills_a_hole_is_escaped_wherever_it_stands(tmp_path):
    page = PAGE + '<p class="x {{a}}" lang="{{b}}">{{b}}{{#l}}<a href="/?x={{c}}">{{c}}</a>{{/l}}</p>\n'
    nasty = r'"<b a=\"\'x&\'\">"'
    got = run(
        tmp_path,
        page,
        f'.a = {nasty}, .b = {nasty}, .l = (struct page_html_l[]){{{{{nasty}}}, {{""}}, {{NULL}}}}',
    )
    assert got == (
        f"<!doctype html>\n<title>{ESCAPED}</title>\n"
        f'<p class="x {ESCAPED}" lang="{ESCAPED}">{ESCAPED}'
        f'<a href="/?x={ESCAPED}">{ESCAPED}</a><a href="/?x="></a></p>\n'
    )


def test_all_else_of_a_page_is_as_it_was(tmp_path):
    page = "<!doctype html>\n<title>\\n \\ \"quoted\" 'a' %s ?? é 世界</title>\n" + 3000 * "<br>\n"
    assert run(tmp_path, page + "{{x}}\n", '.x = ""') == page + "\n"


@pytest.mark.parametrize(
    "page",
    [
        "<p {{a}}>",
        "<p lang={{a}}>",
        "<p lang='{{a}}'>",
        "<{{a}}>",
        '<p lang="x" {{a}}="y">',
        '<a href="{{a}}">',
        '<a href="//{{a}}">',
        '<a href="java{{a}}">',
        '<img src="{{a}}">',
        '<button formaction="{{a}}">',
        '<p style="color: {{a}}">',
        '<p onclick="{{a}}">',
        '<p\nonclick="f()">',
        "<script>{{a}}</script>",
        "<SCRIPT>",
        "<!-- {{a}} -->",
        "<style>p { color: {{a}} }</style>",
        '<meta content="{{a}}">',
        "{{#a}}",
        "{{/a}}",
        "{{#a}}{{b}}{{#c}}{{d}}{{/c}}{{/a}}",
        "{{#a}}no hole{{/a}}",
        "{{a",
        "{{{a}}}",
        "{{ a }}",
    ],
)
def test_a_hole_that_escaping_would_not_make_safe_is_refused(tmp_path, page):
    compiled = compile_page(tmp_path, f"{PAGE}{page}\n")
    assert compiled.returncode != 0, compiled.stdout
    assert compiled.stderr.startswith("page.html: ") and compiled.stderr.count("\n") == 1


def test_the_pages_hold_no_script_and_link_nothing_of_others():
    """What compile refuses, the browser's policy forbids as well; this is about what it would load."""
    for name in os.listdir(COMPILE.parent):
        if name.endswith(".html"):
            text = (COMPILE.parent / name).read_text(encoding="utf-8")
            assert "//" not in text and "http" not in text, name
