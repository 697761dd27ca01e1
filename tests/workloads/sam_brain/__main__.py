"""Runs one row of the audit.

usage: python -m sam_brain ROW [--fixed] [--handshake]
"""

import argparse
import importlib
import os
import tempfile
from pathlib import Path

import handshake

from . import lifetime
from .rows import ROWS


def parse():
    listed = "\n".join("  %-8s%s" % (row, says) for row, (_, says) in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="python -m sam_brain",
        description="One audited fault of sam-brain, or its remedy.",
        epilog="rows:\n" + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("row", metavar="ROW", choices=list(ROWS), help="what to show, see below")
    parser.add_argument("--fixed", action="store_true", help="with the audit's remedy")
    parser.add_argument("--handshake", action="store_true", help="READY, go, until input ends")
    return parser.parse_args()


def main():
    arguments = parse()
    module, says = ROWS[arguments.row]
    # Everything here talks to this machine only; a proxy would be asked for it otherwise.
    os.environ["no_proxy"] = "*"
    home = Path(tempfile.mkdtemp(prefix="sam-brain-"))
    try:
        work = importlib.import_module("." + module, __package__).prepare(home, arguments.fixed)
        if arguments.handshake:
            handshake.start()
            lifetime.end_with_input(home)
        else:
            variant = "remedied" if arguments.fixed else "as audited"
            print("%s, %s: %s. Ctrl-C ends it." % (arguments.row, variant, says), flush=True)
        work()
    except KeyboardInterrupt:
        lifetime.end_at_once(home)
    finally:
        lifetime.end(home)


if __name__ == "__main__":
    main()
