"""The project as Terraform has made it, for the commands that people run: make push, deploy,
rollback and status.

Needs Python 3.9, terraform and gcloud, with what docs/deploy.md sets up.
"""

import json
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from cloud_run import Service
from command_line import Failure, Misuse, Parser, finish
from gcloud import gcloud, say

TOP = Path(__file__).resolve().parent.parent
TERRAFORM = (f"{TOP}/scripts/terraform",)  # for the environment in ENV


def run(*command, **options):
    """Runs a program of which the person sees everything."""
    say(f"$ {shlex.join(str(word).replace(f'{TOP}/', '') for word in command)}")
    try:
        status = subprocess.run(command, cwd=TOP, **options).returncode
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed")
    if status != 0:
        raise Failure(f"{Path(command[0]).name} ended with status {status}")


def outputs():
    """What Terraform says about the project: project_id, region, regions, service, image, ..."""
    ended = subprocess.run([*TERRAFORM, "output", "-json"], capture_output=True, text=True, cwd=TOP)
    if ended.returncode != 0:
        raise unknown(ended.stderr)
    values = json.loads(ended.stdout or "{}")
    if "project_id" not in values:
        raise Failure(f"Terraform has made no project for {environment()} yet: docs/deploy.md")
    return {name: output["value"] for name, output in values.items()}


def environment():
    return f"ENV={os.environ.get('ENV') or 'production'}"


def unknown(said):
    """What keeps Terraform from saying what there is, the cause first."""
    if said.startswith("terraform: "):  # scripts/terraform itself, which says what to do
        return Misuse(said.strip().removeprefix("terraform: "))
    cause = re.search(r"Error: .*", said)
    cause = cause[0] if cause else said.strip().rpartition("\n")[2] or "it said nothing"
    if "terraform init" in said:
        return Failure(
            f"Terraform is not connected to a project here ({cause}): {environment()}"
            " scripts/terraform init, or docs/deploy.md where there is no project yet"
        )
    return Failure(
        f"Terraform cannot say what there is ({cause}). All of it: {environment()} scripts/terraform"
        " output"
    )


def require_credentials():
    """Fails when gcloud cannot act for anybody. Its answer, a token, is not shown, and what it says
    of itself stands behind what to do."""
    with tempfile.TemporaryFile("w+") as said:
        try:
            gcloud("auth", "print-access-token", show=False, stderr=said)
        except Failure as failure:
            said.seek(0)
            why = " ".join(said.read().split()) or failure
            raise Failure(f"gcloud has no credentials that work: gcloud auth login ({why})")


def services(known):
    return [
        Service(known["service"], region, known["project_id"])
        for region in known["regions"].split()
    ]


def main(name, function, text, **argument):
    """Runs what `make name` stands for, which takes one kind of argument or none."""
    parser = Parser(text, name)
    for word, how in argument.items():
        parser.add_argument(word, **how)
    finish(function, name=name, **vars(parser.parse_args()))
