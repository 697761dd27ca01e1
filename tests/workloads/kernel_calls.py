"""Syscalls that Python has no function for, by number (x86-64)."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

NUMBER = {
    "dup": 32, "creat": 85, "epoll_create": 213, "mq_open": 240, "inotify_init": 253,
    "signalfd": 282, "timerfd_create": 283, "eventfd": 284, "signalfd4": 289, "eventfd2": 290,
    "epoll_create1": 291, "dup3": 292, "pipe2": 293, "pipe": 22, "dup2": 33,
    "inotify_init1": 294, "perf_event_open": 298, "recvmmsg": 299, "fanotify_init": 300,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "memfd_create": 319, "bpf": 321,
    "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "fsmount": 432,
    "fsconfig": 431, "fspick": 433, "pidfd_open": 434, "clone3": 435, "close_range": 436,
    "openat2": 437, "pidfd_getfd": 438, "landlock_create_ruleset": 444, "memfd_secret": 447,
}


def syscall(name, *arguments):
    """What the call returns; OSError when it fails."""
    words = []
    for argument in arguments:
        if isinstance(argument, int):
            argument = ctypes.c_long(argument)
        elif isinstance(argument, str):
            argument = os.fsencode(argument)
        words.append(argument)
    result = LIBC.syscall(ctypes.c_long(NUMBER[name]), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return result
