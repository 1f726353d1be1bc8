"""The project as Terraform has made it, for the commands that people run: make push, deploy,
rollback and status.

Needs Python 3.9, terraform and gcloud, with what docs/deploy.md sets up.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from cloud_run import Service
from gcloud import Failure, gcloud, say

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
    values = json.loads(ended.stdout or "{}") if ended.returncode == 0 else {}
    if "project_id" not in values:
        said = re.search(r"(Error|terraform): .*", ended.stderr)
        raise Failure(
            "Terraform knows no project here. Make one with docs/deploy.md, or connect this"
            " checkout to the one there is: scripts/terraform init"
            + (f" (it said: {said[0]})" if said else "")
        )
    return {name: output["value"] for name, output in values.items()}


def require_credentials():
    """Fails when gcloud cannot act for anybody. Its answer, a token, is not shown."""
    try:
        gcloud("auth", "print-access-token", show=False)
    except Failure as failure:
        raise Failure(f"gcloud has no credentials that work: gcloud auth login ({failure})")


def services(known):
    return [
        Service(known["service"], region, known["project_id"])
        for region in known["regions"].split()
    ]


def main(name, function):
    """Ends the program with what the function returns, or with what has failed."""
    try:
        sys.exit(function(*sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"{name}: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
