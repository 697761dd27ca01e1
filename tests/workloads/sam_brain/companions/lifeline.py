"""How a companion begins and ends: it follows the process that started it."""

import json
import os
import signal
import sys
import threading


def announce(**found):
    """Says where it is found, in one line."""
    # Ctrl-C is meant for the assistant, which then closes the line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps(found), flush=True)


def wait_for_go():
    """Returns when it may make load."""
    if not sys.stdin.readline():
        os._exit(0)


def hold():
    """From now on ends with its standard input."""
    threading.Thread(target=_follow, daemon=True).start()


def _follow():
    sys.stdin.read()
    os._exit(0)
