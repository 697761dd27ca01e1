"""A computation of known result by several threads that opens, reads and closes files.

usage: computation.py FOLDER ROUNDS
"""

import hashlib
import os
import sys
import threading

import handshake

THREADS = 4


def compute(folder, number, rounds, digests, half):
    digest = b"start %d" % number
    name = os.path.join(folder, str(number))
    for turn in range(rounds):
        if turn == rounds // 2:
            half.release()
        with open(name, "wb") as out:
            out.write(digest)
        with open(name, "rb") as saved:
            digest = hashlib.sha256(saved.read()).digest()
    digests[number] = digest


def main(folder, rounds):
    handshake.start()
    digests = [None] * THREADS
    half = threading.Semaphore(0)
    threads = [
        threading.Thread(target=compute, args=(folder, number, rounds, digests, half))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    half.acquire()
    handshake.say("HALF")
    for thread in threads:
        thread.join()
    handshake.say("DONE " + hashlib.sha256(b"".join(digests)).hexdigest())
    handshake.hear()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
