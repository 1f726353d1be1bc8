"""The peers "Flask", by its own server, and "gunicorn"."""

import os

from flask import Flask, Response

app = Flask(__name__)

FIELDS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "public, max-age=1, stale-while-revalidate=9, stale-if-error=9",
    "Vary": "Accept, Accept-Language",
    "Content-Language": "en",
    "Access-Control-Allow-Origin": "*",
    "ETag": '"826d57c83490ed46"',
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@app.route("/")
def hello():
    return Response("Hello World\n", headers=FIELDS)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
