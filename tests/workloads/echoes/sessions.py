"""echoes-2: the handler writes the whole session as JSON before it answers, on the event loop, for
every request. The file is rewritten in place, so a lock keeps the exporter from half a file, and
the loop waits while the exporter has it.

The remedy keeps the session in memory, writes it every 5 s from another thread, and renames the
new file over the old one: nobody can see half a file, so nobody has to wait.
"""

import asyncio
import collections
import contextlib
import fcntl
import json
import os
import pathlib

from fastapi import Body, FastAPI

from audited.companion import Companion
from echoes import server

KEPT_TURNS = 150
SECONDS_BETWEEN_WRITES = 5


class SessionStore:
    def __init__(self, folder):
        self.path = pathlib.Path(folder, "session.json")
        self.turns = collections.deque(maxlen=KEPT_TURNS)
        self.lock = open(os.path.join(folder, "session.lock"), "w")

    def add(self, turn):
        self.turns.append(turn)
        self.save()

    def save(self):
        with self.exporter_kept_out():
            text = self.as_json()
            self.path.write_text(text)  # SITE echoes-2 write-storm

    @contextlib.contextmanager
    def exporter_kept_out(self):
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # SITE echoes-2 event-loop-blocked
        try:
            yield
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)

    def as_json(self):
        return json.dumps({"session": "kitchen", "turns": list(self.turns)})

    async def write_behind(self):
        """Nothing is left to write."""


class WriteBehindSessionStore(SessionStore):
    def save(self):
        """Is done later, for many turns at once."""

    async def write_behind(self):
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_WRITES)
            await loop.run_in_executor(None, self.replace, self.as_json())

    def replace(self, text):
        new = self.path.with_suffix(".new")
        new.write_text(text)
        os.replace(str(new), str(self.path))


def application(store):
    @contextlib.asynccontextmanager
    async def lifespan(_):
        writer = asyncio.ensure_future(store.write_behind())
        yield
        writer.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.post("/chat")
    async def chat(turn: dict = Body(...)):
        store.add(turn)
        return {"answer": "I see. " + turn["text"][:20]}

    return app


def run(folder, fixed, begin):
    store = (WriteBehindSessionStore if fixed else SessionStore)(folder)
    app = application(store)
    for number in range(KEPT_TURNS):
        store.turns.append({"session": "kitchen", "text": "%d: %s" % (number, "earlier " * 40)})
    store.path.write_text(store.as_json())
    with store.lock, server.listen() as listener:
        users = Companion("echoes.clients", "turns", server.port_of(listener))
        exporter = Companion("echoes.exporter", folder)
        with users, exporter:
            begin()
            users.go()
            exporter.go()
            server.serve(app, listener)
