"""The line protocol between a workload and its test: READY, then act when told."""

import signal
import sys

# No workload outlives its test by much, even when the test was killed.
LIFETIME_SECONDS = 900


def ready():
    """Tells the test that it may attach."""
    signal.alarm(LIFETIME_SECONDS)
    say("READY")


def say(word):
    """Prints one line at once."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def hear():
    """The next line from the test; ends the program when the test is gone."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return line.strip()


def wait_for(word):
    """Reads lines until the test says `word`."""
    while hear() != word:
        pass


def start():
    """Is ready, and returns when told to go."""
    ready()
    wait_for("go")
