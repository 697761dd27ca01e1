"""The steps of descriptor_table.py that make a call for which Python has no function."""

import array
import ctypes
import errno
import os
import socket
import struct
import sys

from kept_descriptors import RIGHTS, fails, keep, open_file, path
from kernel_calls import syscall

AT_FDCWD = -100
O_CLOEXEC = os.O_CLOEXEC


def openat2():
    how = struct.pack("QQQ", os.O_RDONLY, 0, 0)
    keep(syscall("openat2", AT_FDCWD, path(), how, len(how)))


def creat():
    keep(syscall("creat", path("created"), 0o600))


def open_by_handle_at():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    syscall("name_to_handle_at", AT_FDCWD, path(), handle, ctypes.byref(mount), 0)
    folder = os.open(sys.argv[1], os.O_RDONLY)
    keep(folder, syscall("open_by_handle_at", folder, handle, os.O_RDONLY))


def dup_by_its_own_call():
    keep(syscall("dup", 0))


def dup2_by_its_own_call():
    keep(syscall("dup2", 0, 71))


def dup2_onto_itself():
    fd = open_file()
    syscall("dup2", fd, fd)
    keep(fd)


def dup2_that_fails_closes_nothing():
    fd = open_file()
    fails(errno.EBADF, syscall, "dup2", 999, fd)
    keep(fd)


def dup3():
    keep(syscall("dup3", 0, 72, O_CLOEXEC))


def dup3_onto_an_open_number():
    fd = open_file()
    keep(syscall("dup3", 0, fd, O_CLOEXEC))


def dup3_onto_itself_fails():
    fd = open_file()
    fails(errno.EINVAL, syscall, "dup3", fd, fd, 0)
    keep(fd)


def pipe():
    fds = (ctypes.c_int * 2)()
    syscall("pipe", fds)
    keep(*fds)


def pipe_into_unreadable_memory_fails():
    fails(errno.EFAULT, syscall, "pipe2", 8, 0)


def scm_rights_by_recvmmsg():
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        for count in (1, 2):
            sender.sendmsg([b"x"], [RIGHTS + (array.array("i", [0] * count),)])
        payload = ctypes.create_string_buffer(8)
        part = struct.pack("PN", ctypes.addressof(payload), 8)
        part = ctypes.create_string_buffer(part, len(part))
        space = socket.CMSG_SPACE(8)
        control = [ctypes.create_string_buffer(space) for _ in range(2)]
        messages = b"".join(
            struct.pack("PI4xPNPNi4xI4x", 0, 0, ctypes.addressof(part), 1,
                        ctypes.addressof(room), space, 0, 0)
            for room in control
        )
        messages = ctypes.create_string_buffer(messages, len(messages))
        assert syscall("recvmmsg", receiver.fileno(), messages, 2, 0, 0) == 2
        header = struct.calcsize("Nii")
        for count, room in zip((1, 2), control):
            keep(*struct.unpack_from("%di" % count, room.raw, header))


def memfd_create():
    keep(syscall("memfd_create", "named", 1))


def memfd_secret():
    keep(syscall("memfd_secret", O_CLOEXEC))


def eventfd():
    keep(syscall("eventfd", 0), syscall("eventfd2", 0, O_CLOEXEC))


def epoll_create():
    keep(syscall("epoll_create", 1))


def timerfd_create():
    keep(syscall("timerfd_create", 1, O_CLOEXEC))


def signalfd():
    mask = bytes(8)
    fd = syscall("signalfd4", -1, mask, 8, O_CLOEXEC)
    # With a descriptor given it is changed, and none is made.
    assert syscall("signalfd4", fd, mask, 8, 0) == fd
    keep(fd, syscall("signalfd", -1, mask, 8))


def inotify_init1():
    keep(syscall("inotify_init"), syscall("inotify_init1", O_CLOEXEC))


def fanotify_init():
    keep(syscall("fanotify_init", 1, 0))


def pidfd_open():
    keep(syscall("pidfd_open", os.getpid(), 0))


def pidfd_getfd():
    pidfd = syscall("pidfd_open", os.getpid(), 0)
    keep(pidfd, syscall("pidfd_getfd", pidfd, 0, 0))


def pidfd_of_clone3():
    CLONE_PIDFD, SIGCHLD = 0x1000, 17
    pidfd = ctypes.c_int(-1)
    arguments = struct.pack("8Q", CLONE_PIDFD, ctypes.addressof(pidfd), 0, 0, SIGCHLD, 0, 0, 0)
    child = syscall("clone3", arguments, len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    keep(pidfd.value)


def io_uring_setup():
    keep(syscall("io_uring_setup", 4, ctypes.create_string_buffer(120)))


def userfaultfd():
    keep(syscall("userfaultfd", O_CLOEXEC | 1))


def perf_event_open():
    SOFTWARE, CPU_CLOCK = 1, 0
    attributes = struct.pack("IIQ", SOFTWARE, 64, CPU_CLOCK) + bytes(48)
    keep(syscall("perf_event_open", attributes, 0, -1, -1, 0))


def bpf_map():
    ARRAY = 2
    attributes = struct.pack("IIIII", ARRAY, 4, 4, 1, 0) + bytes(100)
    keep(syscall("bpf", 0, attributes, len(attributes)))


def landlock_create_ruleset():
    keep(syscall("landlock_create_ruleset", struct.pack("Q", 1), 8, 0))


def landlock_version_is_no_descriptor():
    syscall("landlock_create_ruleset", 0, 0, 1)


def mq_open():
    queue = b"pitviper-%d" % os.getpid()
    fd = syscall("mq_open", queue, os.O_CREAT | os.O_RDWR, 0o600, 0)
    ctypes.CDLL(None).syscall(ctypes.c_long(241), queue)
    keep(fd)


def open_tree():
    keep(syscall("open_tree", AT_FDCWD, "/", O_CLOEXEC))


def fsopen_and_fsmount():
    FSCONFIG_CMD_CREATE = 6
    filesystem = syscall("fsopen", "tmpfs", 1)
    keep(filesystem)
    syscall("fsconfig", filesystem, FSCONFIG_CMD_CREATE, 0, 0, 0)
    keep(syscall("fsmount", filesystem, 1, 0))


def fspick():
    keep(syscall("fspick", AT_FDCWD, "/proc", 1))


def close_range():
    syscall("close_range", 150, 250, 0)


def close_range_with_cloexec():
    """Marks for exec, closes nothing now."""
    syscall("close_range", 251, 280, 4)


def close_range_of_nothing():
    syscall("close_range", 5000, 0xFFFFFFFF, 0)


def close_range_that_fails():
    fails(errno.EINVAL, syscall, "close_range", 20, 10, 0)
    fails(errno.EINVAL, syscall, "close_range", 10, 20, 64)


def close_range_with_an_open_end():
    syscall("close_range", 300, 0xFFFFFFFF, 0)
