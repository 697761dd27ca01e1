"""How much work was done: a number in a file that the processes of one program share.

One thread of one process counts; any may look.
"""

import mmap
import struct

NUMBER = struct.Struct("=Q")


class Work:
    def __init__(self, path, create=False):
        self.path = path
        if create:
            with open(path, "wb") as file:
                file.write(bytes(NUMBER.size))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), NUMBER.size)

    def did(self, more=1):
        NUMBER.pack_into(self.memory, 0, self.count() + more)

    def count(self):
        return NUMBER.unpack_from(self.memory)[0]
