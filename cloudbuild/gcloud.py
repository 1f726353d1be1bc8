"""gcloud, and what all of these scripts say and fail with.

Needs Python 3.9 and gcloud. Environment: ROLLOUT_PATIENCE, the seconds in which a change has to be
seen (60).
"""

import json
import os
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request

from command_line import Failure, seconds

PATIENCE = seconds("ROLLOUT_PATIENCE", "60")
PAUSE = PATIENCE / 60  # between two looks


STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", flush=True)


def command_line(*arguments):
    return shlex.join(["gcloud", *arguments])


def gcloud(*arguments, show=True, stderr=None):
    """Runs gcloud and returns what it printed. Its own messages go where this program's go."""
    if show:
        say(f"$ {command_line(*arguments)}")
    try:
        process = subprocess.Popen(
            ["gcloud", *arguments, "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C is for this program, which then decides what to do
        )
    except OSError as error:
        raise Failure(f"gcloud cannot be started ({error.strerror}): install the Google Cloud CLI")
    try:
        output = process.communicate(timeout=5 * PATIENCE)[0]
    except subprocess.TimeoutExpired:
        raise Failure(f"{command_line(*arguments)} did not end in {5 * PATIENCE:.0f} s")
    finally:
        if process.poll() is None:  # a signal came, or it took too long
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise Failure(f"{command_line(*arguments)} failed with status {process.returncode}")
    return output


def access_token():
    """The token by which Google knows who asks. It is not shown."""
    return gcloud("auth", "print-access-token", show=False).strip()


def api_base(name):
    """Where an API of Google is. gcloud's own setting moves it, for the tests."""
    setting = f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}"
    return os.environ.get(setting, f"https://{name}.googleapis.com/")


def issue(method, wanted, role):
    """What a method of the credentials API answers; wanted(account) is what it is given, for the
    account that this runs as, which needs the role on itself."""
    account = gcloud("config", "get-value", "account").strip()
    request = urllib.request.Request(
        f"{api_base('iamcredentials')}v1/projects/-/serviceAccounts/{account}:{method}",
        data=json.dumps(wanted(account)).encode(),
        headers={
            "Authorization": f"Bearer {access_token()}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        reason = f"{error} {error.read(1000).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        reason = repr(error)
    raise Failure(
        f"{account} gets no identity token ({method}): {reason}. It needs {role} on itself, which"
        " Terraform grants"
    )


def identity_token(audience):
    """A token that tells a private service who asks. `gcloud auth print-identity-token` makes none
    for a build's own service account, and by impersonation it would take the right to issue access
    tokens as well. The API asks only for the right to issue this one."""

    def wanted(_):
        return {"audience": audience, "includeEmail": True}

    return issue("generateIdToken", wanted, "roles/iam.serviceAccountOpenIdTokenCreator")["token"]


def signed_token(address):
    """A token that tells Identity-Aware Proxy who asks. The proxy knows no audience of the
    service's, but takes a token that the account has signed itself, for what is below an address."""
    now = int(time.time())

    def wanted(account):
        claims = {"iss": account, "sub": account, "aud": f"{address}/*", "iat": now}
        return {"payload": json.dumps({**claims, "exp": now + 3600})}  # an hour is the most

    return issue("signJwt", wanted, "roles/iam.serviceAccountTokenCreator")["signedJwt"]
