"""Comes to hold COUNT descriptors, from ten different stacks in turn, a hundred in ten seconds.

usage: hold_many.py COUNT
"""

import os
import sys
import time

import handshake

STACKS = 10
KEPT = []


def hold(depth):
    if depth:
        hold(depth - 1)
    else:
        KEPT.append(os.dup(0))


def main(count):
    handshake.start()
    for number in range(count):
        hold(number % STACKS)
        time.sleep(0.1)
    handshake.say("DONE")
    handshake.hear()


if __name__ == "__main__":
    main(int(sys.argv[1]))
