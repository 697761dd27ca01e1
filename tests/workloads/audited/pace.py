"""A steady pace: what is late is caught up with, so that a rate holds over any time."""

import itertools
import time


def every(seconds):
    """Counts from 0, one number each `seconds`."""
    start = time.monotonic()
    for number in itertools.count():
        yield number
        time.sleep(max(0, start + (number + 1) * seconds - time.monotonic()))
