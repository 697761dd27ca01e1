"""The protocol between a benchmark and the program it measures.

The program says READY, so that a tracer can be attached to it before anything counts; at
a line on its standard input it runs its loop and prints the nanoseconds that one iteration
took, by the clock and of the processor; then it stays until its standard input ends, so that the tracer can be asked what it
saw.
"""

import os
import resource
import sys
import time


def stay():
    """Keeps the calling thread, and those that it starts, to the processor that was asked for."""
    if "BENCH_PROCESSOR" in os.environ:
        os.sched_setaffinity(0, {int(os.environ["BENCH_PROCESSOR"])})


def processor_ns():
    """What this process and its ended children have used of the processor."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    seconds = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return seconds * 1e9


def measure(loop, iterations):
    stay()
    print("READY", flush=True)
    if not sys.stdin.readline():
        return
    used = processor_ns()
    begin = time.perf_counter_ns()
    loop(iterations)
    elapsed = time.perf_counter_ns() - begin
    used = processor_ns() - used
    print("NANOSECONDS %.1f %.1f" % (elapsed / iterations, used / iterations), flush=True)
    sys.stdin.read()
