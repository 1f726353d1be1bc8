"""Tests of the image: what is in it, and what a container of it promises (docs/container.md). What
holds for the service wherever it runs is tested in tests/e2e, with TARGETS=container.

    make image-test

Environment: TARGETS, of which container and gvisor count; IMAGE (hello-fcgi), CONTAINER_ENGINE; NO_IMAGE, why there is none to test.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

from image import Image  # noqa: E402
from service import Container, Gvisor, launcher  # noqa: E402

TARGETS = os.environ.get("TARGETS", "container").split()


def pytest_runtest_setup():
    if "NO_IMAGE" in os.environ:
        pytest.skip(os.environ["NO_IMAGE"])


@pytest.fixture(scope="session")
def image():
    return Image()


@pytest.fixture(params=[kind for kind in TARGETS if kind != "native"] or ["container"])
def launch(request, monkeypatch):
    """A function that starts a container; its arguments are options of the engine's. On gVisor all
    kinds of containers are its."""
    kind = {"container": Container, "gvisor": Gvisor}[request.param]
    if kind.missing:
        pytest.skip(kind.missing)
    monkeypatch.setattr(Container, "engine", kind.engine)
    yield from launcher(Container)


@pytest.fixture
def start(launch):
    """The same, and it waits until the service answers."""
    return lambda *arguments, **options: launch(*arguments, **options).wait_ready()
