"""What cloudbuild/rebuild makes of what serves, without an image: test_pipeline.py has the whole."""

import json
import subprocess

import pytest
from cloud import PROJECT, REGION, SCRIPTS, SERVICE, TRIGGER, digest_of


@pytest.fixture
def serving(cloud, tmp_path):
    """A function that runs `rebuild serving` in a checkout of one commit, where commit serves."""
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", cloud.repository, checkout], check=True)
    subprocess.run(["cp", "-r", SCRIPTS, checkout], check=True)

    def run(*arguments):
        return cloud.run(["/usr/bin/python3", "-B", checkout / "cloudbuild/rebuild", *arguments])

    run.checkout = checkout
    return run


PLACE = (f"--project={PROJECT}", f"--service={SERVICE}", f"--regions={REGION}")


def test_the_image_of_the_commit_that_serves_is_noted(cloud, serving, repository):
    services = cloud.state()["services"]
    for revision in services[REGION]["revisions"].values():
        revision.update(image=digest_of(repository.newer), labels={"commit": repository.newer})
    cloud.change(services=services)
    ended = serving("serving", *PLACE)
    assert ended.status == 0, ended
    assert (serving.checkout / "build/serving").read_text() == f"{digest_of(repository.newer)}\n"


def test_another_commit_that_serves_is_a_failure(serving, repository):
    ended = serving("serving", *PLACE)
    assert ended.status == 1, ended
    assert f"{repository.old} serves, and main is at {repository.newer}" in ended.log, ended


@pytest.mark.parametrize(("later", "status"), [(60, 1), (-60, 0)])
def test_packages_that_somebody_has_gone_back_from_are_not_brought_back(cloud, serving, repository, later, status):
    """An older build that was gone back from is no reason: what serves has come after it."""
    services = cloud.state()["services"]
    revisions = services[REGION]["revisions"]
    name, first = next(iter(revisions.items()))
    first.update(image=digest_of(repository.newer), labels={"commit": repository.newer}, created=1_800_000_000)
    bad = {**first, "image": digest_of("rebuilt"), "created": first["created"] + later}
    revisions[f"{name}-bad"] = bad
    record = {"called_off": [[bad["image"], "rollback-1"]]}
    services[REGION].setdefault("annotations", {})["delivery"] = json.dumps(record)
    cloud.change(services=services)
    ended = serving("serving", *PLACE)
    assert ended.status == status, ended
    assert ("somebody has gone back from a newer build of" in ended.log) == bool(status), ended


@pytest.mark.parametrize("changes", ["", "nginx 1 -> 2\n"])
def test_the_trigger_is_run_only_for_changes(cloud, serving, repository, changes):
    (serving.checkout / "build").mkdir()
    (serving.checkout / "build/package-changes").write_text(changes)
    ended = serving("start", f"--project={PROJECT}", f"--region={REGION}", f"--trigger={TRIGGER}")
    assert ended.status == 0, ended
    started = f"builds triggers run {TRIGGER}" in ended.log and f"--sha={repository.newer}" in ended.log
    assert started == bool(changes), ended
