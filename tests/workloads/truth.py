"""CPython's own record of the stack at each descriptor call, to hold against pitviper's.

The audit hook runs inside the C function that is about to make the syscall, so the frame that
called it stands at the very instruction that the syscall sees: this covers calls made by the
standard library too. Calls without an audit event are noted by an argument of the call itself.
Nothing is written before the run is over: the record itself makes no descriptor call.
"""

import itertools
import json
import os
import sys
import threading
import traceback

RECORDS = []
DONE = 0
FOLDER = None
CREATE = os.O_RDWR | os.O_CREAT
_numbers = itertools.count(1)


def stack_of(frame):
    """The stack as one new string: no name of the program is kept alive by the record."""
    frames = []
    while frame is not None:
        code = frame.f_code
        frames.append("%s\0%s\0%d" % (code.co_filename, code.co_name, frame.f_lineno))
        frame = frame.f_back
    return "\1".join(frames)


def _audit(event, arguments):
    if event == "open":
        path = arguments[0]
        # The folder itself is named by `tempfile`, whose opener then opens a file in it.
        if isinstance(path, str) and path.startswith(FOLDER) and path != FOLDER:
            RECORDS.append((("open", path), stack_of(sys._getframe(1))))
    elif event == "socket.__new__":
        frame = sys._getframe(1)
        # A socket made around an existing descriptor makes no call.
        if frame.f_locals.get("fileno") is None:
            RECORDS.append((("socket", threading.get_native_id()), stack_of(frame)))


def install(folder):
    """Starts to record calls on paths below `folder`."""
    global FOLDER
    FOLDER = folder + "/"
    _check_against_traceback()
    sys.addaudithook(_audit)


def fresh():
    """A path that was never used."""
    return "%s%07d" % (FOLDER, next(_numbers))


def call(kind, value=None):
    """Notes the caller's stack as that of the call `kind` on the same line; gives `value`."""
    RECORDS.append(((kind, threading.get_native_id()), stack_of(sys._getframe(1))))
    return value


def closing(value, path):
    """Notes the caller's stack as that of the close, on the same line, of what `path` opened."""
    RECORDS.append((("close", path), stack_of(sys._getframe(1))))
    return value


def write(name):
    """Writes the record: each different stack once, and key and stack number of each call."""
    records = list(RECORDS)
    stacks = {}
    calls = [[list(key), stacks.setdefault(stack, len(stacks))] for key, stack in records]
    listed = []
    for stack in stacks:
        frames = [frame.split("\0") for frame in stack.split("\1")]
        listed.append([[file, function, int(line)] for file, function, line in frames])
    with open(name, "w") as out:
        json.dump({"calls": calls, "stacks": listed}, out)
    return len(records)


def _check_against_traceback():
    """The record must be what `traceback.extract_stack` gives."""
    frame = sys._getframe()
    own = [entry.split("\0") for entry in stack_of(frame).split("\1")]
    expected = [
        [entry.filename, entry.name, str(entry.lineno)]
        for entry in reversed(traceback.extract_stack(frame))
    ]
    # Two lines of this function are involved: the frame itself moves on between them.
    own[0][2] = expected[0][2] = None
    if own != expected:
        raise AssertionError("%r is not %r" % (own, expected))
