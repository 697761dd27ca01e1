"""Has libraries of C wait, open, map and compute, each at a line of its own.

usage: native_frames.py tls|files|compress|digest|arrays|watches FOLDER
For tls FOLDER has server.pem and server.key. Goes on until its standard input ends.
"""

import os
import select
import socket
import sys
import threading
import time

PAUSE_SECONDS = 0.3
KEPT = []


def goes_on():
    return not select.select([sys.stdin], [], [], 0)[0]


def answer(listener, context):
    client, _ = listener.accept()
    with context.wrap_socket(client, server_side=True) as stream:
        while True:
            time.sleep(PAUSE_SECONDS)
            stream.sendall(b"x")


def tls(folder):
    import ssl

    listener = socket.create_server(("127.0.0.1", 0))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    threading.Thread(target=answer, args=(listener, served), daemon=True).start()
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.verify_mode = ssl.CERT_NONE
    stream = asking.wrap_socket(socket.create_connection(listener.getsockname()))
    # Below the class of the standard library, so that the line is this program's own.
    below = stream._sslobj
    print("READY", os.getpid(), flush=True)
    while goes_on():
        below.read(1)  # SITE tls


def files(folder):
    import sqlite3

    path = os.path.join(folder, "some.db")
    with sqlite3.connect(path) as made:
        made.execute("create table some (a)")
    made.close()
    print("READY", os.getpid(), flush=True)
    while goes_on():
        KEPT.append(sqlite3.connect(path))  # SITE files
        KEPT[-1].execute("select * from some").fetchall()
        time.sleep(0.02)


def compress(folder):
    import zlib

    data = os.urandom(1 << 20)
    print("READY", os.getpid(), flush=True)
    while goes_on():
        zlib.compress(data)  # SITE compress


def digest(folder):
    import hashlib

    print("READY", os.getpid(), flush=True)
    while goes_on():
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 20000)  # SITE digest


def arrays(folder):
    import numpy

    print("READY", os.getpid(), flush=True)
    while goes_on():
        KEPT.append(numpy.zeros(4 << 20))  # SITE arrays
        time.sleep(0.1)
        del KEPT[:-2]


def watches(folder):
    """An extension in Rust."""
    from watchfiles._rust_notify import RustNotify

    print("READY", os.getpid(), flush=True)
    while goes_on():
        KEPT.append(RustNotify([folder], False, False, 30, False, False))  # SITE watches
        time.sleep(0.1)
        del KEPT[:-8]


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
