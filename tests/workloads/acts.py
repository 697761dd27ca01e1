"""Does a known amount of one sort of thing, each at a line of its own.

usage: acts.py spawns|connections|blocking|off-cpu|on-cpu|mapped|read|written FOLDER
"""

import mmap
import os
import socket
import sys
import threading
import time

import handshake

COUNT = 20
SLEEP_SECONDS = 0.05
COMPUTE_SECONDS = 3
BYTES = 1 << 20
KEPT = []


def spawns(folder):
    for _ in range(COUNT):
        child = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], {})  # SITE spawns
        os.waitpid(child, 0)
    return COUNT


def connections(folder):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(COUNT)
        for _ in range(COUNT):
            with socket.socket() as client:
                client.connect(listener.getsockname())  # SITE connections
    return COUNT


def sleep():
    began = time.monotonic()
    for _ in range(COUNT):
        time.sleep(SLEEP_SECONDS)  # SITE blocking
    return int((time.monotonic() - began) * 1e6)


def blocking(folder):
    return sleep()


def off_cpu(folder):
    return sleep()


def on_cpu(folder):
    until = time.thread_time() + COMPUTE_SECONDS
    while time.thread_time() < until:
        sum(range(20000))  # SITE on-cpu
    return COMPUTE_SECONDS


def mapped(folder):
    for _ in range(COUNT):
        KEPT.append(mmap.mmap(-1, BYTES))  # SITE mapped
    for _ in range(COUNT // 2):
        KEPT.pop().close()
    return len(KEPT) * BYTES


def read(folder):
    path = os.path.join(folder, "read")
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, bytes(BYTES))
    for _ in range(COUNT):
        os.pread(file, BYTES, 0)  # SITE read
    os.close(file)
    return COUNT * BYTES


def written(folder):
    file = os.open(os.path.join(folder, "written"), os.O_WRONLY | os.O_CREAT, 0o600)
    block = bytes(BYTES)
    for _ in range(COUNT):
        os.pwrite(file, block, 0)  # SITE written
    os.close(file)
    return COUNT * BYTES


SORTS = {
    "spawns": spawns, "connections": connections, "blocking": blocking, "off-cpu": off_cpu,
    "on-cpu": on_cpu, "mapped": mapped, "read": read, "written": written,
}


def main(sort, folder):
    # What is done once in a process's life is done before the agent counts.
    threading.Thread(target=time.sleep, args=(0,)).start()
    handshake.start()
    handshake.say("DONE %d" % SORTS[sort](folder))
    handshake.hear()


if __name__ == "__main__":
    main(*sys.argv[1:])
