#!/usr/bin/python3
"""A FastCGI program to put in the responder's place: it answers with the parameters that it got,
in JSON, or on some paths as a responder should never answer. While the file FAILING is there it
answers nothing but 500. Its first answer to the target BREAKS is none. Answers that may be kept have
PADDING bytes more."""

import itertools
import json
import os
import socket
import struct
import sys
import threading
import time

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
WRONG = {
    "/nothing": b"",
    "/rubbish": b"this is no header\r\n\r\n",
    "/half": b"Content-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf",
}
# Fields of answers that nginx may keep, if they allow it; for /?format=html those of the variable
# FIELDS, in JSON, a list of lines.
FIELDS = {
    "/?format=text": b"Cache-Control: max-age=1, stale-while-revalidate=9, stale-if-error=9\r\n",
    "/?format=html": "".join(
        f"{line}\r\n" for line in json.loads(os.environ.get("FIELDS", "[]"))
    ).encode(),
    "/?format=json": b"Cache-Control: no-store\r\n",
}
# What nginx has to know of a responder, it has from the real one.
REAL = os.path.join(os.path.dirname(__file__), "../../build/responder")
BREAKS = {os.environ.get("BREAKS"): b""}
PADDING = int(os.environ.get("PADDING", "0"))
REQUESTS = itertools.count(1)


def record(kind, content):
    """One, or more where the content is longer than one can be."""
    if len(content) > 65535:
        return record(kind, content[:65535]) + record(kind, content[65535:])
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def read_request(stream):
    """The contents of the two streams of a request: parameters and body."""
    contents = {BEGIN_REQUEST: b"", PARAMS: b"", STDIN: b""}
    while True:
        _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", stream.read(8))
        contents[kind] += stream.read(length)
        stream.read(padding)
        if kind == STDIN and length == 0:
            return contents[PARAMS], contents[STDIN]


def decode(params):
    pairs, at = {}, 0

    def length():
        nonlocal at
        size = 1 if params[at] < 128 else 4
        at += size
        return int.from_bytes(params[at - size : at], "big") & 0x7FFFFFFF

    while at < len(params):
        name_length, value_length = length(), length()
        name, value = params[at : at + name_length], params[at + name_length :][:value_length]
        pairs[name.decode()] = value.decode("latin-1")
        at += name_length + value_length
    return pairs


def mutter():
    """Writes a line in pieces, as a program that does not buffer its messages."""
    for piece in (b"some ", b"slow ", b"words\n"):
        os.write(2, piece)
        time.sleep(0.005)


def answer(params, body, connection):
    told = {**decode(params), "body": body.decode("latin-1"), "connection": connection}
    told.update(request=next(REQUESTS), made=time.monotonic())
    if os.path.exists(os.environ.get("FAILING", "")):
        return b"Status: 500 Internal Server Error\r\n\r\n"
    target = told["REQUEST_URI"]
    if target == "/mutter":
        mutter()
    if target in BREAKS:
        return BREAKS.pop(target)
    if target in FIELDS:
        told["padding"] = PADDING * "x"
        time.sleep(0.03)  # so that others come meanwhile
    text = json.dumps(told).encode()
    fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(text)
    return WRONG.get(target, FIELDS.get(target, b"") + fields + b"\r\n" + text)


def serve(connection, number):
    """Answers one request after the other, as nginx wants it, until nginx closes."""
    with connection, connection.makefile("rb") as stream:
        while stream.peek(1):
            output = answer(*read_request(stream), number)
            end = record(STDOUT, b"") + record(END_REQUEST, bytes(8))
            connection.sendall((record(STDOUT, output) if output else b"") + end)


def main():
    listener = socket.socket(fileno=0)
    for number in itertools.count():
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, number), daemon=True).start()


if "--nginx" in sys.argv:
    os.execv(REAL, [REAL, "--nginx"])
main()
