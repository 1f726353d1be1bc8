"""The project's Terraform where nothing else is: no state, no settings, no way into a real project."""

import json
import os
import pathlib
import shutil
import subprocess

TERRAFORM = os.environ.get("TERRAFORM", "terraform")
PROGRAM = shutil.which(TERRAFORM) and os.path.abspath(shutil.which(TERRAFORM))
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ROOT = REPOSITORY / "terraform"
ROOTS = {"main": ROOT, "bootstrap": ROOT / "bootstrap"}

REQUIRED = {
    "project_id": "example-project",
    "region": "europe-west1",
    "repository": "example/hello",
    "github_app_installation_id": 1234,
    "alert_email": "oncall@example.com",
}


class WorkingCopy:
    """A copy of both roots. State is kept as long as the directory is."""

    def __init__(self, directory):
        self.directory = directory / "terraform"
        self.state = directory / "state"
        self.state.mkdir(parents=True)
        shutil.copytree(
            ROOT,
            self.directory,
            ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"),
        )
        self.environment = os.environ | {
            "TERRAFORM_OFFLINE_STATE": str(self.state),
            "TF_IN_AUTOMATION": "1",
            # Whatever TERRAFORM is, it must not find a way into somebody's project.
            "GOOGLE_APPLICATION_CREDENTIALS": str(directory / "no-credentials"),
            "CLOUDSDK_CONFIG": str(directory / "no-configuration"),
        }

    def run(self, *arguments, root="main", status=0):
        """Runs terraform. Its exit status has to be the given one; None allows any."""
        chdir = self.directory / ROOTS[root].relative_to(ROOT)
        done = subprocess.run(
            [PROGRAM, f"-chdir={chdir}", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert status in (None, done.returncode), (
            f"terraform {' '.join(arguments)}: expected status {status}, got {done.returncode}\n"
            f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        )
        return done

    def set(self, variables):
        path = self.directory / "terraform.tfvars.json"
        path.write_text(json.dumps(REQUIRED | variables), encoding="utf-8")

    def apply(self, variables):
        """Applies. Returns what was done, in order: (address, action, "start" or "complete")."""
        self.set(variables)
        done = self.run("apply", "-input=false", "-auto-approve", "-json")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return [
            (event["hook"]["resource"]["addr"], event["hook"]["action"], event["type"][6:])
            for event in events
            if event["type"] in ("apply_start", "apply_complete")
            and event["hook"]["action"] != "read"
        ]

    def plan_is_empty(self):
        done = self.run("plan", "-input=false", "-no-color", "-detailed-exitcode", status=None)
        assert done.returncode != 1, done.stderr
        changes = [line for line in done.stdout.splitlines() if "Refreshing state" not in line]
        assert done.returncode == 0, "the plan is not empty:\n" + "\n".join(changes)

    def read_state(self):
        return json.loads(self.state_file().read_text("utf-8"))

    def write_state(self, state):
        self.state_file().write_text(json.dumps(state), "utf-8")

    def state_file(self):
        return next(self.state.rglob("terraform.tfstate"))
