"""Threads that block in every kind of frame, and what the interpreter itself says of their stacks.

Each thread announces itself and blocks on one and the same line, so that the stack which is
reported is the stack that stays. Prints one JSON object {thread ident: [[file, function, line] …
innermost first]}, then blocks until standard input closes. Arguments are names of
threads; without any, all are started.
"""

import _thread
import asyncio
import functools
import json
import os
import re
import sys
import threading
import time
import types

READ, WRITE = os.pipe()
NEVER = os.pipe()
LOCK = threading.Lock()
LOCK.acquire()


def block(*_):
    os.write(WRITE, b"."), time.sleep(3600)


def by_lock():
    os.write(WRITE, b"."), LOCK.acquire()


def by_read():
    os.write(WRITE, b"."), os.read(NEVER[0], 1)


def recursion(depth=400, *padding):
    if depth:
        return recursion(depth - 1, depth, "padding", *padding[:8])
    return block()


def generator(depth=3):
    yield depth
    if depth:
        yield from generator(depth - 1)
    block()


def generators():
    for _ in generator():
        pass


class Awaitable:
    def __await__(self):
        block()
        yield


async def coroutine(depth=3):
    if depth:
        return await coroutine(depth - 1)
    async with Manager():
        pass


class Manager:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        block()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await Awaitable()


def coroutines():
    coroutine().send(None)


async def numbers():
    yield 1
    block()


async def over_numbers():
    async for _ in numbers():
        pass


def event_loop():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(over_numbers())


def manager():
    with Manager():
        value = 1
        value += 1


def lambdas():
    (lambda call: (
        (lambda: call(
            1,
        ))
    )())(block)


def sort_key():
    sorted([3, 2, 1], key=lambda value: block(value))


def mapped():
    list(map(block, [1]))


def comprehension():
    return {
        key: [
            block(key)
            for _ in "a"
        ]
        for key in "b"
    }


def generator_expression():
    return sum(
        block()
        for _ in "a"
    )


def reduced():
    functools.reduce(
        lambda left, right: block(left, right),
        [1, 2],
        0,
    )


def substituted():
    re.sub("a", block, "a")


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)
    return wrapper


class Thing:
    @property
    def attribute(self):
        return self.method()

    @decorated
    def method(self):
        return self(
            1,
            2,
        )

    @staticmethod
    def __call__(*arguments):
        Deleted()


class Deleted:
    def __del__(self):
        block()


def methods():
    Thing().attribute


class Metaclass(type):
    def __new__(mcs, name, bases, members):
        block()


def class_body():
    class Inner(metaclass=Metaclass):
        value = 1


def multi_line_call():
    block(
        1,
        "two"
        "three",
        [
            4,
        ],
    )


def multi_line_argument():
    print(
        1,
        block(
            2
        ),
    )


def final():
    try:
        try:
            raise ValueError
        except ValueError:
            pass
        else:
            pass
    finally:
        if (
            block()
            or True
        ):
            pass


def made(source, filename, name="f"):
    namespace = {"block": block}
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]


def named(name):
    def function():
        block()
    code = function.__code__.replace(co_name=name)
    return types.FunctionType(code, globals(), closure=function.__closure__)


class Text(str):
    pass


def many_lines(before, after):
    return "def f():\n  return [\n" + "  1,\n" * before + "  block(),\n" + "  2,\n" * after + "  ]"


THREADS = [
    by_lock,
    by_read,
    recursion,
    generators,
    coroutines,
    event_loop,
    manager,
    lambdas,
    sort_key,
    mapped,
    comprehension,
    generator_expression,
    reduced,
    substituted,
    methods,
    class_body,
    multi_line_call,
    multi_line_argument,
    final,
    functools.partial(functools.partial(block, 1), 2),
    made("def fête(): block()", "café.py", "fête"),
    made("def 函数(): block()", "中文/文件.py", "函数"),
    made("def f(): block()", "🐍.py"),
    made("def f():\n  eval('block()')", "x\udcff\x1b[31m\n<b>\u202e.py"),
    made("f = lambda: block()", "<string>"),
    made(many_lines(130, 300), "many.py"),
    made("x=1;" * 300 + "\ndef f():\n " + "x=1;" * 500 + "block()", "wide.py"),
    made("\n" * 70000 + "def f():\n block()", "late.py"),
    named("näme"),
    named(Text("subclass")),
    named("long" * 200),
]


def name(target):
    return getattr(target, "__name__", None)


def stack(frame):
    frames = []
    while frame is not None:
        code = frame.f_code
        texts = [code.co_filename, code.co_name]
        texts = [text.encode("utf-8", "backslashreplace").decode() for text in texts]
        frames.append([*texts, frame.f_lineno or 0])
        frame = frame.f_back
    return frames


def report():
    stacks = {ident: stack(frame) for ident, frame in sys._current_frames().items()}
    stacks[threading.get_ident()] = stack(sys._getframe(1))
    print(json.dumps(stacks), flush=True)


if __name__ == "__main__":
    chosen = [target for target in THREADS if not sys.argv[1:] or name(target) in sys.argv[1:]]
    for target in chosen:
        # Not threading.Thread: its frames would name files of this machine in recordings.
        _thread.start_new_thread(target, ())
    announced = 0
    while announced < len(chosen):
        announced += len(os.read(READ, 100))
    report(), os.read(0, 1)
    os._exit(0)
