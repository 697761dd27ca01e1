"""Somebody who works on the codebase: changes a module every second, adds one now and then.

usage: developer FOLDER
"""

import sys
import time
from pathlib import Path

from . import lifeline


def main(root):
    lifeline.announce()
    lifeline.wait_for_go()
    lifeline.hold()
    modules = sorted(root.rglob("*.py"))
    change = 0
    while True:
        time.sleep(1)
        change += 1
        module = modules[change % len(modules)]
        if change % 5 == 0:
            module = module.with_name("added_%d.py" % change)
        with open(str(module), "a") as source:
            source.write("CHANGE = %d\n" % change)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
