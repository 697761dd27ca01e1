"""An event loop that computes for 20 ms, ten times a second, on a CPU that three others want too.

Once told to end it prints how long its turns took at most, in seconds.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time

import companions
import handshake

COMPUTES = 0.02
PAUSE = 0.1
OTHERS = 3
TOLD_TO_END = threading.Event()


def compute():
    until = time.thread_time() + COMPUTES
    while time.thread_time() < until:
        sum(range(1000))


def hear_the_end():
    handshake.wait_for("end")
    TOLD_TO_END.set()


async def work():
    turns = []
    while not TOLD_TO_END.is_set():
        began = time.perf_counter()
        compute()
        turns.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    return turns


def main():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    others = [
        subprocess.Popen(
            [sys.executable, "-c", "while True: pass"], preexec_fn=companions.die_with_parent
        )
        for _ in range(OTHERS)
    ]
    try:
        handshake.start()
        threading.Thread(target=hear_the_end, daemon=True).start()
        turns = sorted(asyncio.run(work()))
        handshake.say("TURNS %d %f" % (len(turns), turns[len(turns) // 2]))
        handshake.hear()
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main()
