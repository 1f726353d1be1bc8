"""One service and one browser for all tests here, since both take a second to start."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "e2e"), str(Path(__file__).parent)]
from service import Native, launcher  # noqa: E402

# As Cloud Run has them, so that the pages show all that they can.
ENVIRONMENT = {"K_REVISION": "hello-fcgi-00042-kog", "REGION": "europe-west6", "ACCESS_LOG": "all"}


@pytest.fixture(scope="session")
def shared_browser():
    if not shutil.which("chromedriver"):
        pytest.skip("there is no chromedriver, which Debian has as chromium-driver, and Ubuntu has not")
    from browser import Browser  # which needs selenium

    browser = Browser()
    yield browser
    browser.end()


@pytest.fixture(scope="session")
def service():
    services = launcher(Native)
    service = next(services)(**ENVIRONMENT).wait_ready()
    service.expect(r"^\d{3} (GET|POST) ", 0)  # requests; but for one error of nginx, all else is a failure
    service.expect("client intended to send too large body", 0)
    yield service
    next(services, None)


@pytest.fixture
def faults(browser):
    """A function that returns what axe finds on the page."""
    from browser import AXE

    if not AXE.exists():
        pytest.skip("npm has not brought axe: make test says why")
    return browser.faults


@pytest.fixture
def browser(shared_browser, service):
    """It must have nothing to complain about, and ask for nothing but the service, when a test ends.
    The test says what statuses of pages it provokes: the console tells each error."""
    shared_browser.prefers()
    shared_browser.runs_scripts(True)
    shared_browser.has_window(1280)
    shared_browser.statuses = []
    yield shared_browser
    refused = shared_browser.look("window.refused")
    complaints = shared_browser.complaints()
    requests = shared_browser.requests()
    assert not refused, refused
    assert len(complaints) == len(shared_browser.statuses), complaints
    for complaint, status in zip(complaints, shared_browser.statuses):
        assert f"responded with a status of {status} " in complaint, complaints
    assert all(url.startswith(f"{service.url}/") for url in requests), requests
