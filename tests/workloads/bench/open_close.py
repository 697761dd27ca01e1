"""Opens and closes a file, 16 frames deep: `open_close.py ITERATIONS`."""

import sys

from subject import measure

FRAMES = 16
# The frames of the module, measure(), run() and the innermost descend().
OWN_FRAMES = 4


def descend(frames, iterations):
    if frames:
        return descend(frames - 1, iterations)
    for _ in range(iterations):
        with open(__file__):
            pass


def run(iterations):
    descend(FRAMES - OWN_FRAMES, iterations)


if __name__ == "__main__":
    measure(run, int(sys.argv[1]))
