"""End-to-end tests: the real nginx, supervisord and responder, seen from outside.

    make build && /usr/bin/python3 -m pytest -n 4 tests/e2e      (make test does this too)

Environment:
    TARGETS    what is tested: native (default), processes of this machine started as `make run`
               and the container start them; container, the image; gvisor, the image in gVisor; or
               several. A test marked native is about the first only, one marked root needs root.
    RESPONDER  native: the program (build/responder); a sanitizer build is tested by naming it
    MAKE_ARGS  native: what `make run` gets where it is tested, such as SANITIZE=1
    IMAGE, CONTAINER_ENGINE  container: the image (hello-fcgi), and podman or docker
    NO_IMAGE   container: why there is no image to test
"""

import os
import shutil

import pytest
from service import Container, Gvisor, Native, Process, launcher, make_directory

TARGETS = os.environ.get("TARGETS", "native").split()
KINDS = {"native": Native, "container": Container, "gvisor": Gvisor}

# Beside others gvisor is tested with what depends on the kernel: start, stop, signals, processes,
# files. How a running service answers HTTP does not, and takes as long again; TARGETS=gvisor has it.
ON_GVISOR = ("test_lifecycle", "test_failures", "test_settings")


def pytest_configure(config):
    config.addinivalue_line("markers", "native: tests processes of this machine, not a container")
    config.addinivalue_line("markers", "root: needs root, to become other users")
    config.addinivalue_line("markers", "ptrace: looks at the descriptors of other users' processes")


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if is_wanted(item)]


def is_wanted(item):
    kind = kind_of(item)
    if kind == "gvisor" and TARGETS != ["gvisor"] and item.path.stem not in ON_GVISOR:
        return False
    return kind == "native" or not item.get_closest_marker("native")


def kind_of(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("service_kind", TARGETS[0])


def pytest_runtest_setup(item):
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")
    if item.get_closest_marker("ptrace") and not may_trace():
        pytest.skip(
            "root without CAP_SYS_PTRACE, as in a container, does not see others' descriptors"
        )


def may_trace():
    """Whether this process sees the descriptors of those that it starts, by whatever user."""
    CAP_SYS_PTRACE = 19  # capability.h
    capabilities = int(Process("self").status("CapEff")[0], 16)
    return os.geteuid() != 0 or capabilities >> CAP_SYS_PTRACE & 1


@pytest.fixture(scope="session", params=TARGETS)
def service_kind(request):
    """The kind of service that is tested."""
    kind = KINDS[request.param]
    if missing := getattr(kind, "missing", None):
        pytest.skip(missing)
    return kind


@pytest.fixture
def directory():
    """An empty directory with a short path, in which everybody may make files."""
    path = make_directory()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def launch(service_kind, directory):  # which is there until all that may use it has ended
    """A function that starts a service of the test's own. It has nothing to say but what the test
    provokes, unless the test says something else (service.QUIET)."""
    yield from launcher(service_kind)


@pytest.fixture
def start(launch):
    """The same, and it waits until the service answers."""
    return lambda *arguments, **options: launch(*arguments, **options).wait_ready()


@pytest.fixture(scope="session")
def shared_launch(service_kind):
    yield from launcher(service_kind)


@pytest.fixture(scope="session")
def shared_service(shared_launch):
    return shared_launch().wait_ready()


@pytest.fixture
def service(shared_service):
    """The service that is shared by the tests that only send requests."""
    yield shared_service
    shared_service.check_log()


@pytest.fixture
def port(service):
    """Where the shared service listens."""
    return service.port
