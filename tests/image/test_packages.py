"""What the image says of the packages that it is made of, for scanners, and the bill of materials.

dpkg is asked in the stage rootfs, where the packages are installed whole.
"""

import hashlib
import json
import marshal
import os
import pathlib
import re
import subprocess
import sys

import pytest
from image import build, run
from service import ENGINE, IMAGE, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "cloudbuild"))

from packages import parse  # noqa: E402

STATUS = "var/lib/dpkg/status.d"
OURS = rf"app/.*|etc/(passwd|group)|{STATUS}/.*"

# Reads paths, follows links but for the one that is a package's own, and asks dpkg.
WHOSE = """
while read -r path; do
    [ "$path" = /usr/bin/python3 ] || [ "$path" = /etc/os-release ] || path=$(readlink -f "$path")
    echo "$path"
done | xargs dpkg-query --search | sed 's/: .*//; s/:.*//' | sort -u
"""


@pytest.fixture(scope="module")
def stage():
    """The stage that the image's files come from."""
    return build("--target=rootfs", str(REPOSITORY))


def ask(stage, script, lines=()):
    """What a shell in the stage prints."""
    command = [ENGINE, "run", "--rm", "--interactive", "--network=none", stage, "bash", "-c", script]
    ended = subprocess.run(
        command, input="".join(f"{line}\n" for line in lines), capture_output=True, text=True
    )
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
    return ended.stdout.splitlines()


def entries(image):
    """The entries of the image's packages, by the names of their files."""
    return {
        path.removeprefix(f"{STATUS}/"): parse(image.read(path).decode())
        for path, member in image.entries()
        if path.startswith(f"{STATUS}/") and not path.endswith(".md5sums")
    }


def source_of(path):
    """The file that Debian has for one of the image."""
    place = re.sub(r"^usr/lib/python3\.\d+/supervisor", "usr/lib/python3/dist-packages/supervisor", path)
    return "/" + re.sub(r"\.pyc$", ".py", place)


def debians(image):
    """The files that are Debian's, and for the archive those that are in it."""
    paths = [path for path, member in image.entries() if not member.isdir()]
    (archive,) = [path for path in paths if path.endswith("/modules")]
    archived = [place.removeprefix("/") for place, _, _ in marshal.loads(image.read(archive)).values()]
    return archived + [path for path in paths if not re.fullmatch(OURS, path) and path != archive]


def test_the_packages_are_those_of_its_files_and_no_others(image, stage):
    whose = ask(stage, WHOSE, [source_of(path) for path in debians(image)])
    assert len(whose) > 10, whose
    assert sorted(entries(image)) == whose


def test_their_versions_are_those_that_were_installed(image, stage):
    known = entries(image)
    lines = ask(stage, f"dpkg-query -W -f '${{Package}} ${{Version}} ${{Architecture}}\n' {' '.join(known)}")
    fields = ("Package", "Version", "Architecture")
    assert sorted(lines) == sorted(" ".join(entry[f] for f in fields) for entry in known.values())


def test_files_are_as_their_packages_have_them_unless_they_are_compiled(image):
    sums = {}
    for path, _ in image.entries():
        if path.endswith(".md5sums"):
            lines = image.read(path).decode().splitlines()
            sums.update(line.split("  ")[::-1] for line in lines)
    changed = [p for p in sums if hashlib.md5(image.read(p)).hexdigest() != sums[p]]
    assert not changed, f"not as in their packages: {changed}"
    links = {path for path, member in image.entries() if member.issym()}
    missing = {p for p in debians(image) if not p.endswith((".py", ".pyc", ".txt"))} - links - set(sums)
    assert not missing, f"without a checksum: {missing}"


def test_it_names_its_release_where_scanners_look(image):
    assert re.search(r"^ID=debian$", image.read("usr/lib/os-release").decode(), re.MULTILINE)
    assert image.files["etc/os-release"][1].linkname == "../usr/lib/os-release"


def test_the_bill_of_materials_is_what_the_image_has(image, tmp_path):
    path = tmp_path / "sbom.json"
    command = [REPOSITORY / "cloudbuild/sbom", IMAGE, path]
    environment = {**os.environ, "CONTAINER_ENGINE": pathlib.Path(ENGINE).name}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    document = json.loads(path.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    said = run("/app/responder", "--version")  # responder 1.2.3 (COMMIT)
    version = "+".join(re.fullmatch(r"responder (\S+) \((\S+)\)\n", said).groups())
    assert document["metadata"]["component"]["version"] == version
    components = document["components"]
    assert {each["name"]: each["version"] for each in components} == {
        name: entry["Version"] for name, entry in entries(image).items()
    }
    (ssl,) = (each["purl"] for each in components if each["name"].startswith("libssl3"))
    assert re.fullmatch(
        r"pkg:deb/debian/libssl3t64@3[^:/+ ]+\?arch=[a-z0-9]+&distro=debian-13&upstream=openssl", ssl
    )
