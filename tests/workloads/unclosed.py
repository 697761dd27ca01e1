"""Resources left to the collector, beside the same work with `with`; warnings are ignored, as in
production.

usage: unclosed.py FOLDER
"""

import json
import os
import socket
import sys
import time
import warnings

import handshake

CONFIG = os.path.join(sys.argv[1], "config.json")
ROUNDS_PER_SECOND = 20


def load_unclosed():
    return json.load(open(CONFIG))  # SITE file


def load_closed():
    with open(CONFIG) as config:  # SITE closed_file
        return json.load(config)


def port_unclosed():
    return socket.socket().getsockname()  # SITE socket


def port_closed():
    with socket.socket() as closed:  # SITE closed_socket
        return closed.getsockname()


def main():
    warnings.simplefilter("ignore")
    with open(CONFIG, "w") as config:
        config.write("{}")
    handshake.start()
    while True:
        load_unclosed()
        load_closed()
        port_unclosed()
        port_closed()
        time.sleep(1 / ROUNDS_PER_SECOND)


if __name__ == "__main__":
    main()
