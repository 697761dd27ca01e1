"""Computes and makes no system call: `compute.py ITERATIONS`."""

import sys

from subject import measure


def run(iterations):
    value = 1
    for _ in range(iterations):
        value = (value * 1103515245 + 12345) % 2147483648


if __name__ == "__main__":
    measure(run, int(sys.argv[1]))
