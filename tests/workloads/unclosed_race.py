"""Files left to the collector while other threads take their numbers at once; beside them, in the
same threads, descriptors that are closed in good order.

usage: unclosed_race.py FOLDER SECONDS
"""

import os
import sys
import threading
import time

import handshake

FILE = os.path.join(sys.argv[1], "file")


def left_open():
    open(FILE)  # SITE left_open


def kept_in_order():
    return os.open(FILE, os.O_RDONLY)  # SITE kept_in_order


def leave(end):
    while time.monotonic() < end:
        fd = kept_in_order()
        for _ in range(20):
            left_open()
        os.close(fd)


def take_numbers(end):
    while time.monotonic() < end:
        for fd in [os.dup(0) for _ in range(5)]:
            os.close(fd)


def main(seconds):
    with open(FILE, "w"):
        pass
    handshake.start()
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=act, args=(end,)) for act in [leave, take_numbers] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handshake.say("DONE")
    handshake.hear()


if __name__ == "__main__":
    main(float(sys.argv[2]))
