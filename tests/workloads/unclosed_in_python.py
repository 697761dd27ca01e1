"""Resources that Python's own finalisers warn of, and an iterator of a directory, which warns after
its close; after each of them the same thread closes a descriptor in good order. Or all of them
closed, as they should be.

usage: unclosed_in_python.py left|closed ROUNDS
"""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import tempfile

import handshake


def popen(left):
    child = subprocess.Popen(["sleep", "1"])
    if not left:
        child.terminate()
        child.wait()
    del child  # SITE popen


def folder(left):
    folder = tempfile.TemporaryDirectory()
    with open(os.path.join(folder.name, "file"), "w") as file:
        file.write("for rmtree")
    if not left:
        folder.cleanup()
    del folder  # SITE folder


def loop(left):
    loop = asyncio.new_event_loop()  # SITE loop
    # Else the collector may take them before the loop, which then fails to close itself.
    kept = loop._ssock, loop._csock
    if not left:
        loop.close()
    del loop
    gc.collect()
    return kept


async def drop_transport(left):
    ours, theirs = socket.socketpair()  # SITE transport
    running = asyncio.get_running_loop()
    transport, protocol = await running.create_connection(asyncio.Protocol, sock=ours)
    await asyncio.sleep(0)
    transport.pause_reading()
    if not left:
        transport.close()
    await asyncio.sleep(0.01)
    del transport, protocol
    gc.collect()
    theirs.close()


def transport(left):
    asyncio.run(drop_transport(left))


def scandir(left):
    entries = os.scandir("/")
    next(entries)
    if not left:
        entries.close()
    del entries  # SITE scandir


def beside(leave, left):
    innocent = os.open(os.devnull, os.O_RDONLY)  # SITE innocent
    leave(left)
    os.close(innocent)


def main(left, rounds):
    gc.disable()
    handshake.start()
    for _ in range(rounds):
        for leave in popen, folder, loop, transport, scandir:
            beside(leave, left)
    handshake.say("DONE")
    handshake.hear()


if __name__ == "__main__":
    main(sys.argv[1] == "left", int(sys.argv[2]))
