"""Processes beside a workload: the services it talks to and the clients that load it.

They end when the workload does, however it ends.
"""

import ctypes
import signal
import subprocess
import sys
from pathlib import Path

HOME = str(Path(__file__).resolve().parent)
PR_SET_PDEATHSIG = 1


def command(module, *words):
    """How a module of these workloads is run as a program; to be run in `HOME`."""
    # -S: none of them needs installed packages, and they start faster without.
    return [sys.executable, "-S", "-m", module, *map(str, words)]


def start(module, *words, **options):
    """Starts a companion; returns it and the line by which it says that it serves."""
    process = subprocess.Popen(
        command(module, *words),
        cwd=HOME,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=subprocess.PIPE,
        **options
    )
    with process.stdout:
        announced = process.stdout.readline().decode().strip()
    if not announced:
        sys.exit("%s did not start: exit status %s" % (module, process.wait()))
    return process, announced


def stop(process):
    process.terminate()
    process.wait()


def die_with_parent():
    """Called in a companion, before it announces itself: nothing of it outlives its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def announce(line):
    """Called in a companion: it serves. Fails when the parent is already gone."""
    print(line, flush=True)
