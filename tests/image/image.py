"""The image as a file: its configuration, its layers and the files in them."""

import json
import os
import subprocess
import tarfile
import tempfile

from service import ENGINE, IMAGE, one_build_at_a_time


class Image:
    """What `docker save` gives of an image. files are those of all layers, by path."""

    def __init__(self, name=IMAGE):
        self.archive = tempfile.TemporaryFile()
        subprocess.run([ENGINE, "save", name], stdout=self.archive, check=True)
        self.archive.seek(0)
        self.members = tarfile.open(fileobj=self.archive)
        (manifest,) = json.load(self.members.extractfile("manifest.json"))
        self.config = json.load(self.members.extractfile(manifest["Config"]))["config"]
        self.layers = [self.open(name) for name in manifest["Layers"]]
        self.files = {
            member.name.removeprefix("./").rstrip("/"): (layer, member)
            for layer in self.layers
            for member in layer.getmembers()
        }

    def open(self, name):
        return tarfile.open(fileobj=self.members.extractfile(name))

    def entries(self):
        """Every file, directory and link, as (path, what tar tells about it)."""
        return [(path, member) for path, (_, member) in sorted(self.files.items())]

    def read(self, path):
        layer, member = self.files[path]
        return layer.extractfile(member).read() if member.isfile() else b""

    def size(self):
        return sum(member.size for _, member in self.entries())


def build(*arguments):
    """Builds, with arguments that end with the directory, and returns the identifier."""
    # podman would keep what nothing will find again, and that is large.
    layers = "false" if "--no-cache" in arguments else "true"
    environment = {**os.environ, "BUILDAH_FORMAT": "docker", "BUILDAH_LAYERS": layers}
    with tempfile.NamedTemporaryFile("r") as identifier, one_build_at_a_time():
        command = [ENGINE, "build", "--iidfile", identifier.name, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        return identifier.read()


def run(entrypoint, *arguments):
    """What a program of the image says, on stdout and stderr, when nothing else runs."""
    command = [ENGINE, "run", "--rm", "--network=none", "--read-only", "--no-healthcheck"]
    command += [f"--entrypoint={entrypoint}", IMAGE, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}: {result.returncode}, {result.stdout}{result.stderr}"
    return result.stdout + result.stderr
