"""Leaks in one Python, then becomes another in place, and leaks on there at another line.

usage: exec_in_place.py OTHER_PYTHON [LIBRARY_PATH]
"""

import os
import socket
import sys
import time

import handshake

KEPT = []
LEAKS_BEFORE = 8


def leak_before():
    KEPT.append(socket.socket())  # SITE before


def leak_after():
    KEPT.append(os.dup(1))  # SITE after


def main(arguments):
    if arguments[0] == "after":
        while True:
            leak_after()
            time.sleep(0.25)
    handshake.start()
    for _ in range(LEAKS_BEFORE):
        leak_before()
        time.sleep(0.25)
    # One that is not closed on exec stays in the ledger of the new program.
    inherited = socket.socket()  # SITE inherited
    inherited.set_inheritable(True)
    handshake.say("EXEC %s" % sys.version.split()[0])
    os.execv(arguments[0], [arguments[0], __file__, "after"])


if __name__ == "__main__":
    main(sys.argv[1:])
