"""Google's APIs: JSON over HTTP, with the token that gcloud hands out."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

from gcloud import PATIENCE, Failure, access_token, api_base

TIMEOUT = PATIENCE / 2  # for one answer, so that there is time to ask again


class Conflict(Exception):
    """Somebody else has changed it since it was read; nothing was done."""


class Unanswered(Exception):
    """No answer, or none that says whether it was done."""


def failure(status, text):
    """What an answer that is an error means. Cloud Run answers a stale etag with 409 and ABORTED;
    another 409, as of a name that is taken, does not go away by reading again."""
    if status == 412 or (status == 409 and "ABORTED" in text):
        return Conflict(text)
    if status in (408, 429) or status >= 500:
        return Unanswered(text)
    return Failure(text)


class Api:
    def __init__(self, name):
        self.base, self.token = api_base(name), None

    def call(self, method, path, body=None, **query):
        """Returns the answer. Raises Conflict, Unanswered or Failure."""
        renewed = self.token is None
        while True:
            self.token = self.token or access_token()
            try:
                return self.send(method, path, body, query)
            except urllib.error.HTTPError as error:
                with error:
                    text = " ".join(error.read(1000).decode(errors="replace").split())
                if error.code == 401 and not renewed:  # a token lasts an hour
                    self.token, renewed = None, True
                    continue
                raise failure(error.code, f"{method} {self.base}{path} was answered {text}")
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise Unanswered(f"{method} {self.base}{path} got no answer: {error!r}")

    def send(self, method, path, body, query):
        request = urllib.request.Request(
            f"{self.base}{path}" + (f"?{urllib.parse.urlencode(query, True)}" if query else ""),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)
