//! What a descriptor refers to.
//!
//! The call that made it says it best: epoll, eventfd and their like are all anonymous inodes, whose
//! mode has no file type (and claims a regular file inside the kernel since 6.16). Where the call
//! does not tell (`fcntl`, `recvmsg`, found open at the attach) the mode has to do.

use std::fmt;

/// What a descriptor refers to; the published name is [`DescriptorKind::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DescriptorKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket of any family.
    Socket,
    /// One end of an anonymous pipe.
    Pipe,
    /// A named pipe.
    Fifo,
    /// A character or block device.
    Device,
    /// An epoll instance.
    Epoll,
    /// An event counter.
    Eventfd,
    /// A timer.
    Timerfd,
    /// A queue of signals.
    Signalfd,
    /// An inotify or fanotify instance.
    Inotify,
    /// Anonymous memory with a name.
    Memfd,
    /// A handle on a process.
    Pidfd,
    /// A handler of page faults.
    Userfaultfd,
    /// A performance counter.
    PerfEvent,
    /// An io_uring instance.
    IoUring,
    /// A BPF object.
    Bpf,
    /// Anything else.
    Other,
}

/// Numbers of the x86-64 syscall table (`arch/x86/entry/syscalls/syscall_64.tbl`).
mod call {
    pub(super) const OPEN: u16 = 2;
    pub(super) const CREAT: u16 = 85;
    pub(super) const OPENAT: u16 = 257;
    pub(super) const OPEN_BY_HANDLE_AT: u16 = 304;
    pub(super) const OPENAT2: u16 = 437;
    pub(super) const PIPE: u16 = 22;
    pub(super) const PIPE2: u16 = 293;
    pub(super) const SOCKET: u16 = 41;
    pub(super) const ACCEPT: u16 = 43;
    pub(super) const SOCKETPAIR: u16 = 53;
    pub(super) const ACCEPT4: u16 = 288;
    pub(super) const EPOLL_CREATE: u16 = 213;
    pub(super) const EPOLL_CREATE1: u16 = 291;
    pub(super) const EVENTFD: u16 = 284;
    pub(super) const EVENTFD2: u16 = 290;
    pub(super) const TIMERFD_CREATE: u16 = 283;
    pub(super) const SIGNALFD: u16 = 282;
    pub(super) const SIGNALFD4: u16 = 289;
    pub(super) const INOTIFY_INIT: u16 = 253;
    pub(super) const INOTIFY_INIT1: u16 = 294;
    pub(super) const FANOTIFY_INIT: u16 = 300;
    pub(super) const MEMFD_CREATE: u16 = 319;
    pub(super) const MEMFD_SECRET: u16 = 447;
    pub(super) const PIDFD_OPEN: u16 = 434;
    pub(super) const CLONE: u16 = 56;
    pub(super) const CLONE3: u16 = 435;
    pub(super) const USERFAULTFD: u16 = 323;
    pub(super) const PERF_EVENT_OPEN: u16 = 298;
    pub(super) const IO_URING_SETUP: u16 = 425;
    pub(super) const BPF: u16 = 321;
}

/// The call that takes a connection from a listening socket made this descriptor.
pub fn is_accepted(call: u16) -> bool {
    matches!(call, call::ACCEPT | call::ACCEPT4)
}

impl DescriptorKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [DescriptorKind; 18] = [
        DescriptorKind::File,
        DescriptorKind::Directory,
        DescriptorKind::Socket,
        DescriptorKind::Pipe,
        DescriptorKind::Fifo,
        DescriptorKind::Device,
        DescriptorKind::Epoll,
        DescriptorKind::Eventfd,
        DescriptorKind::Timerfd,
        DescriptorKind::Signalfd,
        DescriptorKind::Inotify,
        DescriptorKind::Memfd,
        DescriptorKind::Pidfd,
        DescriptorKind::Userfaultfd,
        DescriptorKind::PerfEvent,
        DescriptorKind::IoUring,
        DescriptorKind::Bpf,
        DescriptorKind::Other,
    ];

    /// From the number of the syscall that made it (x86-64 table) and its `st_mode`; either may be 0
    /// for "unknown".
    pub fn of(call: u16, mode: u16) -> Self {
        match call {
            call::PIPE | call::PIPE2 => Self::Pipe,
            call::SOCKET | call::SOCKETPAIR | call::ACCEPT | call::ACCEPT4 => Self::Socket,
            call::EPOLL_CREATE | call::EPOLL_CREATE1 => Self::Epoll,
            call::EVENTFD | call::EVENTFD2 => Self::Eventfd,
            call::TIMERFD_CREATE => Self::Timerfd,
            call::SIGNALFD | call::SIGNALFD4 => Self::Signalfd,
            call::INOTIFY_INIT | call::INOTIFY_INIT1 | call::FANOTIFY_INIT => Self::Inotify,
            call::MEMFD_CREATE | call::MEMFD_SECRET => Self::Memfd,
            call::PIDFD_OPEN | call::CLONE | call::CLONE3 => Self::Pidfd,
            call::USERFAULTFD => Self::Userfaultfd,
            call::PERF_EVENT_OPEN => Self::PerfEvent,
            call::IO_URING_SETUP => Self::IoUring,
            call::BPF => Self::Bpf,
            _ => Self::of_mode(call, mode),
        }
    }

    fn of_mode(call: u16, mode: u16) -> Self {
        let opened_by_path = matches!(
            call,
            call::OPEN | call::CREAT | call::OPENAT | call::OPENAT2 | call::OPEN_BY_HANDLE_AT
        );
        match u32::from(mode) & libc::S_IFMT {
            libc::S_IFREG => Self::File,
            libc::S_IFDIR => Self::Directory,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFIFO if opened_by_path => Self::Fifo,
            libc::S_IFIFO => Self::Pipe,
            libc::S_IFCHR | libc::S_IFBLK => Self::Device,
            _ if mode == 0 && opened_by_path => Self::File,
            _ => Self::Other,
        }
    }

    /// Whether this call may have made one.
    pub fn may_come_of(self, call: u16) -> bool {
        match Self::of(call, 0) {
            // It makes another of whatever there is.
            Self::Other => true,
            Self::File => matches!(self, Self::File | Self::Directory | Self::Device | Self::Fifo),
            kind => kind == self,
        }
    }

    /// The kind that the mode alone would give: what is known of descriptors whose call was not seen.
    pub fn by_mode(self) -> Self {
        match self {
            Self::File | Self::Memfd => Self::File,
            Self::Pipe | Self::Fifo => Self::Pipe,
            Self::Directory | Self::Socket | Self::Device => self,
            _ => Self::Other,
        }
    }

    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Socket => "socket",
            Self::Pipe => "pipe",
            Self::Fifo => "fifo",
            Self::Device => "device",
            Self::Epoll => "epoll",
            Self::Eventfd => "eventfd",
            Self::Timerfd => "timerfd",
            Self::Signalfd => "signalfd",
            Self::Inotify => "inotify",
            Self::Memfd => "memfd",
            Self::Pidfd => "pidfd",
            Self::Userfaultfd => "userfaultfd",
            Self::PerfEvent => "perf-event",
            Self::IoUring => "io-uring",
            Self::Bpf => "bpf",
            Self::Other => "other",
        }
    }

    /// The name in the plural, as a sentence has it ("412 sockets").
    pub fn plural(self) -> &'static str {
        match self {
            Self::File => "files",
            Self::Directory => "directories",
            Self::Socket => "sockets",
            Self::Pipe => "pipe ends",
            Self::Fifo => "named pipes",
            Self::Device => "devices",
            Self::Epoll => "epoll instances",
            Self::Eventfd => "eventfds",
            Self::Timerfd => "timerfds",
            Self::Signalfd => "signalfds",
            Self::Inotify => "inotify instances",
            Self::Memfd => "memfds",
            Self::Pidfd => "pidfds",
            Self::Userfaultfd => "userfaultfds",
            Self::PerfEvent => "perf events",
            Self::IoUring => "io_uring instances",
            Self::Bpf => "BPF objects",
            Self::Other => "descriptors",
        }
    }
}

impl fmt::Display for DescriptorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGULAR: u16 = libc::S_IFREG as u16;

    /// Exercise the calls whose descriptors all have the same kind of inode.
    #[test]
    fn the_call_names_anonymous_inodes() {
        for (call, kind) in [
            (291, DescriptorKind::Epoll),
            (290, DescriptorKind::Eventfd),
            (283, DescriptorKind::Timerfd),
            (289, DescriptorKind::Signalfd),
            (294, DescriptorKind::Inotify),
            (434, DescriptorKind::Pidfd),
            (323, DescriptorKind::Userfaultfd),
            (298, DescriptorKind::PerfEvent),
            (425, DescriptorKind::IoUring),
            (321, DescriptorKind::Bpf),
            (319, DescriptorKind::Memfd),
        ] {
            assert_eq!(DescriptorKind::of(call, 0o600), kind);
            assert_eq!(DescriptorKind::of(call, REGULAR | 0o600), kind, "kernels from 6.16 on");
            assert!(kind.may_come_of(call) && !DescriptorKind::Directory.may_come_of(call));
        }
        assert!(DescriptorKind::Directory.may_come_of(257), "openat");
        assert!(DescriptorKind::Epoll.may_come_of(32), "dup");
    }

    /// Exercise what the mode has to tell.
    #[test]
    fn the_mode_names_the_rest() {
        let of = |call, mode: u32| DescriptorKind::of(call, mode as u16);
        assert_eq!(of(257, libc::S_IFREG | 0o644), DescriptorKind::File);
        assert_eq!(of(257, libc::S_IFDIR), DescriptorKind::Directory);
        assert_eq!(of(257, libc::S_IFCHR), DescriptorKind::Device);
        assert_eq!(of(0, libc::S_IFBLK), DescriptorKind::Device);
        assert_eq!(of(257, libc::S_IFIFO), DescriptorKind::Fifo);
        assert_eq!(of(72, libc::S_IFIFO), DescriptorKind::Pipe, "a pipe's end, duplicated");
        assert_eq!(of(47, libc::S_IFSOCK), DescriptorKind::Socket, "received by SCM_RIGHTS");
        assert_eq!(of(257, 0), DescriptorKind::File);
        assert_eq!(of(0, 0), DescriptorKind::Other);
        assert_eq!(of(72, 0o600), DescriptorKind::Other);
    }

    /// Exercise the list that exporters walk: complete, without doubles, in order.
    #[test]
    fn all_lists_each_kind_once() {
        assert!(DescriptorKind::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(DescriptorKind::ALL.last(), Some(&DescriptorKind::Other));
    }
}
