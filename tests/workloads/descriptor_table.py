"""Steps through every way in which a descriptor comes or goes, and tells after each step which
descriptors are open.

usage: descriptor_table.py FOLDER
Told `next` it makes a step and prints `STEP {"name", "unavailable", "open"}`; after the last step
it prints `END`. The last step executes this program again in the same process.
"""

import array
import errno
import fcntl
import json
import mmap
import os
import resource
import select
import socket
import sys
import tempfile
import threading

import descriptor_calls as raw
import handshake
from kept_descriptors import KEPT, RIGHTS, fails, keep, open_file, path

# Each step is one function; its name is the step's name. Those that Python has no function for are
# in descriptor_calls.py.


def openat():
    keep(open_file())


def openat_relative_to_a_folder():
    folder = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    keep(folder, os.open("file", os.O_RDONLY, dir_fd=folder))


def open_as_file_object():
    keep(open(path(), "rb").detach())


def o_tmpfile():
    keep(tempfile.TemporaryFile().detach())


def o_path():
    keep(os.open(path(), os.O_PATH))


def memory_mapped():
    """The map duplicates the descriptor."""
    fd = open_file()
    os.ftruncate(fd, 4096)
    mapped = mmap.mmap(fd, 4096)
    os.close(fd)
    KEPT.append(mapped)


def memory_mapped_is_closed():
    fd = open_file()
    mapped = mmap.mmap(fd, 4096)
    mapped.close()
    os.close(fd)


def dup():
    keep(os.dup(0))


def f_dupfd():
    keep(fcntl.fcntl(0, fcntl.F_DUPFD, 50))


def f_dupfd_cloexec():
    keep(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 60))


def other_fcntl():
    """Results that look like descriptors and are none."""
    fcntl.fcntl(0, fcntl.F_GETFD)
    fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETFD, 0)


def dup2_onto_a_free_number():
    keep(os.dup2(0, 70))


def dup2_onto_an_open_number():
    first, second = open_file(), open_file()
    os.dup2(first, second)
    keep(first, second)


def pipe2():
    keep(*os.pipe())


def socket_of_each_family():
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
        kind = socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM
        keep(socket.socket(family, kind).detach())


def socketpair():
    keep(*(end.detach() for end in socket.socketpair()))


def accept():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        keep(client.detach(), server.detach())


def accept_that_would_block():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        fails(errno.EAGAIN, listener.accept)


def failed_connect():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        fails(errno.ECONNREFUSED, socket.create_connection, unused.getsockname())


def scm_rights_of_three():
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.sendmsg([b"x"], [RIGHTS + (array.array("i", [0, 1, 2]),)])
        _, ancillary, _, _ = receiver.recvmsg(1, socket.CMSG_SPACE(12))
        received = array.array("i", ancillary[0][2])
        assert len(received) == 3
        keep(*received)


def scm_rights_in_two_messages():
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        for count in (1, 2):
            sender.sendmsg([b"x"], [RIGHTS + (array.array("i", [0] * count),)])
        for count in (1, 2):
            _, ancillary, _, _ = receiver.recvmsg(1, socket.CMSG_SPACE(4 * count))
            keep(*array.array("i", ancillary[0][2]))


def scm_rights_cut_short():
    """Room for one of three: the kernel hands over only what fits."""
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.sendmsg([b"x"], [RIGHTS + (array.array("i", [0, 1, 2]),)])
        _, ancillary, flags, _ = receiver.recvmsg(1, socket.CMSG_LEN(4))
        assert flags & socket.MSG_CTRUNC
        keep(*array.array("i", ancillary[0][2][:4]))


def scm_rights_behind_credentials():
    """The descriptors are not in the first control message."""
    sender, receiver = socket.socketpair()
    with sender, receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sender.sendmsg([b"x"], [RIGHTS + (array.array("i", [0, 1]),)])
        space = socket.CMSG_SPACE(12) + socket.CMSG_SPACE(8)
        _, ancillary, _, _ = receiver.recvmsg(1, space)
        for level, kind, data in ancillary:
            if (level, kind) == RIGHTS:
                keep(*array.array("i", data))


def epoll_create1():
    KEPT.append(select.epoll())


def pseudo_terminal():
    """The terminal's other end comes from an ioctl."""
    keep(*os.openpty())


def failing_opens():
    fails(errno.ENOENT, os.open, path("missing"), os.O_RDONLY)
    fails(errno.EEXIST, os.open, path(), os.O_RDWR | os.O_CREAT | os.O_EXCL)
    fails(errno.EBADF, os.dup, 999)
    fails(errno.EBADF, os.close, 999)
    fails(errno.EAFNOSUPPORT, socket.socket, 77)


def no_descriptor_left():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        fails(errno.EMFILE, os.open, "/", os.O_RDONLY)
        fails(errno.EMFILE, os.pipe)
        fails(errno.EMFILE, socket.socketpair)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def many():
    fds = [os.dup(0) for _ in range(300)]
    for fd in fds[::2]:
        os.close(fd)
    keep(*fds[1::2])


def closerange_of_os():
    os.closerange(120, 150)


def opened_by_one_thread_closed_by_another():
    fds = []
    thread = threading.Thread(target=lambda: fds.extend(os.pipe()))
    thread.start()
    thread.join()
    os.close(fds[0])
    keep(fds[1])


def threads_at_once():
    def work():
        for _ in range(200):
            fd = os.dup(0)
            os.close(fd)
        keep(os.dup(0))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fork_that_closes_and_opens():
    child = os.fork()
    if child == 0:
        os.closerange(3, 1000)
        for _ in range(20):
            os.dup(0)
        os._exit(0)
    os.waitpid(child, 0)


def subprocess_with_pipes():
    import subprocess

    subprocess.run(["true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    subprocess.run(["true"], close_fds=False, check=True)


def posix_spawn():
    child = os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_CLOSE, 0)])
    os.waitpid(child, 0)


def close_all_that_were_kept():
    while KEPT:
        one = KEPT.pop()
        if not isinstance(one, int):
            one.close()
        else:
            try:
                os.close(one)
            except OSError as error:
                assert error.errno == errno.EBADF, error


def inherited_and_not():
    keep(open_file(), open_file())
    for fd in (os.dup(0), os.dup(0)):
        os.set_inheritable(fd, True)
        keep(fd)


def exec_in_place():
    """Closes what is marked for it and keeps the rest."""
    program = [sys.executable] + list(sys.argv[:2]) + ["after"]
    os.execv(program[0], program)


def after_exec():
    keep(open_file(), *os.pipe())


STEPS = [
    openat, openat_relative_to_a_folder, open_as_file_object, o_tmpfile, o_path, raw.openat2,
    raw.creat, raw.open_by_handle_at, memory_mapped, memory_mapped_is_closed, dup,
    raw.dup_by_its_own_call, f_dupfd, f_dupfd_cloexec, other_fcntl, dup2_onto_a_free_number,
    raw.dup2_by_its_own_call, dup2_onto_an_open_number, raw.dup2_onto_itself,
    raw.dup2_that_fails_closes_nothing, raw.dup3, raw.dup3_onto_an_open_number,
    raw.dup3_onto_itself_fails, pipe2, raw.pipe, raw.pipe_into_unreadable_memory_fails,
    socket_of_each_family, socketpair, accept, accept_that_would_block, failed_connect,
    scm_rights_of_three, scm_rights_in_two_messages, scm_rights_cut_short,
    scm_rights_behind_credentials, raw.scm_rights_by_recvmmsg, raw.memfd_create, raw.memfd_secret,
    raw.eventfd, epoll_create1, raw.epoll_create, raw.timerfd_create, raw.signalfd,
    raw.inotify_init1, raw.fanotify_init, raw.pidfd_open, raw.pidfd_getfd, raw.pidfd_of_clone3,
    raw.io_uring_setup, raw.userfaultfd, raw.perf_event_open, raw.bpf_map,
    raw.landlock_create_ruleset, raw.landlock_version_is_no_descriptor, raw.mq_open, raw.open_tree,
    raw.fsopen_and_fsmount, raw.fspick, pseudo_terminal, failing_opens, no_descriptor_left, many,
    raw.close_range, raw.close_range_with_cloexec, raw.close_range_of_nothing,
    raw.close_range_that_fails, raw.close_range_with_an_open_end, closerange_of_os,
    opened_by_one_thread_closed_by_another, threads_at_once, fork_that_closes_and_opens,
    subprocess_with_pipes, posix_spawn, close_all_that_were_kept, inherited_and_not, exec_in_place,
]

# What a kernel, a container or a security policy may refuse.
# ENODEV: a root without pseudo-terminals.
REFUSALS = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENODEV)


def open_now():
    """The descriptors that are open, without the one that the listing itself uses."""
    listed = [int(name) for name in os.listdir("/proc/self/fd")]
    still = []
    for fd in listed:
        try:
            os.fstat(fd)
        except OSError:
            continue
        still.append(fd)
    return sorted(still)


def tell(name, unavailable=None):
    report = {"name": name, "unavailable": unavailable, "open": open_now()}
    handshake.say("STEP " + json.dumps(report))


def make(step):
    unavailable = None
    try:
        step()
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        unavailable = str(error)
    tell(step.__name__, unavailable)


def main():
    if sys.argv[2:]:
        tell("exec_in_place")
        handshake.wait_for("next")
        make(after_exec)
        handshake.wait_for("next")
        handshake.say("END")
        handshake.hear()
        return
    open_now()
    handshake.ready()
    for step in STEPS:
        handshake.wait_for("next")
        make(step)


if __name__ == "__main__":
    main()
