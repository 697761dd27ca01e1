"""A service that does everything wrong at once, or the same work done right.

Each thread does one thing a few times a second, so that each metric moves and most rules find
something. `fixed` does what the findings advise.

usage: faulty_service.py faulty|fixed FOLDER
"""

import asyncio
import mmap
import os
import resource
import socket
import subprocess
import sys
import threading
import time

import handshake

DESCRIPTORS = 4096
PAUSE = 0.2
KEPT = []


def path(name):
    return os.path.join(sys.argv[2], name)


def leak():
    KEPT.append(open(path("leaked"), "a"))
    KEPT.append(socket.socket())


def open_and_close():
    with open(path("healthy"), "a"):
        pass


def drop():
    open(path("settings")).read()


def grow():
    KEPT.append(bytearray(os.urandom(1 << 16) * 4))


def spawn():
    subprocess.call(["true"])
    subprocess.call(["false"])


def forget_child():
    if len(KEPT) % 50 == 0:
        KEPT.append(subprocess.Popen(["true"]))


def scan():
    os.listdir(sys.argv[2])
    for name in ("settings", "missing"):
        os.path.exists(path(name))


def read_again():
    with open(path("data"), "rb") as data:
        while data.read(1 << 16):
            pass


def write():
    with open(path("journal"), "a") as journal:
        for _ in range(20):
            journal.write("x")
            journal.flush()
        os.fsync(journal.fileno())


def map_and_unmap():
    mmap.mmap(-1, 1 << 20).close()


def start_thread():
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start()
    thread.join()


class Peers:
    """A server that takes one connection at a time and hangs up at once, and a port without one."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        with socket.create_server(("127.0.0.1", 0)) as closed:
            self.nobody = closed.getsockname()

    def serve_slowly(self):
        connection, _ = self.listener.accept()
        time.sleep(0.05)
        connection.close()

    def connect(self):
        connections = [socket.create_connection(self.listener.getsockname()) for _ in range(2)]
        for connection in connections:
            connection.send(b"x")
            connection.close()

    def retry(self):
        try:
            socket.create_connection(self.nobody).close()
        except OSError:
            pass


async def block_the_loop():
    while True:
        time.sleep(PAUSE)
        await asyncio.sleep(PAUSE)


async def leave_the_loop_alone():
    while True:
        await asyncio.sleep(PAUSE)


def forever(act, pause):
    while True:
        act()
        time.sleep(pause)


def start(acts, pause=PAUSE):
    for act in acts:
        threading.Thread(target=forever, args=(act, pause), name=act.__name__, daemon=True).start()


def main(mode):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    for name, size in (("settings", 10), ("data", 1 << 18)):
        with open(path(name), "wb") as file:
            file.write(bytes(size))
    handshake.start()
    if mode == "fixed":
        start([open_and_close], pause=1)
        asyncio.run(leave_the_loop_alone())
    peers = Peers()
    start([peers.serve_slowly], pause=0)
    start([leak, drop, grow, spawn, forget_child, scan, read_again, write, map_and_unmap])
    start([start_thread, peers.connect, peers.retry])
    asyncio.run(block_the_loop())


if __name__ == "__main__":
    main(sys.argv[1])
