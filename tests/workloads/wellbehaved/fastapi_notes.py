"""FastAPI under uvicorn, notes in SQLite: one connection, in WAL mode, behind a lock."""

import sqlite3
import threading

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Note(BaseModel):
    text: str


def application(database):
    app = FastAPI()
    connection = sqlite3.connect(database, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    lock = threading.Lock()

    @app.post("/notes")
    def add(note: Note):
        with lock, connection:
            row = connection.execute("INSERT INTO note (text) VALUES (?)", (note.text,))
            return {"id": row.lastrowid}

    @app.get("/notes")
    def newest() -> list[Note]:
        with lock:
            rows = connection.execute("SELECT text FROM note ORDER BY id DESC LIMIT 20")
            return [Note(text=text) for (text,) in rows]

    return app


def run(stage):
    listener = stage.listen()
    config = uvicorn.Config(
        application(stage.folder / "notes.db"),
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    stage.load("http_load", listener.getsockname()[1], 40, 4)
    stage.begin()
    uvicorn.Server(config).run(sockets=[listener])
