"""Companion: once told to go, sends a request each half second, on a connection of its own.

usage: load PORT
"""

import http.client
import sys
import time

import companions

SECONDS_BETWEEN_REQUESTS = 0.5


def request(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/", headers={"Connection": "close"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit("the server answers %d: %r" % (answer.status, body))


def main(port):
    companions.die_with_parent()
    companions.announce("waiting")
    if not sys.stdin.readline():
        return
    due = time.monotonic()
    while True:
        try:
            request(port)
        except ConnectionError:
            # The server has gone.
            return
        # A late answer delays what follows: requests never pile up.
        now = time.monotonic()
        due = max(due + SECONDS_BETWEEN_REQUESTS, now)
        time.sleep(due - now)


if __name__ == "__main__":
    main(int(sys.argv[1]))
