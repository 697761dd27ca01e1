"""Leaks one kind of descriptor at a steady rate, beside healthy work of the same kind.

usage: leak.py KIND SECONDS_BETWEEN_LEAKS FOLDER
"""

import ctypes
import os
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

import handshake

KEPT = []
LIBC = ctypes.CDLL(None)
FOLDER = sys.argv[3]
HEALTHY_PER_LEAK = 5


def path(name="file"):
    return os.path.join(FOLDER, name)


def leak_file():
    KEPT.append(open(path("file"), "a"))  # SITE file


def leak_socket():
    KEPT.append(socket.socket())  # SITE socket


def leak_pipe():
    KEPT.append(os.pipe())  # SITE pipe


def leak_epoll():
    KEPT.append(select.epoll())  # SITE epoll


def leak_inotify():
    KEPT.append(LIBC.inotify_init1(0))  # SITE inotify


def leak_mkstemp():
    KEPT.append(tempfile.mkstemp(dir=FOLDER))  # SITE mkstemp


def leak_named_temporary_file():
    KEPT.append(tempfile.NamedTemporaryFile(dir=FOLDER))  # SITE named_temporary_file


def leak_popen():
    KEPT.append(subprocess.Popen(["cat"], stdin=-1, stdout=-1))  # SITE popen


def leak_sqlite():
    KEPT.append(sqlite3.connect(path("database")))  # SITE sqlite


def leak_package():
    from filelock import FileLock

    lock = FileLock(path("lock-%d" % len(KEPT)))
    lock.acquire()  # SITE package
    KEPT.append(lock)


def healthy():
    with open(path("healthy"), "a"):
        pass
    with socket.socket():
        pass
    for end in os.pipe():
        os.close(end)
    with tempfile.TemporaryFile(dir=FOLDER):
        pass


def main(kind, interval):
    leak = globals()["leak_" + kind]
    handshake.start()
    due = time.monotonic()
    while True:
        leak()
        for _ in range(HEALTHY_PER_LEAK):
            healthy()
            time.sleep(interval / HEALTHY_PER_LEAK / 2)
        due += interval
        time.sleep(max(0, due - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
