"""Copies the session to the analytics archive, as a program beside echoes:
`python -m echoes.exporter FOLDER`. While it copies it has the lock of the session.
"""

import fcntl
import os
import sys
import time

from audited import companion, pace

SECONDS_BETWEEN_COPIES = 1.5
# The archive is across a network in the audited system.
COPY_SECONDS = 0.4


def copy(folder, lock):
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        with open(os.path.join(folder, "session.json")) as session:
            copied = session.read()
        time.sleep(COPY_SECONDS)
        return len(copied)
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def main(folder):
    with open(os.path.join(folder, "session.lock"), "w") as lock:
        companion.announce()
        for _ in pace.every(SECONDS_BETWEEN_COPIES):
            copy(folder, lock)


if __name__ == "__main__":
    main(sys.argv[1])
