"""The users of the API: each asks, waits for the answer, rests, and asks again.

usage: api_clients PORT METHOD PATH REST_SECONDS CLIENTS [METHOD PATH REST_SECONDS CLIENTS ...]
"""

import sys
import threading
import time
from http.client import HTTPConnection, HTTPException

from . import lifeline

QUESTION = b'{"question": "What is planned for today?"}'
PATIENCE_SECONDS = 120


def ask(port, method, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, QUESTION if method == "POST" else None)
        connection.getresponse().read()
    finally:
        connection.close()


def use(port, method, path, rest):
    while True:
        try:
            ask(port, method, path)
        except (OSError, HTTPException):
            # The server is going down; its end is this program's, too.
            pass
        time.sleep(rest)


def main(port, plans):
    lifeline.announce()
    lifeline.wait_for_go()
    lifeline.hold()
    for method, path, rest, clients in zip(*[iter(plans)] * 4):
        for _ in range(int(clients)):
            plan = (port, method, path, float(rest))
            threading.Thread(target=use, args=plan, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
