"""The command line of an audited system: `python -m SYSTEM ROW [--fixed] [--handshake]`.

A row is a module with a function `run(folder, fixed, begin)`: it prepares everything in `folder`,
calls `begin` when it may be watched, and then works until it is interrupted.
"""

import argparse
import importlib
import os
import shutil
import signal
import tempfile
import threading
import time

import handshake

GRACE_SECONDS = 2


def main(system, rows):
    """Runs one of `rows`, which is `{row: (module, what it does)}`."""
    arguments = parse(system, rows)
    module, summary = rows[arguments.row]
    folder = tempfile.mkdtemp(prefix=system + "-")
    # A shell starts what it puts into the background deaf to interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def begin():
        if arguments.handshake:
            handshake.start()
            threading.Thread(target=end_with_stdin, args=(folder,), daemon=True).start()
        else:
            manner = "fixed" if arguments.fixed else "as audited"
            print("%s (%s): %s; until Ctrl-C" % (arguments.row, manner, summary), flush=True)

    try:
        importlib.import_module(module).run(folder, arguments.fixed, begin)
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse(system, rows):
    listing = "\n".join("  %-10s %s" % (row, summary) for row, (_, summary) in rows.items())
    parser = argparse.ArgumentParser(
        prog="python -m " + system,
        description="Shows one fault that was found by auditing %s." % system,
        epilog="rows:\n" + listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("row", metavar="ROW", choices=list(rows), help="one of the rows below")
    parser.add_argument("--fixed", action="store_true", help="with the remedy of the audit")
    parser.add_argument("--handshake", action="store_true", help="wait for `go`, end with stdin")
    return parser.parse_args()


def end_with_stdin(folder):
    """Interrupts the main thread when standard input ends, and ends the process if that is not
    enough: a server that waits for its clients would outlive its test."""
    while os.read(0, 4096):
        pass
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
