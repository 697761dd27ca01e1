"""Makes descriptor calls from every kind of Python frame, in several threads at once, and keeps
CPython's own record of each stack (see truth.py).

usage: every_kind_of_frame.py FOLDER CALLS
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import importlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import weakref

import frames_made_by_exec
import handshake
import truth
from truth import CREATE, call, closing, fresh


def opened():
    """Opens and closes one file, each on a line of its own."""
    path = fresh()
    fd = os.open(path, CREATE)
    os.close(closing(fd, path))
    os.unlink(path)


def plain_calls():
    opened()
    read, write = (call("pipe"), os.pipe())[1]
    copy = os.dup(call("dup", read))
    os.dup2(call("dup", write), copy)
    for fd in (read, write, copy):
        os.close(fd)
    if hasattr(os, "eventfd"):
        os.close((call("eventfd"), os.eventfd(0))[1])
    with contextlib.suppress(OSError):
        os.open(fresh() + "/missing", os.O_RDONLY)


def sockets():
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as two:
        two.setblocking(False)


def standard_library():
    with tempfile.NamedTemporaryFile(dir=truth.FOLDER):
        pass
    fd, path = tempfile.mkstemp(dir=truth.FOLDER)
    os.close(closing(fd, path))
    os.unlink(path)
    with tempfile.TemporaryDirectory(dir=truth.FOLDER) as folder:
        with open(os.path.join(folder, "text"), "w") as text:
            text.write("x")
        with open(os.path.join(folder, "text")) as text:
            text.read()
    path = fresh()
    stream = open(path, "wb")
    closing(stream, path).close()
    os.unlink(path)


def recursion(depth):
    if depth == 0:
        return opened()
    return recursion(depth - 1)


def recursion_through_c(depth):
    if depth == 0:
        return opened()
    return sorted([depth], key=lambda value: recursion_through_c(value - 1) or 0)


def delegating(depth):
    if depth:
        yield from delegating(depth - 1)
    else:
        opened()
        yield 1
        opened()


def generators():
    for _ in delegating(10):
        opened()
    sum(opened() or 1 for _ in range(2))
    waiting = (opened() for _ in range(2))
    next(waiting)
    try:
        waiting.throw(KeyError)
    except KeyError:
        opened()

    def cleaning():
        try:
            yield
        finally:
            opened()

    started = cleaning()
    next(started)
    started.close()


class HandMade:
    """An awaitable whose await is a Python generator."""

    def __await__(self):
        opened()
        got = yield "value"
        opened()
        return got


async def awaiting(depth):
    if depth:
        return await awaiting(depth - 1)
    opened()
    return await HandMade()


def coroutine_by_hand():
    driven = awaiting(5)
    driven.send(None)
    with contextlib.suppress(StopIteration):
        driven.send("back")


async def numbers():
    for number in range(2):
        opened()
        await asyncio.sleep(0)
        yield number


class Guard:
    async def __aenter__(self):
        await asyncio.sleep(0)
        opened()

    async def __aexit__(self, *exception):
        opened()
        await asyncio.sleep(0)


async def task(name):
    async for _ in numbers():
        opened()
    async with Guard():
        opened()
    opened_there = [opened() async for _ in numbers()]
    await asyncio.get_running_loop().run_in_executor(None, opened)
    return name, opened_there


async def several_tasks():
    asyncio.get_running_loop().call_soon(opened)
    await asyncio.gather(*(asyncio.ensure_future(task(name)) for name in range(3)))


def event_loop():
    asyncio.run(several_tasks())


def through_c():
    sorted(range(3), key=lambda _: opened() or 0)
    list(map(lambda _: opened(), range(2)))
    list(filter(lambda _: opened(), range(2)))
    functools.reduce(lambda _, __: opened(), range(3))
    functools.partial(opened)()
    functools.lru_cache(maxsize=None)(opened)()
    re.sub("x", lambda _: opened() or "", "xx")
    json.loads('{"a": {}}', object_hook=lambda _: opened())
    max([1, 2], key=lambda _: opened() or 0)
    iter(opened, None).__next__ and next(iter(opened, 0))
    getattr(Attributes(), "anything")
    Attributes().made
    str(Attributes())
    Attributes()[0]
    int(Attributes() == 1)


class Attributes:
    def __getattr__(self, name):
        opened()

    @property
    def made(self):
        return opened()

    def __str__(self):
        opened()
        return ""

    def __getitem__(self, index):
        return opened()

    def __eq__(self, other):
        opened()
        return True


def decorator(function):
    opened()

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        opened()
        try:
            return function(*args, **kwargs)
        finally:
            opened()

    return wrapper


class Meta(type):
    def __prepare__(name, bases):
        opened()
        return {}

    def __call__(cls, *args):
        opened()
        return super().__call__(*args)


def classes():
    class Body(metaclass=Meta):
        opened()

        @decorator
        def method(self, default=opened()):
            opened()

        def __init_subclass__(cls):
            opened()

    class Child(Body):
        fields = [opened() for _ in range(2)]

    Child().method()


def comprehensions():
    [opened() for _ in range(2)]
    {opened() for _ in range(2)}
    {number: opened() for number in range(2)}
    [[opened() for _ in range(2)] for _ in range(2)]
    (lambda: (lambda: opened())())()


@contextlib.contextmanager
def managed():
    opened()
    try:
        yield
    finally:
        opened()


def statements():
    try:
        raise ValueError(opened())
    except ValueError as error:
        opened()
        with contextlib.suppress(KeyError):
            raise KeyError from error
    else:
        opened()
    finally:
        opened()
    with managed(), managed():
        opened()
    with contextlib.ExitStack() as stack:
        stack.callback(opened)
    path = fresh()
    fd = os.open(
        path,
        os.O_RDWR
        | os.O_CREAT,
    )
    os.close(closing(fd, path)); text = (
        f"{opened()}"
        f"{opened()!r:>{len(str(opened()))}}"
    )
    assert text, (
        opened()
    )
    if (number := opened()) is None: opened()
    for number in (opened(), opened()): opened()
    while number is None and opened(): pass
    print(*[opened()], sep="", end="", file=open(os.devnull, "w"))


class Dying:
    def __del__(self):
        opened()


def finalizers():
    Dying()
    dying = Dying()
    reference = weakref.ref(dying, lambda _: opened())
    del dying
    return reference


def short_threads():
    for _ in range(3):
        thread = threading.Thread(target=opened)
        thread.start()
        thread.join()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: opened(), range(4)))


def imports(number=[0], lock=threading.Lock()):
    """The frames of importlib are frozen: `<frozen importlib._bootstrap>`."""
    with lock:
        number[0] += 1
        name = "made_module_%d" % number[0]
    path = os.path.join(truth.FOLDER, name + ".py")
    with open(path, "w") as source:
        source.write("import truth, os\n\n\nos.close(os.open(truth.fresh(), truth.CREATE))\n")
    importlib.invalidate_caches()
    importlib.import_module(name)
    del sys.modules[name]
    os.unlink(path)


def on_signal(number, frame):
    opened()


def signals():
    signal.raise_signal(signal.SIGUSR1)
    list(map(signal.raise_signal, [signal.SIGUSR1] * 2))


PARTS = [
    plain_calls,
    sockets,
    standard_library,
    lambda: recursion(100),
    lambda: recursion_through_c(20),
    generators,
    coroutine_by_hand,
    event_loop,
    through_c,
    classes,
    comprehensions,
    statements,
    finalizers,
    short_threads,
    imports,
    frames_made_by_exec.fresh_code,
    frames_made_by_exec.far_lines,
    frames_made_by_exec.foreign_names,
]
# Deeper than any walk promises to go: only what is given must be right.
DEEP = 600
DEEP_CALLS = 10


def worker(calls):
    while len(truth.RECORDS) < calls:
        for part in PARTS:
            part()


def main(folder, calls):
    sys.setrecursionlimit(5000)
    sys.path.insert(0, folder)
    signal.signal(signal.SIGUSR1, on_signal)
    truth.install(folder)
    threads = [threading.Thread(target=worker, args=(calls,)) for _ in range(4)]
    # Started before the agent attaches, like the threads of a real process.
    begin = threading.Event()
    early = threading.Thread(target=lambda: begin.wait() and worker(calls))
    early.start()
    handshake.start()
    os.close(os.open(fresh(), CREATE))  # the first call after the agent attached
    begin.set()
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        signals()
        plain_calls()
    for thread in threads + [early]:
        thread.join()
    for _ in range(DEEP_CALLS):
        recursion(DEEP)
    handshake.say("DONE %d" % len(truth.RECORDS))
    handshake.wait_for("write")
    truth.write(folder + ".json")
    handshake.say("WRITTEN")
    handshake.hear()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
