"""The handlers: what each does between two turns of the loop. `none` and `thread` do not block.

Each blocks for some 0.2 to 0.4 s. What it waits for is in a companion process.
"""

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import time

from blocked_loop import resolver


class Requests:
    """requests.get of a slow server"""

    def __init__(self, session):
        import requests

        self.requests = requests
        self.url = session.start_companion("blocked_loop.slow_server")

    async def handle(self):
        return self.requests.get(self.url, timeout=10).text  # SITE requests event-loop-blocked


class Sleep:
    """time.sleep"""

    def __init__(self, _):
        self.seconds = 0.25

    async def handle(self):
        time.sleep(self.seconds)  # SITE sleep event-loop-blocked
        return "slept"


class Sqlite:
    """an SQL statement that waits for another process's lock"""

    def __init__(self, session):
        path = str(session.folder / "visits.db")
        self.database = sqlite3.connect(path, timeout=10, isolation_level=None)
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute("CREATE TABLE visit (at REAL)")
        self.holder = connect(session.start_companion("blocked_loop.lock_holder", path))

    async def handle(self):
        self.holder.sendall(b"hold\n")
        self.holder.recv(8)
        self.database.execute("INSERT INTO visit VALUES (1)")  # SITE sqlite event-loop-blocked
        return "noted"


class Subprocess:
    """subprocess.run of a program that takes its time"""

    def __init__(self, _):
        self.command = ["sleep", "0.3"]

    async def handle(self):
        subprocess.run(self.command, check=True)  # SITE subprocess event-loop-blocked
        return "run"


class Getaddrinfo:
    """socket.getaddrinfo of a name that is answered slowly"""

    def __init__(self, session):
        port = int(session.start_companion("blocked_loop.slow_dns"))
        resolver.ask_only_at("127.0.0.1", port)
        # The final dot: never with the machine's own search domains.
        self.host = "slow.blocked-loop.test."

    async def handle(self):
        found = socket.getaddrinfo(self.host, 80)  # SITE getaddrinfo event-loop-blocked
        return found[0][4][0]


class Fifo:
    """a read of a FIFO that is written 200 ms later"""

    def __init__(self, session):
        path = str(session.folder / "readings")
        os.mkfifo(path)
        self.writer = connect(session.start_companion("blocked_loop.fifo_writer", path))
        # Both ways, so that it opens without the other end.
        self.fifo = os.open(path, os.O_RDWR)

    async def handle(self):
        self.writer.sendall(b"write\n")
        return os.read(self.fifo, 64).decode()  # SITE fifo event-loop-blocked


class Json:
    """json.loads of a document of 50 MB"""

    def __init__(self, _):
        record = {"agent": "agent-1", "score": 0.5, "seen": [1, 2, 3], "text": "word " * 40}
        record = json.dumps(record)
        self.document = "[%s]" % ",".join([record] * (50000000 // len(record)))

    async def handle(self):
        records = json.loads(self.document)  # SITE json event-loop-blocked
        return len(records)


class Nothing:
    """awaits asyncio.sleep"""

    def __init__(self, _):
        self.seconds = 0.25

    async def handle(self):
        await asyncio.sleep(self.seconds)  # SITE none
        return "slept"


class Thread:
    """time.sleep in a thread, by asyncio.to_thread"""

    def __init__(self, _):
        self.seconds = 0.25

    async def handle(self):
        await asyncio.to_thread(time.sleep, self.seconds)  # SITE thread
        return "slept"


def connect(port):
    return socket.create_connection(("127.0.0.1", int(port)))


BLOCKERS = {
    "requests": Requests,
    "sleep": Sleep,
    "sqlite": Sqlite,
    "subprocess": Subprocess,
    "getaddrinfo": Getaddrinfo,
    "fifo": Fifo,
    "json": Json,
    "none": Nothing,
    "thread": Thread,
}
