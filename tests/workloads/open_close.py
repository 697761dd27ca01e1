"""Opens and closes a file as fast as it can, COUNT times; for ever without COUNT.

usage: open_close.py [COUNT]
"""

import itertools
import os
import sys

import handshake


def main(rounds):
    handshake.start()
    for _ in rounds:
        os.close(os.open("/dev/null", os.O_RDONLY))
    handshake.say("DONE")
    handshake.hear()


if __name__ == "__main__":
    main(range(int(sys.argv[1])) if sys.argv[1:] else itertools.count())
