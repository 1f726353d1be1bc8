"""What protects the responder, seen in the program that was built, and what does not compile."""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BUILD = Path(os.environ.get("BUILD", REPOSITORY / "build"))
RESPONDER = str(BUILD / "responder")
BANNED = REPOSITORY / "fcgi-app" / "banned.h"
FUNCTIONS = re.findall(r"\w+", " ".join(re.findall("poison (.*)", BANNED.read_text())))
sanitized = BUILD.name == "sanitize"  # built for other purposes


def told_by(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_addresses_are_random_and_relocations_and_stack_are_closed():
    headers = told_by("readelf", "-hlW", RESPONDER)
    dynamic = told_by("readelf", "-dW", RESPONDER)
    assert re.search(r"Type:\s+DYN", headers) and "PIE" in dynamic, headers
    assert re.search(r"GNU_STACK .* RW +0x", headers), f"an executable stack: {headers}"
    assert "GNU_RELRO" in headers
    assert sanitized or "NOW" in dynamic, f"relocations stay writable: {dynamic}"
    assert not re.search("RPATH|RUNPATH|TEXTREL", dynamic), dynamic


def test_calls_and_stacks_are_checked():
    symbols = told_by("readelf", "--dyn-syms", "-W", RESPONDER)
    if sanitized:
        assert "__asan_init" in symbols
        return
    assert "__stack_chk_fail" in symbols, "no stack canaries"
    assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk", "")), "no FORTIFY_SOURCE"


@pytest.mark.parametrize("function", ["respond", "response_print", "incoming_take"])
def test_functions_begin_with_a_landing_pad(function):
    """Of control-flow protection. The program's own mark for it needs C start files that have it,
    which Debian's have not."""
    if platform.machine() != "x86_64" or sanitized:
        return
    code = told_by("objdump", "-d", f"--disassemble={function}", RESPONDER)
    first = next(line for line in code.splitlines() if re.match(r"\s+[0-9a-f]+:", line))
    assert "endbr64" in first, first


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_banned_function_does_not_compile(function):
    source = f"void *use(void); void *use(void) {{ return (void *){function}; }}\n"
    command = ["cc", "-D_GNU_SOURCE", "-fsyntax-only", "-include", BANNED, "-x", "c", "-"]
    compiled = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert compiled.returncode != 0 and "poisoned" in compiled.stderr, compiled.stderr
