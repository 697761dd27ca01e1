"""The protocol between a benchmark and the program it measures.

The program says READY, so that a tracer can be attached to it before anything counts; at
a line on its standard input it runs its loop and prints the nanoseconds that one iteration
took; then it stays until its standard input ends, so that the tracer can be asked what it
saw.
"""

import sys
import time


def measure(loop, iterations):
    print("READY", flush=True)
    if not sys.stdin.readline():
        return
    begin = time.perf_counter_ns()
    loop(iterations)
    elapsed = time.perf_counter_ns() - begin
    print("NANOSECONDS %.1f" % (elapsed / iterations), flush=True)
    sys.stdin.read()
