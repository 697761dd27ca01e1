"""Serves requests with a handler that blocks the event loop, or with one that does not.

A request comes each half second, from a process beside. Each is handled by a task with the name
handler-N, N from 1. What is installed for it is in requirements.txt.
"""

import argparse
import os
import socket
import sys

from blocked_loop.blockers import BLOCKERS
from blocked_loop.servers import SERVERS
from session import Session


def arguments():
    rows = ["  %s  %s" % (name, blocker.__doc__) for name, blocker in BLOCKERS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m blocked_loop",
        description=__doc__,
        epilog="blockers:\n" + "\n".join(rows),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("server", metavar="SERVER", choices=SERVERS, help=", ".join(SERVERS))
    parser.add_argument("blocker", metavar="BLOCKER", choices=BLOCKERS, help=", ".join(BLOCKERS))
    parser.add_argument("--handshake", action="store_true", help="speak handshake.py's protocol")
    chosen = parser.parse_args()
    if chosen.blocker == "thread" and sys.version_info < (3, 9):
        parser.error("asyncio.to_thread came with Python 3.9")
    return chosen


def main():
    chosen = arguments()
    title = "%s serves, its handler: %s" % (chosen.server, BLOCKERS[chosen.blocker].__doc__)
    with Session(title, chosen.handshake) as session:
        blocker = BLOCKERS[chosen.blocker](session)
        listener = session.closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        told, tell = os.pipe()
        port = listener.getsockname()[1]
        session.start_companion("blocked_loop.load", port, stdin=told)
        os.close(told)

        def go():
            os.write(tell, b"go\n")

        SERVERS[chosen.server](listener, blocker.handle, lambda: session.begin_beside(go))


if __name__ == "__main__":
    main()
