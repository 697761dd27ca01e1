"""Blocks event loops, on three threads at once, in tasks of every sort of name.

Once told to go it imports asyncio, so that this comes after an attach, and blocks round after round
until told to end; then it prints the names of the tasks that blocked at each line.
"""

import json
import threading
import time

import handshake

# Longer than what counts as a stall, on a busy machine too.
SECONDS = 0.12
PAUSE = 0.02

# Not more than a report shows for one line.
HOSTILE = ["<b>\"&'", "new\nline", "\udcff", "\u4e2d\u6587", "\U0001f40d", "x" * 100, "", "\0nul"]
# What is kept of a name.
NAME_BYTES = 64

BLOCKED = {"sleep": set(), "compute": set(), "hostile": set(), "unnamed": set()}
TOLD_TO_END = threading.Event()


async def sleeper():
    time.sleep(SECONDS)  # SITE sleep


async def computer():
    # Of its own time: what a thread waits for a processor is not its line's.
    until = time.thread_time() + SECONDS
    while time.thread_time() < until:
        sum(range(200000))  # SITE compute


async def hostile():
    time.sleep(SECONDS)  # SITE hostile


async def unnamed():
    time.sleep(SECONDS)  # SITE unnamed


def callback():
    time.sleep(SECONDS)  # SITE callback


def shown(name):
    """The name as a report has it: cut, and with lone surrogates spelled out."""
    widest = max(map(ord, name), default=0)
    width = 1 if widest < 256 else 2 if widest < 65536 else 4
    kept = NAME_BYTES // width
    name = name[:kept] + ("\u2026" if len(name) > kept else "")
    return "".join("\\u%04x" % ord(c) if 0xD800 <= ord(c) < 0xE000 else c for c in name)


async def block(asyncio, coroutine, name=None):
    """Blocks the loop in a task of its own, in a turn of its own."""
    what = coroutine.__name__
    task = asyncio.ensure_future(coroutine)
    if name is not None:
        task.set_name(name)
    await task
    key = {"sleeper": "sleep", "computer": "compute"}.get(what, what)
    # Only now is an unnamed one asked: until then 3.12 has but a number.
    BLOCKED[key].add(shown(task.get_name()))
    await asyncio.sleep(PAUSE)


async def sleep_in_tasks(asyncio, loop_name):
    for number in range(3):
        await block(asyncio, sleeper(), "%s-%d" % (loop_name, number))


async def grow_old(asyncio):
    """Gets past the numbers that are never made anew, into memory that held larger ones before."""
    used = [1 << 50 | number for number in range(50000)]
    del used
    for _ in range(300):
        await asyncio.ensure_future(asyncio.sleep(0))


async def round_of_all(asyncio):
    threads = [
        threading.Thread(target=lambda name: asyncio.run(sleep_in_tasks(asyncio, name)), args=[n])
        for n in ("first", "second")
    ]
    for thread in threads:
        thread.start()
    # Tasks run on the other loops meanwhile, on this one only a callback.
    for _ in range(2):
        asyncio.get_running_loop().call_later(PAUSE, callback)
        await asyncio.sleep(PAUSE * 2)
    while any(thread.is_alive() for thread in threads):
        await asyncio.sleep(PAUSE)
    for number in range(2):
        await block(asyncio, computer(), "computer-%d" % number)
    await block(asyncio, unnamed())
    for name in HOSTILE:
        await block(asyncio, hostile(), name)


def hear_the_end():
    handshake.wait_for("end")
    TOLD_TO_END.set()


def main():
    handshake.start()
    import asyncio

    async def rounds():
        await grow_old(asyncio)
        while not TOLD_TO_END.is_set():
            await round_of_all(asyncio)

    threading.Thread(target=hear_the_end, daemon=True).start()
    asyncio.run(rounds())
    handshake.say("BLOCKED " + json.dumps({key: sorted(BLOCKED[key]) for key in BLOCKED}))
    handshake.hear()


if __name__ == "__main__":
    main()
