"""Healthy programs that hold many descriptors, or come to hold them.

usage: healthy.py KIND FOLDER
"""

import collections
import http.client
import http.server
import os
import random
import socket
import subprocess
import sys
import threading
import time

import handshake

FOLDER = sys.argv[2]
KEPT = []


def path(name):
    return os.path.join(FOLDER, name)


def pool_that_fills():
    """Fifty connections over ten seconds, which then stay and are used."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=echo_forever, args=(listener,), daemon=True).start()
    for _ in range(50):
        KEPT.append(socket.create_connection(listener.getsockname()))
        use_pool()
        time.sleep(0.2)
    while True:
        use_pool()
        time.sleep(0.05)


def use_pool():
    connection = random.choice(KEPT)
    connection.sendall(b"x")
    connection.recv(1)


def echo_forever(listener):
    def echo(connection):
        with connection:
            while True:
                connection.sendall(connection.recv(100))

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def cache_that_evicts():
    """The hundred files used last stay open; a new one comes ten times a second."""
    cache = collections.OrderedDict()
    number = 0
    while True:
        number += 1
        name = path("cached-%d" % (number % 1000))
        if name not in cache:
            cache[name] = open(name, "a+")
        cache.move_to_end(name)
        if len(cache) > 100:
            cache.popitem(last=False)[1].close()
        random.choice(list(cache.values())).write("x")
        time.sleep(0.1)


def log_files():
    """Two hundred logs opened at the start, written to now and then."""
    for number in range(200):
        KEPT.append(open(path("%d.log" % number), "a"))
    while True:
        log = random.choice(KEPT)
        log.write("line\n")
        log.flush()
        time.sleep(0.02)


def subscriptions():
    """A socket more each half second, all of which hear something twenty times a second."""
    started = time.monotonic()
    publisher = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        if time.monotonic() - started > len(KEPT) / 2:
            subscriber = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            subscriber.bind(("127.0.0.1", 0))
            KEPT.append(subscriber)
        for subscriber in KEPT:
            publisher.sendto(b"x", subscriber.getsockname())
            subscriber.recvmsg(1)
        time.sleep(0.05)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(__file__, "rb") as page:
            body = page.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def http_server():
    """Keep-alive connections of clients that come and go."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = [sys.executable, __file__, "http_client", FOLDER, str(server.server_address[1])]
    with subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        process.stdin.write(b"go\n")
        process.stdin.flush()
        process.wait()


def http_client():
    """Thirty connections, each kept for some dozen requests."""

    def visit():
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[3]))
            for _ in range(random.randrange(10, 60)):
                connection.request("GET", "/")
                connection.getresponse().read()
                time.sleep(random.random() / 10)
            connection.close()

    for _ in range(30):
        threading.Thread(target=visit).start()


def idle():
    threading.Event().wait()


if __name__ == "__main__":
    kind = globals()[sys.argv[1]]
    handshake.start()
    kind()
