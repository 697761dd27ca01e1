//! The syscalls that touch descriptors, and what each does to them.
//!
//! The numbers are this architecture's; the kernel side gets them as a table, so that it knows no
//! number itself.

use pitviper_probes::types::call_class;

type Class = call_class;

/// Calls that the C library's headers may be too old to know; the same number everywhere.
const OPEN_TREE: i64 = 428;
const FSOPEN: i64 = 430;
const FSMOUNT: i64 = 432;
const FSPICK: i64 = 433;
const PIDFD_OPEN: i64 = 434;
const CLONE3: i64 = 435;
const CLOSE_RANGE: i64 = 436;
const OPENAT2: i64 = 437;
const PIDFD_GETFD: i64 = 438;
const LANDLOCK_CREATE_RULESET: i64 = 444;
const MEMFD_SECRET: i64 = 447;

const CALLS: &[(i64, &str, Class)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", Class::CALL_OPENS_PATH0),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, "creat", Class::CALL_OPENS_PATH0),
    (libc::SYS_openat, "openat", Class::CALL_OPENS_PATH1),
    (OPENAT2, "openat2", Class::CALL_OPENS_PATH1),
    (libc::SYS_open_by_handle_at, "open_by_handle_at", Class::CALL_OPENS),
    (libc::SYS_socket, "socket", Class::CALL_OPENS),
    (libc::SYS_accept, "accept", Class::CALL_OPENS),
    (libc::SYS_accept4, "accept4", Class::CALL_OPENS),
    (libc::SYS_socketpair, "socketpair", Class::CALL_PAIR3),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pipe, "pipe", Class::CALL_PAIR0),
    (libc::SYS_pipe2, "pipe2", Class::CALL_PAIR0),
    (libc::SYS_dup, "dup", Class::CALL_OPENS),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_dup2, "dup2", Class::CALL_DUPLICATES),
    (libc::SYS_dup3, "dup3", Class::CALL_DUPLICATES),
    (libc::SYS_fcntl, "fcntl", Class::CALL_FCNTL),
    (libc::SYS_ioctl, "ioctl", Class::CALL_IOCTL),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_eventfd, "eventfd", Class::CALL_OPENS),
    (libc::SYS_eventfd2, "eventfd2", Class::CALL_OPENS),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_create, "epoll_create", Class::CALL_OPENS),
    (libc::SYS_epoll_create1, "epoll_create1", Class::CALL_OPENS),
    (libc::SYS_timerfd_create, "timerfd_create", Class::CALL_OPENS),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_signalfd, "signalfd", Class::CALL_SIGNALFD),
    (libc::SYS_signalfd4, "signalfd4", Class::CALL_SIGNALFD),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_inotify_init, "inotify_init", Class::CALL_OPENS),
    (libc::SYS_inotify_init1, "inotify_init1", Class::CALL_OPENS),
    (libc::SYS_fanotify_init, "fanotify_init", Class::CALL_OPENS),
    (libc::SYS_memfd_create, "memfd_create", Class::CALL_OPENS_PATH0),
    (MEMFD_SECRET, "memfd_secret", Class::CALL_OPENS),
    (PIDFD_OPEN, "pidfd_open", Class::CALL_OPENS),
    (PIDFD_GETFD, "pidfd_getfd", Class::CALL_OPENS),
    (libc::SYS_userfaultfd, "userfaultfd", Class::CALL_OPENS),
    (libc::SYS_perf_event_open, "perf_event_open", Class::CALL_OPENS),
    (libc::SYS_io_uring_setup, "io_uring_setup", Class::CALL_OPENS_URING),
    (libc::SYS_mq_open, "mq_open", Class::CALL_OPENS_PATH0),
    (libc::SYS_bpf, "bpf", Class::CALL_OPENS_POSITIVE),
    (libc::SYS_seccomp, "seccomp", Class::CALL_OPENS_POSITIVE),
    (OPEN_TREE, "open_tree", Class::CALL_OPENS_PATH1),
    (FSOPEN, "fsopen", Class::CALL_OPENS_PATH0),
    (FSMOUNT, "fsmount", Class::CALL_OPENS),
    (FSPICK, "fspick", Class::CALL_OPENS_PATH1),
    (LANDLOCK_CREATE_RULESET, "landlock_create_ruleset", Class::CALL_OPENS_POSITIVE),
    (libc::SYS_recvmsg, "recvmsg", Class::CALL_RECVMSG),
    (libc::SYS_recvmmsg, "recvmmsg", Class::CALL_RECVMMSG),
    (libc::SYS_clone, "clone", Class::CALL_CLONE),
    (CLONE3, "clone3", Class::CALL_CLONE3),
    (libc::SYS_close, "close", Class::CALL_CLOSE),
    (CLOSE_RANGE, "close_range", Class::CALL_CLOSE_RANGE),
    // An exec makes and ends descriptors without a call of its own; named for the trace only.
    (libc::SYS_execve, "execve", Class::CALL_IGNORED),
    (libc::SYS_read, "read", Class::CALL_USES),
    (libc::SYS_write, "write", Class::CALL_USES),
    (libc::SYS_pread64, "pread64", Class::CALL_USES),
    (libc::SYS_pwrite64, "pwrite64", Class::CALL_USES),
    (libc::SYS_readv, "readv", Class::CALL_USES),
    (libc::SYS_writev, "writev", Class::CALL_USES),
    (libc::SYS_preadv, "preadv", Class::CALL_USES),
    (libc::SYS_pwritev, "pwritev", Class::CALL_USES),
    (libc::SYS_recvfrom, "recvfrom", Class::CALL_USES),
    (libc::SYS_sendto, "sendto", Class::CALL_USES),
    (libc::SYS_sendmsg, "sendmsg", Class::CALL_USES),
    (libc::SYS_sendmmsg, "sendmmsg", Class::CALL_USES),
    (libc::SYS_getdents64, "getdents64", Class::CALL_USES),
    (libc::SYS_fsync, "fsync", Class::CALL_USES),
    (libc::SYS_fdatasync, "fdatasync", Class::CALL_USES),
    (libc::SYS_ftruncate, "ftruncate", Class::CALL_USES),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", Class::CALL_USES),
    (libc::SYS_epoll_pwait, "epoll_pwait", Class::CALL_USES),
];

/// Name of a traced syscall.
pub fn name(number: u16) -> Option<&'static str> {
    CALLS.iter().find(|(n, ..)| *n == i64::from(number)).map(|(_, name, _)| *name)
}

/// Number of `execve`, the call by which descriptors end that are to be closed on exec.
pub(super) fn execve() -> u32 {
    libc::SYS_execve as u32
}

/// What each syscall does, by number (`enum call_class` of the kernel side; 0: nothing).
pub fn classes() -> [u8; 512] {
    let mut classes = [0; 512];
    for (number, _, class) in CALLS {
        if let Some(slot) = usize::try_from(*number).ok().and_then(|n| classes.get_mut(n)) {
            *slot = class.0 as u8;
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_once_and_fits_the_table() {
        let mut numbers: Vec<i64> = CALLS.iter().map(|(n, ..)| *n).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(numbers.iter().all(|n| (0..512).contains(n)));
    }
}
