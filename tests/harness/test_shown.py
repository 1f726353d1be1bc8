"""What the documents show is so: commands that can run here are run, targets of make are there, links lead somewhere.
What takes Google Cloud is parsed in tests/terraform/test_documents.py, queries in tests/e2e/test_observability.py, and
docs/make-it-yours.md is followed in test_make_it_yours.py."""

import os
import re
import subprocess
import sys

import pytest
from copies import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "e2e"))
from service import QUIET, Native  # noqa: E402

DOCUMENTS = {
    str(path.relative_to(REPOSITORY)): path.read_text("utf-8")
    for pattern in ("*.md", "docs/*.md", "bench/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
}
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
ELSEWHERE = ("c", "console", "diff", "text", "sql", "promql", "mermaid")
# Lines of shell that need Google Cloud, a domain's records, or a log of one's own.
CLOUD = re.compile(r" *(gcloud |terraform |ENV=|scripts/terraform |make (rollback|rebuild)|dig |curl -i \"\$\(|read -rs|jq |--|#)")
# Of what takes minutes, a part.
SHORTER = {
    "/usr/bin/python3 tests/delivery/histories.py 2580939000 20000": "/usr/bin/python3 tests/delivery/histories.py 2580939000 20",
    "PYTHONPATH=cloudbuild:tests/e2e /usr/bin/python3 tests/delivery/test_fixes.py": "true",  # a test by itself
}


def shell():
    """The lines of shell that can be run here."""
    for name, text in DOCUMENTS.items():
        for kind, block in BLOCK.findall(text):
            lines = block.replace("\\\n", " ").splitlines()
            if kind == "sh":
                yield from ((name, line.strip()) for line in lines if line.strip() and not CLOUD.match(line))
            else:
                assert kind in ELSEWHERE, f"{name}: nobody tries a block of {kind or 'no language'}: {block}"


@pytest.mark.parametrize(("name", "line"), shell())
def test_what_can_be_run_here_runs(name, line):
    assert line in SHORTER, f"{name}: say here how to try it out: {line}"
    ended = subprocess.run(["bash", "-c", SHORTER[line]], cwd=REPOSITORY, capture_output=True, text=True)
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"


def of_any_number(text):
    return re.sub(r"\d+", "0", text)


def test_the_first_commands_print_what_the_readme_shows():
    block = re.search(r"^```console\n\$ make run\n(.*?)\n\n\$ curl localhost:8080\n(.*?)```$", DOCUMENTS["README.md"], re.M | re.S)
    service = Native(LOG_FORMAT="text", ACCESS_LOG="off")
    try:
        service.wait_ready()
        assert of_any_number(service.log().strip()) == of_any_number(block[1])
        said = subprocess.run(["curl", "-s", f"localhost:{service.port}"], capture_output=True, text=True, check=True)
        assert said.stdout == block[2]
        assert service.stop() == 0
    finally:
        service.end()


def test_the_responder_answers_by_hand_as_the_readme_says():
    (command,) = [code for code in CODE.findall(DOCUMENTS["README.md"]) if code.startswith("REQUEST_METHOD=")]
    command = command.replace("build/responder", os.environ.get("RESPONDER", str(REPOSITORY / "build" / "responder")))
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env={**os.environ, **QUIET})
    assert said.stdout.startswith("Status: 200 OK") and said.stdout.endswith("Hello World\n"), said.stdout


def test_every_target_of_make_that_is_named_is_there():
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    named = {
        (name, target)
        for name, text in DOCUMENTS.items()
        for code in CODE.findall(text)
        for target in re.findall(r"^(?:[A-Z]+=\S+ )*make ([a-z][a-z-]*)", code)
    }
    assert len(named) > 30
    missing = [(name, target) for name, target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)]
    assert not missing


def anchors(text):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(BLOCK, "", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name):
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(BLOCK, "", DOCUMENTS[name])):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (REPOSITORY / name).parent / path if path else REPOSITORY / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link
