"""A program of few modules and frames, for seeds: see seeds.rs."""
import sys
import types
import _asyncio
import _thread


class Task:
    __slots__ = ("coro", "name", "context")


def unrolled_run(runner):
    yield runner


trio = types.ModuleType("trio._core._run")
trio.Task = Task
trio.unrolled_run = unrolled_run


def inner(lock):
    lock.acquire()


class Server:
    def serve(self, lock):
        for step in [lambda: inner(lock)]:
            step()


def tâche(lock):
    next(iter([0]))
    try:
        Server().serve(lock)
    finally:
        pass


def 函数(lock):
    def generate():
        yield inner(lock)

    return list(generate())


stopped = _thread.allocate_lock()
stopped.acquire()
for function in (tâche, 函数):
    _thread.start_new_thread(function, (stopped,))

for function in (tâche, 函数, Server.serve, unrolled_run, types.coroutine, types.new_class):
    code = function.__code__
    table = code.co_lnotab if sys.version_info < (3, 10) else code.co_linetable
    print(code.co_firstlineno, table.hex())

kept = {name: sys.modules[name] for name in ("sys", "builtins", "_asyncio", "__main__")}
kept["trio._core._run"] = trio
started = False
while not started:
    started = len(sys._current_frames()) == 3 and all(
        frame.f_code.co_name in ("inner", "<module>", "<genexpr>")
        for frame in sys._current_frames().values()
    )
sys.modules.clear()
sys.modules.update(kept)
print("ready", flush=True)
inner(stopped)
