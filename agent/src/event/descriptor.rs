//! One descriptor call, for `pitviper trace`.

use super::{ProcessId, StackId};

/// One descriptor that came or went, or the call that failed to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorCall {
    /// The process.
    pub process: ProcessId,
    /// Its pid.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// Monotonic nanoseconds at which the call began (it ended, where the begin was not seen).
    pub time_ns: u64,
    /// How long the call took; `None` when its begin was not seen.
    pub duration_ns: Option<u64>,
    /// Number of the syscall (x86-64 table).
    pub call: u16,
    /// What it did.
    pub change: DescriptorChange,
    /// The descriptor; negative when the call failed.
    pub fd: i32,
    /// File type and mode bits (`st_mode`) of what the descriptor refers to; 0 when unknown.
    pub mode: u16,
    /// What the call returned (negative errno on failure).
    pub result: i64,
    /// The call's six argument registers.
    pub arguments: [u64; 6],
    /// The path argument's bytes as they stood in the caller's memory: a hint, since another
    /// thread may have rewritten it.
    pub path: Option<Vec<u8>>,
    /// The stack that made the call; 0 when there is none.
    pub stack: StackId,
    /// How the walk of that stack went.
    pub stack_status: StackStatus,
}

/// What a call did to a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptorChange {
    /// It came to be.
    Opened,
    /// It was closed.
    Closed,
    /// Nothing: the call failed.
    Failed,
    /// Nothing: the call does other things.
    None,
}

/// How the walk of a stack went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StackStatus {
    /// Every frame, down to the thread's first.
    Complete,
    /// Deeper than the walk goes: the innermost frames are there.
    Truncated,
    /// A frame could not be read.
    Unreadable,
    /// The thread runs no Python (or is just starting or ending).
    NoThreadState,
}
