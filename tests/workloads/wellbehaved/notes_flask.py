"""Notes in a Flask application, under gunicorn as configured by the caller."""

import threading

from flask import Flask, jsonify, render_template_string, request
from gunicorn.app.base import BaseApplication

KEPT = 500
PAGE = "<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>"


def application():
    app = Flask("notes")
    lock = threading.Lock()
    notes = []

    @app.post("/notes")
    def add():
        with lock:
            notes.append(request.get_json()["text"])
            del notes[:-KEPT]
        return jsonify(count=len(notes))

    @app.get("/notes")
    def newest():
        with lock:
            shown = notes[-20:]
        return render_template_string(PAGE, notes=shown)

    return app


class Gunicorn(BaseApplication):
    def __init__(self, port, options):
        self.app = application()
        self.options = {"bind": "127.0.0.1:%d" % port, "loglevel": "warning", **options}
        self.options.update(graceful_timeout=1)
        super().__init__()

    def load_config(self):
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self):
        return self.app


def serve(stage, connections, **options):
    # Not by the number of a descriptor: gunicorn leaves a socket to the collector for that.
    port = stage.free_port()
    server = Gunicorn(port, options)
    stage.load("http_load", port, 40, connections)
    stage.begin()
    server.run()
