"""Opens and closes a file from code that is hot enough to be specialised, and compiled where the
interpreter does that (PYTHON_JIT=1).

usage: hot_code.py COUNT
Says HOT when it is; after that it opens the file COUNT times.
"""

import os
import sys

import handshake

PATH = "/dev/null"
# More than each version takes until it compiles a loop.
WARM_UP = 5000


def opened(number):
    for step in range(40):
        number += step
    fd = os.open(  # SITE opens
        PATH,
        os.O_RDONLY,
    )
    number -= 1
    os.close(fd)  # SITE closes
    return number


class Shop:
    def sells(self, number):
        return opened(number) if number % 2 else opened(-number)  # SITE sells


def generated(shop, count):
    for number in range(count):
        yield shop.sells(number)  # SITE generates


def run(count):
    total = 0
    for each in generated(Shop(), count):  # SITE runs
        total += each
    return total


def main(count):
    handshake.start()
    jit = getattr(sys, "_jit", None)
    for rounds, word in ((WARM_UP, "HOT"), (count, "RAN")):
        run(rounds)  # SITE begins
        handshake.say(word)
    handshake.say("DONE " + ("compiled" if jit and jit.is_enabled() else "interpreted"))
    handshake.hear()


if __name__ == "__main__":
    main(int(sys.argv[1]))
