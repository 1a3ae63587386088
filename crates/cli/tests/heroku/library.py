"""PyPI `heroku3` through an app's day. Arguments: the server's address and its authority. Environment: HEROKU_API_KEY."""

import os
import sys
import time

import heroku3
import heroku3.api
import requests

NAME = "library"


def eventually(what, check):
    for _ in range(300):
        found = check()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not in time: {what}")


def served(app):
    """A release that a newer one overtook before it served cannot be gone back to."""
    eventually("the newest release serves", lambda: newest(app).status == "succeeded")


def newest(app):
    return app.releases(order_by="version", sort="desc", limit=1)[0]


def connect(url, authority):
    heroku3.api.HEROKU_URL = url
    session = requests.Session()
    session.verify = authority
    return heroku3.from_key(os.environ["HEROKU_API_KEY"], session=session)


def main():
    heroku = connect(sys.argv[1], sys.argv[2])
    assert heroku.account().email == "admin@localhost"
    assert NAME in [app.name for app in heroku.apps()]
    app = heroku.app(NAME)

    config = app.config()
    served(app)
    config["PYTHON"] = "yes"
    served(app)
    config.update({"MORE": "two words"})
    served(app)
    assert app.config()["PYTHON"] == "yes"
    del config["MORE"]
    served(app)
    assert app.config().to_dict().get("MORE") is None

    worker = app.process_formation()["worker"]
    assert worker.scale(1).quantity == 1
    assert eventually("it runs", lambda: [dyno for dyno in app.dynos() if dyno.name == "worker.1" and dyno.state == "up"])
    app.scale_formation_process("worker", 0)

    last = newest(app).version
    app.rollback(f"v{last - 1}")
    eventually("the rollback is a release", lambda: newest(app).version == last + 1)
    served(app)
    assert app.config()["MORE"] == "two words"

    dyno = app.run_command_detached("echo from python")
    eventually("its line is in the log", lambda: "from python" in app.get_log(dyno=dyno.name, lines=100, timeout=10))
    assert "app[web.1]: listening on" in app.get_log(lines=1000, timeout=10)
    for web in app.dynos():
        if web.type == "web":
            web.restart()

    made = heroku.create_app(name="made-by-python")
    made.rename("renamed-by-python")
    assert heroku.app("renamed-by-python").id == made.id
    heroku.app("renamed-by-python").delete()
    print("all well")


main()
