"""Starts what sam-brain talks to, and takes it along when it ends.

Each companion is a process of its own, so that the process which is watched is the assistant alone.
It says in one line of JSON where it is found, makes load only when told, and ends when its standard
input does: that is so even when the assistant was killed.
"""

import json
import subprocess
import sys
from pathlib import Path

WORKLOADS = Path(__file__).resolve().parent.parent

RUNNING = []


class Companion:
    """A program of `companions/` with its arguments."""

    def __init__(self, name, *arguments):
        command = [sys.executable, "-m", "%s.companions.%s" % (__package__, name)]
        command.extend(str(argument) for argument in arguments)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=WORKLOADS, stdin=pipe, stdout=pipe, text=True)
        RUNNING.append(self)
        with self.process.stdout as said:
            self.found = json.loads(said.readline())

    def go(self):
        """Lets it begin, where it waits for that."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def dismiss(self):
        """Ends it and waits for that."""
        self.process.stdin.close()
        self.process.wait()


def dismiss_all():
    """Ends every companion."""
    while RUNNING:
        RUNNING.pop().dismiss()
