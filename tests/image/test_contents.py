"""What is in the image."""

import hashlib
import marshal
import os
import re
import shutil
import stat
import subprocess

import pytest
from image import Image, build, run
from service import ENGINE, REPOSITORY

MEGABYTE = 1000 * 1000
PROGRAMS = {"app/responder", "usr/bin/env", "usr/bin/python3.13", "usr/sbin/nginx"}
PLACES = [
    r"app/(responder|nginx/[^/]+|supervisor/([a-z_]+\.pyc|supervisord\.conf))",
    r"etc/(passwd|group)",
    r"(etc|usr/lib)/os-release",
    r"var/lib/dpkg/status\.d/[a-z0-9.+-]+",
    r"usr/bin/(env|python3(\.\d+)?)",
    r"usr/sbin/nginx",
    r"usr/lib/python3\.\d+/(modules|.*\.(pyc|so))",
    r"usr/lib/python3\.\d+/supervisor/version\.txt",
    r"(usr/)?lib/[^/]+/lib[^/]+\.so(\.\d+)*",
    r"lib64/ld-linux-[^/]+",
]


def test_it_has_25_megabytes_at_most(image):
    """Flask's has 220."""
    assert image.size() <= 25 * MEGABYTE, f"{image.size()} bytes"


def test_what_changes_with_a_commit_is_a_small_layer(image):
    sizes = [sum(member.size for member in layer.getmembers()) for layer in image.layers]
    assert len(sizes) == 2 and sizes[1] < MEGABYTE / 2, f"sizes of the layers: {sizes}"


def test_there_is_nothing_but_what_runs(image):
    paths = [path for path, member in image.entries() if not member.isdir()]
    others = [path for path in paths if not any(re.fullmatch(place, path) for place in PLACES)]
    assert not others, f"nobody needs {others}"


def test_there_are_four_programs_and_no_shell(image):
    programs = {
        path
        for path, member in image.entries()
        if member.isfile() and member.mode & 0o111 and not re.search(r"\.so(\.|$)", path)
    }
    assert programs == PROGRAMS, programs


def test_nothing_gives_rights_away(image):
    """No setuid or setgid bit, no capability, nothing that others than root could change."""
    for path, member in image.entries():
        allowed = 0o1777 if path == "tmp" else 0o755
        if not member.issym():
            mode = stat.S_IMODE(member.mode)
            assert mode & ~allowed == 0, f"{path} has mode {mode:o}"
        assert (member.uid, member.gid) == (0, 0), f"{path} belongs to {member.uid}:{member.gid}"
        assert not any("security." in name for name in member.pax_headers), path
        assert member.isfile() or member.isdir() or member.issym(), f"{path} is a device or so"


def test_python_finds_compiled_modules_that_it_compares_with_nothing(image):
    modules = [path for path, _ in image.entries() if path.endswith(".pyc")]
    assert len(modules) > 15, modules
    for path in modules:
        unchecked_hash = 0b01  # PEP 552
        assert int.from_bytes(image.read(path)[4:8], "little") == unchecked_hash, path


def test_every_module_can_be_imported(image):
    (path,) = [path for path, _ in image.entries() if path.endswith("/modules")]
    files = re.findall(r"/lib-dynload/(\w+)\.cpython", "\n".join(path for path, _ in image.entries()))
    names = [*files, *marshal.loads(image.read(path))]
    # Those that start.py does not start without a stand-in: it is what imports them.
    names = [name for name in names if not name.startswith("supervisor.") and name != "ntpath"]
    assert len(names) > 50, names
    script = ["import sys", "sys.path.insert(0, '/app/supervisor')", "import archive", "archive.use()"]
    run("/usr/bin/python3", "-I", "-S", "-c", "; ".join([*script, f"import {', '.join(names)}"]))


def test_the_programs_find_their_libraries():
    assert run("/usr/sbin/nginx", "-v").startswith("nginx version: nginx/")
    assert run("/app/responder", "--help").startswith("usage: responder")


# --- Configuration --------------------------------------------------------------------------


def test_it_runs_as_nobody_in_particular(image):
    assert image.config["User"] == "65532:65532"


def test_it_says_how_it_is_run(image):
    assert image.config["Entrypoint"][-1] == "/app/supervisor/start.pyc"
    assert "Cmd" not in image.config or not image.config["Cmd"]
    assert list(image.config["ExposedPorts"]) == ["8080/tcp"]
    names = {variable.partition("=")[0] for variable in image.config["Env"]}
    assert names <= {"PATH"}, f"settings that nobody asked for: {names}"
    assert image.config["Healthcheck"]["Test"] == ["CMD", "/app/responder", "--probe"]


def test_its_labels_say_what_it_is(image):
    prefix = "org.opencontainers.image."
    labels = {
        name.removeprefix(prefix): value
        for name, value in image.config["Labels"].items()
        if name.startswith(prefix)
    }
    assert set(labels) == {"title", "source", "revision", "version", "created"}, labels
    assert labels["title"] == "hello-fcgi"
    said = run("/app/responder", "--version")
    assert said == f"responder {labels['version']} ({labels['revision']})\n", (said, labels)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"]), labels
    assert "@" not in labels["source"].partition("//")[2], "a password does not belong there"


# --- How it is built ------------------------------------------------------------------------


@pytest.fixture
def responder(image, tmp_path):
    path = tmp_path / "responder"
    path.write_bytes(image.read("app/responder"))
    return path


def readelf(path, *options):
    command = ["readelf", "--wide", *options, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_responder_is_hardened(responder):
    header, segments = readelf(responder, "--file-header"), readelf(responder, "--segments")
    dynamic, symbols = readelf(responder, "--dynamic"), readelf(responder, "--dyn-syms")
    assert "DYN (Position-Independent Executable file)" in header, header
    assert "GNU_RELRO" in segments and re.search(r"GNU_STACK .* RW +0x", segments), segments
    assert re.search(r"FLAGS_1.* NOW\b.*PIE", dynamic), dynamic
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic, dynamic
    assert "__stack_chk_fail" in symbols and "snprintf_chk" in symbols, symbols


def test_the_responder_is_stripped_and_make_symbols_writes_its_symbols(responder, image):
    assert ".symtab" not in readelf(responder, "--sections")
    labels = image.config["Labels"]
    commit = f"COMMIT={labels['org.opencontainers.image.revision']}"
    debug = REPOSITORY / "build/responder.debug"
    debug.unlink(missing_ok=True)
    environment = {**os.environ, "CONTAINER_ENGINE": ENGINE}
    command = ["make", "--silent", "symbols", "IMAGE=hello-fcgi-test", commit]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    subprocess.run([ENGINE, "rmi", "hello-fcgi-test:symbols"], capture_output=True)
    assert ".debug_info" in readelf(debug, "--sections")
    ids = [re.search("Build ID: (.*)", readelf(path, "--notes"))[1] for path in (responder, debug)]
    assert ids[0] == ids[1]


def contents(image):
    return {
        path: (
            stat.S_IMODE(member.mode),
            member.linkname,
            hashlib.sha256(image.read(path)).digest(),
        )
        for path, member in image.entries()
    }


def test_another_build_of_the_same_commit_has_the_same_files(image, tmp_path):
    """Without any cache, and from files that only their owner may read."""
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("build", ".git", "__pycache__")
    shutil.copytree(REPOSITORY, checkout, ignore=ignored)
    subprocess.run(["chmod", "-R", "go=", checkout], check=True)
    commit = f"COMMIT={image.config['Labels']['org.opencontainers.image.revision']}"

    def build_anew(directory):
        identifier = build("--no-cache", f"--build-arg={commit}", str(directory))
        files = contents(Image(identifier))
        subprocess.run([ENGINE, "rmi", identifier], capture_output=True, check=True)
        return files

    first, second = contents(image), build_anew(checkout)
    if first != second:  # Debian may have had updates since
        first = build_anew(REPOSITORY)
    names = sorted(set(first) | set(second))
    different = [name for name in names if first.get(name) != second.get(name)]
    assert not different, f"different in {different}"


def checkout_with(tmp_path, name, change):
    """A copy of the tree in which a file is another one."""
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("build", ".git", "__pycache__")
    shutil.copytree(REPOSITORY, checkout, ignore=ignored)
    path = checkout / name
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    return str(checkout)


def test_a_library_is_a_line(tmp_path):
    text = (REPOSITORY / "docs" / "make-it-yours.md").read_text("utf-8")
    (line,) = re.findall(r"^`fcgi-app/libraries`, a line:.*\n\n```text\n(.*\n)```$", text, re.MULTILINE)
    image = Image(build(checkout_with(tmp_path, "fcgi-app/libraries", lambda libraries: libraries + line)))
    assert any(path.endswith("/libuuid.so.1") for path in image.files)
    assert b"Package: libuuid1\n" in image.read("var/lib/dpkg/status.d/libuuid1")


def test_a_library_that_did_not_get_into_the_image_fails_the_build(tmp_path):
    """And not the start of the service."""
    linked = """ $(awk '/^[a-z]/ { print "-l" $1 }' fcgi-app/libraries)"""
    checkout = checkout_with(tmp_path, "Dockerfile", lambda dockerfile: dockerfile.replace(linked, ""))
    with pytest.raises(AssertionError, match="loading shared libraries: libfcgi.so.0"):
        build(checkout)


def test_certificates_and_time_zones_can_be_had():
    image = Image(build("--build-arg", "WITH=ca-certificates tzdata", str(REPOSITORY)))
    assert image.read("etc/ssl/certs/ca-certificates.crt").count(b"BEGIN CERTIFICATE") > 100
    assert image.read("usr/share/zoneinfo/Europe/Berlin").startswith(b"TZif")
    for package in ("ca-certificates", "tzdata"):
        assert f"Package: {package}\n".encode() in image.read(f"var/lib/dpkg/status.d/{package}")


def test_other_packages_have_nothing_that_could_be_had():
    with pytest.raises(AssertionError, match="WITH=hostname: there is nothing to read in it"):
        build("--build-arg", "WITH=hostname", str(REPOSITORY))
