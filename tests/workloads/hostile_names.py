"""Holds descriptors that functions with hostile names opened, ten each.

Each name is that of the function and of its file.
"""

import os
import time

import handshake

NAMES = [
    "<b>\"&'",
    "]]>",
    "</script><script>alert(1)</script>",
    "new\nline",
    "carriage\rreturn",
    "\x1b[31mescape",
    "\udcff\udcfe",
    "\ud800",
    "semi;colon",
    "ends like a count 7",
    "\u202eright to left",
    "nul\0nul",
    "tab\ttab",
    "\x9bcontrol",
    "",
    "x" * 1000000,
]
HELD_EACH = 10
KEPT = []


def hostile(name):
    def function():
        KEPT.append(os.dup(0))

    code = function.__code__.replace(co_name=name, co_filename=name + ".py")
    if hasattr(code, "co_qualname"):
        code = code.replace(co_qualname="qualified." + name)
    function.__code__ = code
    return function


FUNCTIONS = [hostile(name) for name in NAMES]


def main():
    handshake.start()
    for _ in range(HELD_EACH):
        for function in FUNCTIONS:
            function()
            time.sleep(0.01)
    handshake.say("DONE %d" % len(NAMES))
    handshake.hear()


if __name__ == "__main__":
    main()
