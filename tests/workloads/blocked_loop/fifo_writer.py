"""Companion: writes a reading into a FIFO 200 ms after it is asked for one.

usage: fifo_writer FIFO
"""

import os
import socket
import sys
import time

import companions

WRITE_SECONDS = 0.2


def main(path):
    companions.die_with_parent()
    fifo = os.open(path, os.O_RDWR)
    listener = socket.create_server(("127.0.0.1", 0))
    companions.announce(listener.getsockname()[1])
    peer, _ = listener.accept()
    while peer.recv(64):
        time.sleep(WRITE_SECONDS)
        os.write(fifo, b"21.5\n")


if __name__ == "__main__":
    main(sys.argv[1])
