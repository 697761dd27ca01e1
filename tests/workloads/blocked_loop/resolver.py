"""Makes this thread's libc ask one name server, at any port, and leaves the machine's own alone.

/etc/resolv.conf cannot name a port, and belongs to everybody. But glibc keeps what it read there
in a `struct __res_state` per thread, and honours what a program writes into it (resolv.h; the
comment in glibc's resolv/resolv_context.c: "Do not override those changes"). The layout is that of
64-bit glibc: retrans, retry (int), options (unsigned long), nscount (int), nsaddr_list.

The lookup must then be by DNS: "dns" in the line `hosts` of /etc/nsswitch.conf, and no "resolve"
that ends it before.
"""

import ctypes
import socket
import struct

NSCOUNT, NSADDR_LIST = 16, 20


def ask_only_at(host, port):
    libc = ctypes.CDLL(None)
    libc.__res_init()
    libc.__res_state.restype = ctypes.c_void_p
    state = libc.__res_state()
    family = struct.pack("=H", socket.AF_INET)
    address = family + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
    ctypes.memmove(state + NSADDR_LIST, address, len(address))
    ctypes.memmove(state + NSCOUNT, struct.pack("=i", 1), 4)
