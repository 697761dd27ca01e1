"""Companion: locks a database for 300 ms when told to, and says so when it has.

usage: lock_holder DATABASE
"""

import socket
import sqlite3
import sys
import time

import companions

HOLD_SECONDS = 0.3


def main(path):
    companions.die_with_parent()
    database = sqlite3.connect(path, timeout=10, isolation_level=None)
    listener = socket.create_server(("127.0.0.1", 0))
    companions.announce(listener.getsockname()[1])
    peer, _ = listener.accept()
    while peer.recv(64):
        database.execute("BEGIN EXCLUSIVE")
        peer.sendall(b"held\n")
        time.sleep(HOLD_SECONDS)
        database.execute("COMMIT")


if __name__ == "__main__":
    main(sys.argv[1])
