"""What a thread does in an interpreter of its own: opens files on record, and leaks some.

It is imported by each interpreter for itself (`subinterpreters.py`, `embedded.c`), so that nothing
here is shared between them.
"""

import os
import socket
import sys
import threading
import time

import truth

KEPT = []

# Before 3.12 a thread that runs code of another interpreter is bound to its first one all the
# time, and asyncio keeps loops of all interpreters in one place, where they meet.
INTERPRETERS_ARE_APART = sys.version_info >= (3, 12)


def deeper(depth, count):
    if depth:
        return deeper(depth - 1, count)
    for _ in range(count):
        os.close(os.open(truth.fresh(), truth.CREATE))


def generator(count):
    for _ in range(count):
        yield os.close(os.open(truth.fresh(), truth.CREATE))


async def in_task(asyncio, count):
    for _ in range(count):
        os.close(os.open(truth.fresh(), truth.CREATE))
        await asyncio.sleep(0)


async def in_tasks(asyncio, count):
    await asyncio.gather(in_task(asyncio, count), in_task(asyncio, count))


def work(count):
    deeper(3, count)
    deeper(30, count)
    list(generator(count))


def run_in_threads(function, *threads):
    threads = [threading.Thread(target=function, args=arguments) for arguments in threads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def work_in_threads(count):
    run_in_threads(work, (count,), (count,))


def in_loop(count):
    # 3.12.1 does not live through a second import of it after the interpreter was taken down.
    import asyncio

    asyncio.run(in_tasks(asyncio, count))


def begin(folder):
    os.makedirs(folder)
    del truth.RECORDS[:]
    if truth.FOLDER is None:
        truth.install(folder)
    else:
        truth.FOLDER = folder + "/"


def finish(folder):
    truth.write(folder + ".json")


def record(folder, count):
    """Opens files in `folder`, in threads and in tasks, and writes the record."""
    begin(folder)
    if INTERPRETERS_ARE_APART:
        work(count)
        in_loop(count)
    work_in_threads(count)
    finish(folder)


def leak():
    KEPT.append(socket.socket())  # SITE inside


def leak_on(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        leak()
        time.sleep(0.25)


def leak_for(seconds):
    run_in_threads(leak_on, (seconds,))
