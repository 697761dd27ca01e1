"""Calls that do not end as they began: interrupted, restarted, killed, replaced.

usage: interrupted.py signals|stops|turnover|exec [COUNT]

Each does it COUNT times when told `go`, prints how long the longest of it can have taken, and waits
for its end.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import handshake


def signals(count):
    """Waits that a signal ends, over and over."""
    hits = []
    signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    reader, _ = os.pipe()
    began = time.perf_counter()
    while len(hits) < count:
        time.sleep(0.003)
        select.select([reader], [], [], 0.003)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {"hits": len(hits), "seconds": time.perf_counter() - began, "longest": 0.003}


def stops(count):
    """One sleep a round, stopped and continued in its middle by somebody else."""
    program = (
        "import os, signal, sys, time\n"
        "for _ in range(int(sys.argv[2])):\n"
        "    time.sleep(0.004)\n"
        "    os.kill(int(sys.argv[1]), signal.SIGSTOP)\n"
        "    os.kill(int(sys.argv[1]), signal.SIGCONT)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(os.getpid()), str(count)])
    began = time.perf_counter()
    longest = 0.0
    while other.poll() is None:
        before = time.perf_counter()
        time.sleep(0.05)
        longest = max(longest, time.perf_counter() - before)
    return {"seconds": time.perf_counter() - began, "longest": longest}


def turnover(count):
    """Everything that has an entry somewhere, made and ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    address = listener.getsockname()
    for number in range(count):
        near, far = socket.socketpair()
        with socket.create_connection(address, timeout=1):
            listener.accept()[0].close()
        near.close()
        far.close()
        del near, far
        block = bytearray(600_000)
        del block
        if number % 10 == 0:
            thread = threading.Thread(target=time.sleep, args=(0,))
            thread.start()
            thread.join()
        if number % 20 == 0:
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return {"longest": 60}


def replaced(_count):
    """Runs itself anew in place while twenty threads are blocked."""
    reader, _ = os.pipe()
    for _ in range(20):
        threading.Thread(target=os.read, args=(reader, 1), daemon=True).start()
    os.execv(sys.executable, [sys.executable, __file__, "blocked"])


def blocked():
    """What it then is."""
    time.sleep(0.3)
    handshake.say("DONE " + json.dumps({"longest": 60}))
    handshake.hear()


DEEDS = {"signals": signals, "stops": stops, "turnover": turnover, "exec": replaced}

if __name__ == "__main__":
    if sys.argv[1] == "blocked":
        blocked()
        os._exit(0)
    handshake.start()
    handshake.say("DONE " + json.dumps(DEEDS[sys.argv[1]](int(sys.argv[2]))))
    handshake.hear()
