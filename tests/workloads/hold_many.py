"""Comes to hold COUNT descriptors, from ten different stacks in turn, a hundred in ten seconds.

usage: hold_many.py COUNT
"""

import os
import sys
import time

import handshake

STACKS = 10
# Calls after which no interpreter rewrites the bytecode of a line again. 3.11 makes a call at
# another instruction of its line once it is specialised, and that is another stack.
WARM_CALLS = 64
KEPT = []


def hold(depth):
    if depth:
        hold(depth - 1)
    else:
        KEPT.append(os.dup(0))


def main(count):
    for _ in range(WARM_CALLS):
        hold(STACKS)
    while KEPT:
        os.close(KEPT.pop())
    handshake.start()
    for number in range(count):
        hold(number % STACKS)
        time.sleep(0.1)
    handshake.say("DONE")
    handshake.hear()


if __name__ == "__main__":
    main(int(sys.argv[1]))
