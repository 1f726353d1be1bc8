"""The cache when it cannot be written to, and when the clock is set: it costs speed, never an answer."""

import contextlib
import os
import shutil
import subprocess
from email.utils import parsedate_to_datetime

import pytest
from client import ask
from service import RESPONDER, copy_checkout, wait_until

native = pytest.mark.native
needs_root = pytest.mark.root
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def uses_cache(service):
    """Whether answers come from the cache or go into it. Whatever it does, there is an answer."""
    answer = ask(service.port)
    assert (answer.status, answer.text) == (200, "Hello World\n"), str(answer)
    return answer["X-Cache"] is not None


def check_goes_on_without(service, reason):
    """Waits until it has said so, once, and checks that new answers come all the same."""
    service.expect(f"^going on without the cache: .*: {reason}$")
    service.expect("^the cache can be written to again, and is used$", 0)
    service.expect("cache", 0)  # nginx's own lines until then
    service.wait_for_line("going on without the cache")

    def has_switched():
        with contextlib.suppress(OSError):  # until nginx's old workers have gone
            return not any(uses_cache(service) for _ in range(20))

    wait_until(has_switched, 5, "it goes on without the cache")
    for form in ("text", "html", "json"):
        assert ask(service.port, f"/?format={form}").status == 200
    assert service.log().count("going on without the cache") == 1, service.log()


def check_goes_back(service):
    service.wait_for_line("the cache can be written to again, and is used")
    wait_until(lambda: uses_cache(service), 5, "it uses the cache again")


@native
def test_a_cache_directory_that_is_none_is_done_without(start):
    service = start()
    assert uses_cache(service)
    shutil.rmtree(f"{service.run_dir}/cache")
    with open(f"{service.run_dir}/cache", "wb"):
        pass
    check_goes_on_without(service, "File exists|Not a directory")
    os.unlink(f"{service.run_dir}/cache")
    check_goes_back(service)


@native
def test_a_cache_directory_that_is_removed_is_made_again(start):
    service = start()
    assert uses_cache(service)
    shutil.rmtree(f"{service.run_dir}/cache")
    wait_until(lambda: os.path.isdir(f"{service.run_dir}/cache"), 5, "it is there again")
    service.expect("cache", 0)  # what nginx says until then
    assert uses_cache(service)


@pytest.fixture
def small_disk(directory):
    path = f"{directory}/disk"
    os.mkdir(path)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=False)
    if mount.returncode != 0:
        pytest.skip("may not mount a file system")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@native
@needs_root
def test_a_full_run_directory_costs_no_answer(small_disk, launch):
    os.mkdir(f"{small_disk}/run")
    service = launch(RUN_DIR=f"{small_disk}/run").wait_ready()
    assert uses_cache(service)
    with open(f"{small_disk}/filling", "wb", buffering=0) as filling:
        try:
            while True:
                filling.write(bytes(4096))
        except OSError:
            pass
    check_goes_on_without(service, "No space left on device")
    assert len(service.lines()) < 40, service.log()
    os.unlink(f"{small_disk}/filling")
    check_goes_back(service)


@native
@pytest.mark.root  # libfaketime's semaphore is the first user's: root's would be closed to www-data
@pytest.mark.skipif(not os.path.exists(FAKETIME), reason="needs libfaketime")
@pytest.mark.skipif("sanitize" in RESPONDER, reason="libfaketime and the sanitizers want to be first")
@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_is_set_empties_the_cache(launch, directory, jump):
    clock, first = f"{directory}/clock", 7200

    def set_clock(seconds):
        with open(f"{clock}.new", "w", encoding="utf-8") as file:
            file.write(f"+{seconds}s\n")
        os.chmod(f"{clock}.new", 0o644)
        os.rename(f"{clock}.new", clock)

    set_clock(first)
    variables = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": clock,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "SANDBOX": "off",  # libfaketime opens a file whenever it is asked for the time
    }
    checkout = copy_checkout(f"{directory}/checkout")
    os.chmod(checkout, 0o755)
    with open(f"{checkout}/nginx/nginx.conf.template", "a", encoding="utf-8") as file:
        file.writelines(f"\nenv {name};" for name in variables)  # nginx's workers have no others
    service = launch(checkout=checkout, user="nobody", **variables).wait_ready()
    assert uses_cache(service)
    before = parsedate_to_datetime(ask(service.port)["Date"])
    set_clock(first + jump)
    service.expect(r"^the clock was set by -?3[56]\d\d s: the cache is emptied$")
    service.wait_for_line("the clock was set by")
    wait_until(lambda: ask(service.port)["X-Cache"] == "MISS", 5, "it asks again")
    since = parsedate_to_datetime(ask(service.port)["Date"]) - before
    assert abs(since.total_seconds() - jump) < 60, since
