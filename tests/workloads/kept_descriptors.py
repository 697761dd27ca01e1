"""What the steps of descriptor_table.py share: the file they open, and what they leave open."""

import os
import socket
import sys

# Descriptors, or objects that own one.
KEPT = []

# Descriptors in a message.
RIGHTS = (socket.SOL_SOCKET, socket.SCM_RIGHTS)


def path(name="file"):
    return os.path.join(sys.argv[1], name)


def keep(*fds):
    KEPT.extend(fds)


def open_file():
    return os.open(path(), os.O_RDWR | os.O_CREAT)


def fails(number, call, *arguments):
    """The call must fail with this error."""
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError("the call did not fail")
