"""inotify over folders, by ctypes: which files were changed since the last look."""

import ctypes
import os
import struct

# <sys/inotify.h>, <fcntl.h>
IN_CLOSE_WRITE = 0x8
IN_MOVED_TO = 0x80
EVENT = struct.Struct("iIII")
BUFFER_BYTES = 64 * 1024

LIBC = ctypes.CDLL(None, use_errno=True)


class CodebaseWatch:
    def __init__(self):
        self.descriptor = checked(LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self.folders = {}

    def add(self, folder):
        mask = IN_CLOSE_WRITE | IN_MOVED_TO
        watch = LIBC.inotify_add_watch(self.descriptor, os.fsencode(folder), mask)
        self.folders[checked(watch)] = folder

    def changes(self):
        """The paths of the files that were written, each once."""
        changed = set()
        for watch, name in self.events():
            changed.add(os.path.join(self.folders[watch], name))
        return changed

    def events(self):
        while True:
            try:
                buffer = os.read(self.descriptor, BUFFER_BYTES)
            except BlockingIOError:
                return
            at = 0
            while at < len(buffer):
                watch, _, _, length = EVENT.unpack_from(buffer, at)
                at += EVENT.size
                yield watch, os.fsdecode(buffer[at : at + length].rstrip(b"\0"))
                at += length


def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
