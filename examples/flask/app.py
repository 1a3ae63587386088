"""The web process: gunicorn runs `app`."""

import os
import sys
import time

from flask import Flask, jsonify, request

import services

#: The longest that anybody may make an answer wait, in seconds.
LONGEST_PAUSE = 5.0


def identity():
    """What every answer tells: which release and which process gave it."""
    return {
        "greeting": os.environ.get("GREETING", "Hello"),
        "release": os.environ.get("HEROKU_RELEASE_VERSION", "unreleased"),
        "dyno": os.environ.get("DYNO", "none"),
        "python": ".".join(str(number) for number in sys.version_info[:3]),
    }


def make_app():
    app = Flask(__name__)

    @app.get("/")
    def index():
        return jsonify(identity())

    @app.route("/slow", methods=["GET", "POST"])
    def slow():
        milliseconds = request.args.get("ms", default=0, type=int)
        time.sleep(min(max(milliseconds, 0) / 1000, LONGEST_PAUSE))
        return jsonify(identity())

    @app.post("/upload")
    def upload():
        count = 0
        while chunk := request.stream.read(65536):
            count += len(chunk)
        return jsonify(identity() | {"bytes": count})

    @app.get("/services")
    def attached():
        return jsonify({service.name: service.state() for service in services.attached()})

    return app


services.check()
app = make_app()
