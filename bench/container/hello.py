"""What hello-fcgi replaces: Flask's own server. And for gunicorn, the application."""

import os

import flask

app = flask.Flask(__name__)


@app.route("/")
def hello():
    return "Hello World\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=int(os.environ["PORT"]))
