"""Keeps a megabyte more each second at one line, while another makes and drops small objects.

Those do not lie where the kept ones do: an allocator that gives both from one place asks the system
for more at either line.
"""

import time

import handshake

STEP = 20_000
KEPT = []


def keeps():
    KEPT.append(bytearray(STEP))  # SITE keeps


def drops():
    return [bytes(100) for _ in range(200)]


handshake.start()
while True:
    keeps()
    drops()
    time.sleep(0.02)
