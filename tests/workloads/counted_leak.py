"""Leaks a hundred files, five a second, and says when it has.

usage: counted_leak.py FOLDER
"""

import os
import sys
import time

import handshake

LEAKS = 100
SECONDS_BETWEEN = 0.2
KEPT = []


def leak(folder):
    KEPT.append(open(os.path.join(folder, "file"), "a"))  # SITE counted


def main(folder):
    handshake.start()
    due = time.monotonic()
    for _ in range(LEAKS):
        leak(folder)
        due += SECONDS_BETWEEN
        time.sleep(max(0, due - time.monotonic()))
    handshake.say("DONE")
    handshake.hear()


if __name__ == "__main__":
    main(sys.argv[1])
