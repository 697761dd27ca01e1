"""Which files were written, from the kernel: inotify, which the standard library does not have."""

import ctypes
import os
import pathlib
import select
import struct

# <sys/inotify.h>
IN_CLOSE_WRITE = 0x8
IN_MOVED_TO = 0x80
IN_CLOEXEC = os.O_CLOEXEC
EVENT = struct.Struct("iIII")
BUFFER_BYTES = 65536

LIBC = ctypes.CDLL(None, use_errno=True)


class WrittenFiles:
    """Watches each directory of a tree that exists now."""

    def __init__(self, root):
        self.descriptor = checked(LIBC.inotify_init1(IN_CLOEXEC))
        self.poll = select.poll()
        self.poll.register(self.descriptor, select.POLLIN)
        self.folders = {}
        for folder, _, _ in os.walk(str(root)):
            wanted = IN_CLOSE_WRITE | IN_MOVED_TO
            watch = LIBC.inotify_add_watch(self.descriptor, os.fsencode(folder), wanted)
            self.folders[checked(watch)] = pathlib.Path(folder)

    def within(self, seconds):
        """The files that were written until now; waits for the first for at most `seconds`."""
        if not self.poll.poll(seconds * 1000):
            return set()
        events = os.read(self.descriptor, BUFFER_BYTES)
        written = set()
        while events:
            watch, _, _, length = EVENT.unpack_from(events)
            end = EVENT.size + length
            name = os.fsdecode(events[EVENT.size : end].rstrip(b"\0"))
            written.add(self.folders[watch] / name)
            events = events[end:]
        return written


def checked(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, "failed to watch for written files: " + os.strerror(error))
    return result
