"""Keeps a megabyte more each second at one line, while another makes and drops as much.
"""

import time

import handshake

STEP = 20_000
KEPT = []


def keeps():
    KEPT.append(bytearray(STEP))  # SITE keeps


def drops():
    return [bytes(500) for _ in range(STEP // 500)]


handshake.start()
while True:
    keeps()
    drops()
    time.sleep(0.02)
