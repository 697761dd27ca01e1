"""Companion: unpacks model weights, which takes its time, and hands them out.

usage: model_store send          to each asking connection, when asked
       model_store publish PATH  as files PATH/weights-N, of which it keeps two
"""

import os
import socket
import sys
import time
from pathlib import Path

import companions

UNPACK_SECONDS = 5
WEIGHT_BYTES = 160 << 20


def unpack(version):
    time.sleep(UNPACK_SECONDS)
    block = bytes((byte + version) % 256 for byte in range(256)) * 4096
    return block * (WEIGHT_BYTES // len(block))


def send():
    listener = socket.create_server(("127.0.0.1", 0))
    companions.announce(listener.getsockname()[1])
    peer, _ = listener.accept()
    with peer, peer.makefile("r") as requests:
        for request in requests:
            weights = unpack(int(request))
            peer.sendall(len(weights).to_bytes(8, "big"))
            peer.sendall(weights)


def publish(folder):
    companions.announce("publishing")
    version = 0
    while True:
        version += 1
        part = folder / "weights.part"
        part.write_bytes(unpack(version))
        # Whole or not at all: the runner may look at any moment.
        os.rename(str(part), str(folder / ("weights-%d" % version)))
        if version > 2:
            (folder / ("weights-%d" % (version - 2))).unlink()


def main():
    companions.die_with_parent()
    if sys.argv[1] == "send":
        send()
    else:
        publish(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
