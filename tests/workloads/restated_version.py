"""Copies the running interpreter and has the copy state another version of itself.

usage: restated_version.py FOLDER MINOR MICRO

Prints where the copy is, or nothing when the program does not hold the runtime itself.
"""

import os
import shutil
import sys

COOKIE = b"xdebugpy"


def restate(folder, minor, micro):
    program = os.path.realpath(sys.executable)
    with open(program, "rb") as file:
        image = bytearray(file.read())
    at = image.find(COOKIE + sys.hexversion.to_bytes(8, "little"))
    if at < 0:
        return None
    stated = 3 << 24 | minor << 16 | micro << 8 | 0xF0
    image[at + 8 : at + 16] = stated.to_bytes(8, "little")
    copy = os.path.join(folder, "python3.%d" % sys.version_info[1])
    shutil.copy(program, copy)
    with open(copy, "wb") as file:
        file.write(image)
    return copy


if __name__ == "__main__":
    copy = restate(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    if copy:
        print(copy)
