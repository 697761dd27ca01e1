"""A parent that leaks nothing, and a child that leaks a descriptor twice a second.

usage: children.py fork|multiprocessing|subprocess
"""

import multiprocessing
import os
import subprocess
import sys
import time

import handshake

KEPT = []


def leak_for_ever():
    parent = os.getppid()
    while os.getppid() == parent:
        KEPT.append(os.dup(0))  # SITE child
        time.sleep(0.5)


def fork():
    child = os.fork()
    if child == 0:
        leak_for_ever()
    return child


def multi_processing():
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=leak_for_ever, daemon=True)
    process.start()
    return process.pid


def sub_process():
    return subprocess.Popen([sys.executable, __file__, "child"], stdin=subprocess.PIPE).pid


HOW = {"fork": fork, "multiprocessing": multi_processing, "subprocess": sub_process}


def main(how):
    if how == "child":
        return leak_for_ever()
    handshake.start()
    handshake.say("CHILD %d" % HOW[how]())
    handshake.hear()


if __name__ == "__main__":
    main(sys.argv[1])
