"""Waiting for a server that has just been started."""

import socket
import time

START_SECONDS = 30


def until_it_listens(port):
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
