"""Companion: a name server that says 127.0.0.1 to every question about IPv4, after 125 ms.

Of the two questions of a getaddrinfo (A and AAAA), the second waits for the first's answer here:
together 250 ms.
"""

import socket
import struct
import time

import companions

ANSWER_SECONDS = 0.125
TYPE_A, CLASS_IN, TTL = 1, 1, 0
# A response, authoritative, recursion desired and available, no error.
FLAGS = 0x8580
NAME_OF_THE_QUESTION = b"\xc0\x0c"


def answer(query):
    end = query.index(b"\0", 12) + 5
    kind, _ = struct.unpack("!HH", query[end - 4 : end])
    record = b""
    if kind == TYPE_A:
        address = socket.inet_aton("127.0.0.1")
        record = NAME_OF_THE_QUESTION + struct.pack("!HHIH", TYPE_A, CLASS_IN, TTL, 4) + address
    counts = struct.pack("!HHHH", 1, 1 if record else 0, 0, 0)
    return query[:2] + struct.pack("!H", FLAGS) + counts + query[12:end] + record


def main():
    companions.die_with_parent()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        companions.announce(server.getsockname()[1])
        while True:
            query, peer = server.recvfrom(512)
            time.sleep(ANSWER_SECONDS)
            server.sendto(answer(query), peer)


if __name__ == "__main__":
    main()
