"""A web service under load: FastAPI on uvicorn, with rows from SQLite: `service.py SECONDS`.

wrk asks it as fast as it answers, over kept-alive connections. An iteration is a request.
"""

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import uvicorn
from fastapi import FastAPI
from subject import stay

CONNECTIONS = 16
ROWS = 1000

app = FastAPI()
database = None


def fill(path):
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("create table books (id integer primary key, title text, pages integer)")
    rows = ((number, "Book %d" % number, number % 700) for number in range(ROWS))
    connection.executemany("insert into books values (?, ?, ?)", rows)
    connection.execute("create table visits (book integer, at text)")
    connection.commit()
    return connection


@app.get("/books/{number}")
async def book(number: int):
    row = database.execute("select title, pages from books where id = ?", (number,)).fetchone()
    if number % 10 == 0:
        database.execute("insert into visits values (?, datetime('now'))", (number,))
        database.commit()
    return {"title": row[0], "pages": row[1]}


SCRIPT = """
local number = 0
request = function()
  number = (number + 7) % 1000
  return wrk.format("GET", "/books/" .. number)
end
"""


def load(port, script, seconds):
    """Asks for so long; how many requests, and requests a second."""
    command = ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%ds" % seconds, "-s", script]
    command.append("http://127.0.0.1:%d" % port)
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed:
        raise RuntimeError(printed)
    count = int(re.search(r"(\d+) requests in", printed).group(1))
    return count, float(re.search(r"Requests/sec:\s+([\d.]+)", printed).group(1))


def converse(server, script, seconds):
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    load(port, script, 1)
    print("READY", flush=True)
    if sys.stdin.readline():
        used = time.process_time_ns()
        count, rate = load(port, script, seconds)
        used = time.process_time_ns() - used
        print("NANOSECONDS %.1f %.1f" % (1e9 / rate, used / count), flush=True)
        sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        database = fill(os.path.join(folder, "books.db"))
        script = os.path.join(folder, "load.lua")
        with open(script, "w") as file:
            file.write(SCRIPT)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
        server = uvicorn.Server(config)
        talk = threading.Thread(
            target=converse, args=(server, script, int(sys.argv[1])), daemon=True
        )
        talk.start()
        stay()  # the load, which `talk` starts, is not kept to that processor
        server.run()
