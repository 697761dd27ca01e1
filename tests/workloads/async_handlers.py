"""Blocks an event loop in a handler, or only awaits there, under one of the async frameworks.

usage: async_handlers.py FRAMEWORK BLOCKER

Once told to go it imports the framework, so that this comes after an attach, and starts one handler
after the other until told to end. Then it prints what the handlers saw of themselves: their tasks'
names, the function that their task or greenlet began with, and their stack as `traceback` has it.
"""

import json
import os
import socket
import sys
import threading
import time
import traceback

import handshake

# Longer than what counts as a stall. What computes takes so much of the CPU: where it only waits for
# one, nobody is to blame.
SECONDS = 0.15
PAUSE = 0.15
# Tasks take turns at these names.
NAMES = ["order-%d" % number for number in range(4)]

TASKS = set()
FUNCTIONS = set()
STACKS = []
TOLD_TO_END = threading.Event()
OURS, THEIRS = socket.socketpair()
# What a patched module keeps from its users.
ORIGINAL_SLEEP = time.sleep


def answer_late():
    """The other end of the connection."""
    while THEIRS.recv(8):
        ORIGINAL_SLEEP(SECONDS)
        THEIRS.sendall(b"late")


def hear_the_end():
    handshake.wait_for("end")
    TOLD_TO_END.set()


def begins_others(code):
    """Whether this is what trio drives its tasks with, or a thread before its target."""
    return code.co_name == "unrolled_run" or code.co_filename == threading.__file__


def looks_at_itself(frame, name=None):
    """Notes what a handler is, from its own frame."""
    if name is not None:
        TASKS.add(name)
    stack = traceback.extract_stack(frame)
    STACKS.append([[one.filename, one.name, one.lineno] for one in reversed(stack)])
    first = frame
    while first.f_back is not None and not begins_others(first.f_back.f_code):
        first = first.f_back
    FUNCTIONS.add(getattr(first.f_code, "co_qualname", first.f_code.co_name))


class Shop:
    """Handlers: of tasks and of greenlets."""

    def __init__(self, blocker, sleep, name_of_task=lambda: None):
        self.blocker = blocker
        self.sleep = sleep
        self.name_of_task = name_of_task

    async def order(self, at_once=False):
        if not at_once:
            await self.sleep(0.001)
        if self.blocker == "sleep":
            time.sleep(SECONDS)  # SITE task sleep
        elif self.blocker == "socket":
            OURS.sendall(b"ask")
            OURS.recv(8)  # SITE task socket
        elif self.blocker == "compute":
            until = time.thread_time() + SECONDS
            while time.thread_time() < until:
                sum(range(200000))  # SITE task compute
        else:
            await self.sleep(SECONDS)
        looks_at_itself(sys._getframe(), self.name_of_task())

    def sell(self):
        if self.blocker == "sleep":
            ORIGINAL_SLEEP(SECONDS)  # SITE greenlet sleep
        elif self.blocker == "socket":
            OURS.sendall(b"ask")
            OURS.recv(8)  # SITE greenlet socket
        elif self.blocker == "compute":
            until = time.thread_time() + SECONDS
            while time.thread_time() < until:
                sum(range(200000))  # SITE greenlet compute
        else:
            self.sleep(SECONDS)
        looks_at_itself(sys._getframe())


def rounds():
    number = 0
    while not TOLD_TO_END.is_set():
        yield NAMES[number % len(NAMES)]
        number += 1


async def orders_by_asyncio(blocker):
    import asyncio

    shop = Shop(blocker, asyncio.sleep, lambda: asyncio.current_task().get_name())
    for name in rounds():
        await asyncio.get_running_loop().create_task(shop.order(), name=name)
        await asyncio.sleep(PAUSE)


async def orders_at_once(blocker):
    """The handler runs within `create_task`, before its first await."""
    import asyncio

    loop = asyncio.get_running_loop()
    shop = Shop(blocker, asyncio.sleep, lambda: asyncio.current_task().get_name())
    for name in rounds():
        await asyncio.Task(shop.order(True), loop=loop, name=name, eager_start=True)
        await asyncio.sleep(PAUSE)


async def orders_by_factory(blocker):
    """The same by the factory; its tasks get their names as late as the version does that."""
    import asyncio

    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    shop = Shop(blocker, asyncio.sleep, lambda: asyncio.current_task().get_name())
    for name in rounds():
        await asyncio.create_task(shop.order(True), name=name)
        await asyncio.sleep(PAUSE)


async def orders_by_trio(blocker):
    import trio

    shop = Shop(blocker, trio.sleep, lambda: trio.lowlevel.current_task().name)
    async with trio.open_nursery() as nursery:
        for name in rounds():
            nursery.start_soon(shop.order, name=name)
            await trio.sleep(SECONDS + PAUSE)


async def orders_by_anyio(blocker):
    import anyio

    shop = Shop(blocker, anyio.sleep, lambda: anyio.get_current_task().name)
    async with anyio.create_task_group() as group:
        for name in rounds():
            group.start_soon(shop.order, name=name)
            await anyio.sleep(SECONDS + PAUSE)


async def orders_by_greenlets(blocker):
    """What waits by itself, run as SQLAlchemy runs it: beneath a loop, and not on its stack."""
    import asyncio

    import greenlet

    shop = Shop(blocker, None)
    for _ in rounds():
        greenlet.greenlet(shop.sell).switch()
        await asyncio.sleep(PAUSE)


def run_asyncio(blocker):
    import asyncio

    asyncio.run(orders_by_asyncio(blocker))


def run_greenlets(blocker):
    import asyncio

    asyncio.run(orders_by_greenlets(blocker))


def run_eager(blocker):
    import asyncio

    asyncio.run(orders_at_once(blocker))


def run_factory(blocker):
    import asyncio

    asyncio.run(orders_by_factory(blocker))


def run_uvloop(blocker):
    import asyncio

    import uvloop

    uvloop.install()
    asyncio.run(orders_by_asyncio(blocker))


def run_bare_uvloop(blocker):
    """Without a frame of asyncio's below the handlers."""
    import uvloop

    uvloop.new_event_loop().run_until_complete(orders_by_asyncio(blocker))


def run_trio(blocker):
    import trio

    trio.run(orders_by_trio, blocker)


def run_anyio_on_asyncio(blocker):
    import anyio

    anyio.run(orders_by_anyio, blocker, backend="asyncio")


def run_anyio_on_trio(blocker):
    import anyio

    anyio.run(orders_by_anyio, blocker, backend="trio")


def run_gevent(blocker):
    import gevent

    shop = Shop(blocker, gevent.sleep)
    for _ in rounds():
        gevent.spawn(shop.sell).join()
        gevent.sleep(PAUSE)


def run_patched_threads(blocker):
    """Threads of a patched program, each of which is a greenlet."""
    import gevent
    from gevent import monkey

    monkey.patch_all()
    shop = Shop(blocker, gevent.sleep)
    for _ in rounds():
        thread = threading.Thread(target=shop.sell)
        thread.start()
        thread.join()
        gevent.sleep(PAUSE)


FRAMEWORKS = {
    "asyncio": run_asyncio,
    "asyncio-greenlets": run_greenlets,
    "eager": run_eager,
    "eager-factory": run_factory,
    "uvloop": run_uvloop,
    "bare-uvloop": run_bare_uvloop,
    "trio": run_trio,
    "anyio-asyncio": run_anyio_on_asyncio,
    "anyio-trio": run_anyio_on_trio,
    "gevent": run_gevent,
    "gevent-threads": run_patched_threads,
}


def main(framework, blocker):
    for target in (answer_late, hear_the_end):
        threading.Thread(target=target, daemon=True).start()
    FRAMEWORKS[framework](blocker)
    seen = {"tasks": sorted(TASKS), "functions": sorted(FUNCTIONS), "stacks": STACKS[-20:]}
    handshake.say("SEEN " + json.dumps(seen))
    os._exit(0)


if __name__ == "__main__":
    handshake.start()
    main(*sys.argv[1:])
