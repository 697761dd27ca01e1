"""The pulse of a loop: turns at fixed times, however long each takes."""

import time


def every(seconds):
    """Yields the number of the turn, from 0, once in `seconds`."""
    turn = 0
    due = time.monotonic()
    while True:
        yield turn
        turn += 1
        due = max(due + seconds, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))
