//! The families of calls that `pitviper trace` shows.

use clap::ValueEnum;

use crate::event::{DescriptorCall, DescriptorChange};
use crate::source::WaitClass;
use crate::source::ebpf::{call_name, call_wait};

/// A call that took this long blocks, whatever it is: what the graphs and the rules call slow too.
const BLOCKS_NS: u64 = 10_000_000;

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// What calls are about. A call may be of several families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Family {
    /// Descriptors that come and go, and calls that fail to make one
    Descriptors,
    /// Processes that are born, run another program and end; waiting for them
    Spawns,
    /// connect, accept, and what is sent and received
    Connections,
    /// Polls, locks and sleeps, and every other call of 10 ms and more
    Blocking,
    /// Files, directories, pipes and terminals: opened, read, written, listed, looked at
    Files,
    /// mmap, munmap, mremap, brk
    Memory,
    /// All of these
    All,
}

impl Family {
    /// Every family but [`Family::All`].
    const EACH: [Family; 6] = [
        Self::Descriptors,
        Self::Spawns,
        Self::Connections,
        Self::Blocking,
        Self::Files,
        Self::Memory,
    ];

    /// The families that a call is of, by their published names.
    pub(super) fn names(call: &DescriptorCall) -> Vec<&'static str> {
        let of = Self::EACH.into_iter().filter(|family| family.has(call));
        of.map(Self::name).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Spawns => "spawns",
            Self::Connections => "connections",
            Self::Blocking => "blocking",
            Self::Files => "files",
            Self::Memory => "memory",
            Self::All => "all",
        }
    }

    /// Whether a call is of this family.
    pub(super) fn has(self, call: &DescriptorCall) -> bool {
        use WaitClass as Class;
        let class = call_wait(call.call);
        let (named, socket) = (call.mode & S_IFMT != 0, call.mode & S_IFMT == S_IFSOCK);
        let moves = matches!(class, Class::Read | Class::Write | Class::Send | Class::Close)
            || matches!(call.change, DescriptorChange::Opened | DescriptorChange::Closed);
        match self {
            Self::All => true,
            // A read that fails makes no descriptor and was not to make one.
            Self::Descriptors => match call.change {
                DescriptorChange::Opened | DescriptorChange::Closed => true,
                DescriptorChange::Failed => makes_descriptors(call),
                DescriptorChange::None => false,
            },
            Self::Spawns => {
                class == Class::Child || matches!(call_name(call.call), Some("clone" | "clone3"))
            }
            Self::Connections => {
                matches!(class, Class::Connect | Class::Accept | Class::Receive)
                    || moves && socket
                    || class == Class::Send && call.mode == 0
            }
            Self::Blocking => {
                matches!(class, Class::Poll | Class::Epoll | Class::Lock | Class::Sleep)
                    || call.duration_ns.is_some_and(|ns| ns >= BLOCKS_NS)
            }
            Self::Files => {
                matches!(
                    class,
                    Class::Open | Class::List | Class::Stat | Class::Rename | Class::Sync
                ) || moves && named && !socket
            }
            Self::Memory => class == Class::Map,
        }
    }
}

fn makes_descriptors(call: &DescriptorCall) -> bool {
    use pitviper_probes::types::call_class as Class;
    let class = crate::source::ebpf::call_classes().get(usize::from(call.call)).copied();
    let class = Class(class.unwrap_or_default().into());
    !matches!(
        class,
        Class::CALL_IGNORED | Class::CALL_USES | Class::CALL_RECVMSG | Class::CALL_RECVMMSG
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ProcessId, StackStatus};

    fn call(number: i64, change: DescriptorChange, mode: u16, ms: u64) -> DescriptorCall {
        DescriptorCall {
            process: ProcessId(1),
            pid: 1,
            tid: 1,
            time_ns: 1,
            duration_ns: Some(ms * 1_000_000),
            call: number as u16,
            change,
            fd: -1,
            mode,
            result: 0,
            arguments: [0; 6],
            path: None,
            stack: 0,
            stack_status: StackStatus::Complete,
        }
    }

    /// Exercise a call of each family, and those of two.
    #[test]
    fn calls_find_their_families() {
        use DescriptorChange::{Closed, Failed, None, Opened};
        const SOCKET: u16 = 0o140_777;
        const FILE: u16 = 0o100_644;
        for (number, change, mode, ms, families) in [
            (libc::SYS_openat, Opened, FILE, 0, &["descriptors", "files"][..]),
            (libc::SYS_openat, Failed, 0, 0, &["descriptors", "files"]),
            (libc::SYS_close, Closed, SOCKET, 0, &["descriptors", "connections"]),
            (libc::SYS_socket, Opened, SOCKET, 0, &["descriptors", "connections"]),
            (libc::SYS_epoll_create1, Opened, 0o600, 0, &["descriptors"]),
            (libc::SYS_recvmsg, Failed, SOCKET, 0, &["connections"]),
            (libc::SYS_connect, Failed, SOCKET, 0, &["connections"]),
            (libc::SYS_read, None, SOCKET, 0, &["connections"]),
            (libc::SYS_read, Failed, FILE, 0, &["files"]),
            (libc::SYS_read, None, FILE, 12, &["blocking", "files"]),
            (libc::SYS_sendto, None, SOCKET, 0, &["connections"]),
            (libc::SYS_accept4, Opened, SOCKET, 0, &["descriptors", "connections"]),
            (libc::SYS_wait4, None, 0, 0, &["spawns"]),
            (libc::SYS_futex, None, 0, 0, &["blocking"]),
            (libc::SYS_munmap, None, 0, 0, &["memory"]),
            (libc::SYS_newfstatat, Failed, 0, 0, &["files"]),
        ] {
            let call = call(number, change, mode, ms);
            assert_eq!(Family::names(&call), families, "{number} {change:?}");
        }
    }
}
