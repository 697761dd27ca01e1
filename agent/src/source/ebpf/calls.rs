//! The syscalls that are traced: what each does to descriptors, and what it may wait for.
//!
//! The numbers are this architecture's; the kernel side gets them as a table, so that it knows no
//! number itself.

use pitviper_probes::types::{call_class as Class, wait_class as Wait};

use crate::native::Makes;
use crate::source::WaitClass;

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
const FACCESSAT2: i64 = 439;
const EPOLL_PWAIT2: i64 = 441;
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
    (libc::SYS_accept, "accept", Class::CALL_ACCEPTS),
    (libc::SYS_accept4, "accept4", Class::CALL_ACCEPTS),
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
    (EPOLL_PWAIT2, "epoll_pwait2", Class::CALL_USES),
    (libc::SYS_sendfile, "sendfile", Class::CALL_USES),
    (libc::SYS_splice, "splice", Class::CALL_USES),
    (libc::SYS_copy_file_range, "copy_file_range", Class::CALL_USES),
];

/// Calls that only wait, or only name what they do: neither makes nor ends a descriptor.
const NAMES: &[(i64, &str)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    (libc::SYS_ppoll, "ppoll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select"),
    (libc::SYS_pselect6, "pselect6"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_pause, "pause"),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait"),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend"),
    (libc::SYS_restart_syscall, "restart_syscall"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_sync, "sync"),
    (libc::SYS_syncfs, "syncfs"),
    (libc::SYS_msync, "msync"),
    (libc::SYS_sync_file_range, "sync_file_range"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "stat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "lstat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, "access"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_readlink, "readlink"),
    (libc::SYS_newfstatat, "newfstatat"),
    (libc::SYS_statx, "statx"),
    (libc::SYS_faccessat, "faccessat"),
    (FACCESSAT2, "faccessat2"),
    (libc::SYS_readlinkat, "readlinkat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_unlinkat, "unlinkat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_mkdirat, "mkdirat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir"),
    (libc::SYS_truncate, "truncate"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_mmap, "mmap"),
    (libc::SYS_munmap, "munmap"),
    (libc::SYS_mremap, "mremap"),
    (libc::SYS_brk, "brk"),
];

/// What each call may wait for, where it can wait at all, or is looked at for another reason.
fn wait_class(name: &str) -> Wait {
    match name {
        "open" | "creat" | "openat" | "openat2" => Wait::WAIT_OPEN,
        "close" => Wait::WAIT_CLOSE,
        "read" | "pread64" | "readv" | "preadv" => Wait::WAIT_READ,
        "write" | "pwrite64" | "writev" | "pwritev" => Wait::WAIT_WRITE,
        "recvfrom" | "recvmsg" | "recvmmsg" => Wait::WAIT_RECEIVE,
        "sendto" | "sendmsg" | "sendmmsg" | "sendfile" | "splice" | "copy_file_range" => {
            Wait::WAIT_SEND
        }
        "connect" => Wait::WAIT_CONNECT,
        "accept" | "accept4" => Wait::WAIT_ACCEPT,
        "poll" | "ppoll" | "select" | "pselect6" => Wait::WAIT_POLL,
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => Wait::WAIT_EPOLL,
        // fcntl is timed for its locks only; the kernel side looks at its command.
        "futex" | "flock" | "fcntl" => Wait::WAIT_LOCK,
        "wait4" | "waitid" => Wait::WAIT_CHILD,
        "nanosleep" | "clock_nanosleep" | "pause" | "rt_sigtimedwait" | "rt_sigsuspend"
        | "restart_syscall" => Wait::WAIT_SLEEP,
        "fsync" | "fdatasync" | "sync" | "syncfs" | "msync" | "sync_file_range" | "ftruncate"
        | "fallocate" => Wait::WAIT_SYNC,
        "getdents64" => Wait::WAIT_LIST,
        "stat" | "lstat" | "access" | "readlink" | "newfstatat" | "statx" | "faccessat"
        | "faccessat2" | "readlinkat" => Wait::WAIT_STAT,
        "rename" | "renameat" | "renameat2" | "unlink" | "unlinkat" | "mkdir" | "mkdirat"
        | "rmdir" | "truncate" => Wait::WAIT_RENAME,
        "mmap" | "munmap" | "mremap" | "brk" => Wait::WAIT_MAP,
        _ => Wait::WAIT_NONE,
    }
}

/// Every call that is traced: number and name.
fn known() -> impl Iterator<Item = (i64, &'static str)> {
    CALLS.iter().map(|(number, name, _)| (*number, *name)).chain(NAMES.iter().copied())
}

/// Name of a traced syscall.
pub fn name(number: u16) -> Option<&'static str> {
    known().find(|(n, _)| *n == i64::from(number)).map(|(_, name)| name)
}

/// Number of a traced syscall; one that no call has where this architecture lacks it.
pub(super) fn number(of: &str) -> u32 {
    known().find(|(_, name)| *name == of).and_then(|(n, _)| u32::try_from(n).ok()).unwrap_or(!0)
}

/// What each syscall does, by number (`enum call_class` of the kernel side; 0: nothing).
pub fn classes() -> [u8; 512] {
    by_number(CALLS.iter().map(|(number, _, class)| (*number, class.0)))
}

/// What each syscall may wait for, by number (`enum wait_class`; 0: it is not timed). A close is
/// timed in a trace only: it hardly ever waits, and to time it is a good part of what watching a
/// program costs that opens and closes all the time.
pub(super) fn wait_classes(trace: bool) -> [u8; 512] {
    let timed = known().filter(|(_, name)| trace || *name != "close");
    by_number(timed.map(|(number, name)| (number, wait_class(name).0)))
}

/// The syscalls whose argument 3 is the position in the file.
pub(super) fn positioned() -> [u8; 512] {
    let calls = ["pread64", "pwrite64", "preadv", "pwritev"];
    by_number(known().filter(|(_, name)| calls.contains(name)).map(|(number, _)| (number, 1)))
}

/// What a syscall makes. fork and vfork are not traced by themselves.
pub fn makes(call: u16) -> Makes {
    #[cfg(target_arch = "x86_64")]
    if [libc::SYS_fork, libc::SYS_vfork].contains(&i64::from(call)) {
        return Makes::Process;
    }
    match Class(u32::from(classes().get(usize::from(call)).copied().unwrap_or(0))) {
        Class::CALL_CLONE | Class::CALL_CLONE3 => Makes::Process,
        Class::CALL_IGNORED | Class::CALL_USES | Class::CALL_CLOSE | Class::CALL_CLOSE_RANGE => {
            Makes::Nothing
        }
        _ => Makes::Descriptor,
    }
}

/// How a syscall waits.
pub fn wait_of(call: u16) -> WaitClass {
    wait_from(name(call).map_or(Wait::WAIT_NONE, wait_class).0)
}

/// A class by its number on the kernel side.
pub(super) fn wait_from(class: u32) -> WaitClass {
    match Wait(class) {
        Wait::WAIT_OPEN => WaitClass::Open,
        Wait::WAIT_CLOSE => WaitClass::Close,
        Wait::WAIT_READ => WaitClass::Read,
        Wait::WAIT_WRITE => WaitClass::Write,
        Wait::WAIT_RECEIVE => WaitClass::Receive,
        Wait::WAIT_SEND => WaitClass::Send,
        Wait::WAIT_CONNECT => WaitClass::Connect,
        Wait::WAIT_ACCEPT => WaitClass::Accept,
        Wait::WAIT_POLL => WaitClass::Poll,
        Wait::WAIT_EPOLL => WaitClass::Epoll,
        Wait::WAIT_LOCK => WaitClass::Lock,
        Wait::WAIT_CHILD => WaitClass::Child,
        Wait::WAIT_SLEEP => WaitClass::Sleep,
        Wait::WAIT_SYNC => WaitClass::Sync,
        Wait::WAIT_LIST => WaitClass::List,
        Wait::WAIT_STAT => WaitClass::Stat,
        Wait::WAIT_RENAME => WaitClass::Rename,
        Wait::WAIT_MAP => WaitClass::Map,
        _ => WaitClass::Other,
    }
}

fn by_number(classes: impl Iterator<Item = (i64, u32)>) -> [u8; 512] {
    let mut table = [0; 512];
    for (number, class) in classes {
        if let Some(slot) = usize::try_from(number).ok().and_then(|n| table.get_mut(n)) {
            *slot = class as u8;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_once_and_fits_the_table() {
        let mut numbers: Vec<i64> = known().map(|(n, _)| n).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(numbers.iter().all(|n| (0..512).contains(n)));
    }

    #[test]
    fn every_call_without_descriptors_is_timed() {
        assert!(NAMES.iter().all(|(_, name)| wait_class(name) != Wait::WAIT_NONE));
    }
}
