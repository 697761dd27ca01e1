"""Several interpreters in one process, each run by a thread, and each with threads of its own.

usage: subinterpreters.py FOLDER [LEAK_SECONDS]

From 3.12 on each has a lock of its own. One more, made by the main thread, is run there.
"""

import os
import sys
import threading

import handshake

INTERPRETERS = 3
OPENED_BY_EACH = 40

SCRIPT = """
import sys
sys.path.insert(0, {workloads!r})
import inside_interpreter
inside_interpreter.{call}
"""


class Interpreter:
    """Makes one interpreter, by whichever module this version has."""

    def __init__(self):
        if sys.version_info >= (3, 14):
            from concurrent import interpreters

            self.run = interpreters.create().exec
            return
        if sys.version_info >= (3, 13):
            import _interpreters as module

            number = module.create("isolated")
        else:
            import _xxsubinterpreters as module

            # Before 3.12 those that are isolated start no threads; 3.8 has none of these.
            options = {"isolated": False} if (3, 9) <= sys.version_info < (3, 12) else {}
            number = module.create(**options)
        self.module, self.number = module, number

    def run(self, script):
        # From 3.13 on what went wrong is given back and not raised.
        failed = self.module.run_string(self.number, script)
        if failed:
            raise RuntimeError(failed)


def script(call):
    return SCRIPT.format(workloads=os.path.dirname(os.path.abspath(__file__)), call=call)


def run(interpreter, call):
    interpreter.run(script(call))


def main(folder, leak_seconds):
    interpreters = [Interpreter() for _ in range(INTERPRETERS + 1)]
    # Where libraries of 3.8 to 3.11 share state, two imports at a time do harm.
    for interpreter in interpreters:
        run(interpreter, "truth")
    handshake.start()
    calls = []
    for number, interpreter in enumerate(interpreters):
        own = os.path.join(folder, "interpreter-%d" % number)
        calls.append((interpreter, "record(%r, %d)" % (own, OPENED_BY_EACH)))
    threads = [threading.Thread(target=run, args=call) for call in calls[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(*calls[0])
    handshake.say("RECORDED")
    if leak_seconds:
        leaks = "leak_for(%r)" % leak_seconds
        thread = threading.Thread(target=run, args=(interpreters[1], leaks))
        thread.start()
        thread.join()
    handshake.wait_for("end")
    # 3.12.1 falls over its own feet when it takes interpreters down.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0)
