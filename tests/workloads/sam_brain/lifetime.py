"""The end of a row: its companions go first, then its folder."""

import os
import shutil
import sys
import threading

from . import companion

# Threads of the row go on writing while its folder is taken away.
ATTEMPTS = 5

# Taken for ever by the thread that ends the program; again, when it is interrupted.
ENDING = threading.RLock()


def end_with_input(home):
    """Ends the program as soon as its standard input does."""
    threading.Thread(target=_watch, args=(home,), name="standard-input", daemon=True).start()


def _watch(home):
    sys.stdin.read()
    end_at_once(home)


def end_at_once(home):
    """Cleans up under threads that still run: what they find missing then is no news."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    end(home)
    os._exit(0)


def end(home):
    """Stops the companions and removes the folder, as far as that is possible."""
    ENDING.acquire()
    companion.dismiss_all()
    for _ in range(ATTEMPTS):
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
