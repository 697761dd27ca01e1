"""Program: takes a picture of the screen into a PNG file, as slowly as a real one does.

usage: screen_grabber SECONDS PATH
"""

import struct
import sys
import time
import zlib

import companions

WIDTH, HEIGHT = 640, 400


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png():
    rows = b"".join(b"\0" + bytes((x ^ y) & 0xFF for x in range(WIDTH)) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    picture = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + picture


def main():
    companions.die_with_parent()
    ready_at = time.monotonic() + float(sys.argv[1])
    picture = png()
    time.sleep(max(0, ready_at - time.monotonic()))
    with open(sys.argv[2], "wb") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
