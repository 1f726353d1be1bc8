"""What hello-fcgi replaces: Flask's own server."""

import os

import flask

app = flask.Flask(__name__)


@app.route("/")
def hello():
    return "Hello World\n"


app.run(host="0.0.0.0", port=int(os.environ["PORT"]))
