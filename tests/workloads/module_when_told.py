"""Runs a module as `python -m` does, once the test has attached.

usage: module_when_told.py MODULE ARGUMENT…
"""

import runpy
import sys

import handshake

if __name__ == "__main__":
    handshake.start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
