"""A process beside the watched one: its clients, or a service that it talks to.

It is told things through its standard input and ends when that does, so it never outlives the
workload, not even one that was killed.
"""

import os
import signal
import subprocess
import sys
import threading

WORKLOADS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Companion:
    """Runs `python -m MODULE ARGUMENTS…` and waits for the one line that it announces."""

    def __init__(self, module, *arguments):
        command = [sys.executable, "-m", module] + [str(argument) for argument in arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=WORKLOADS,
            universal_newlines=True,
        )
        self.announced = self.process.stdout.readline().strip()
        if not self.announced:
            raise RuntimeError("failed to start %s: it ended at once" % module)

    def go(self):
        """Lets it begin: nothing may happen before the profiler has attached."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def announce(line="ready"):
    """In the companion: says that it is ready, or where, and waits until it may begin."""
    # Ctrl-C is for the workload, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(line, flush=True)
    if not sys.stdin.readline():
        sys.exit(0)
    threading.Thread(target=end_with_stdin, daemon=True).start()


def end_with_stdin():
    while os.read(0, 4096):
        pass
    os._exit(0)
