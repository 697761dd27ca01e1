"""Runs a command that does nothing, again and again: `spawns.py ITERATIONS`."""

import subprocess
import sys

from subject import measure


def run(iterations):
    for _ in range(iterations):
        subprocess.run(["true"], check=True)


if __name__ == "__main__":
    measure(run, int(sys.argv[1]))
