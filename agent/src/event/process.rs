//! Lives of processes.

use super::{ObjectId, StackId};

/// Names one life of a traced process within a run: a pid and its start time, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ProcessId(pub u32);

/// A traced process forked, executed another program or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessEvent {
    /// The process.
    pub process: ProcessId,
    /// Its pid in the initial namespace.
    pub pid: u32,
    /// Nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// What happened.
    pub kind: ProcessEventKind,
}

/// A process that a traced one made, or its descendant, changed (`pitviper trace` only, when it
/// shows more than descriptors). It need not be followed itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildEvent {
    /// The traced process that made it.
    pub process: ProcessId,
    /// Its pid in the initial namespace.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// Nanoseconds of the monotonic clock.
    pub time_ns: u64,
    /// Monotonic nanoseconds of its birth.
    pub born_ns: u64,
    /// The stack that made it (the first of its line); 0 when there is none.
    pub stack: StackId,
    /// What it runs; 0: the same as its parent.
    pub command: ObjectId,
    /// What happened.
    pub change: ChildChange,
}

/// What happened to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildChange {
    /// It was made.
    Born,
    /// It runs another program now.
    Executed,
    /// Its last thread ended; the status is as wait(2) has it.
    Ended {
        /// The status.
        status: u32,
    },
}

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEventKind {
    /// It was forked from `parent` and is followed.
    Forked {
        /// The process it is a copy of.
        parent: ProcessId,
    },
    /// It runs another program now, in place.
    Executed,
    /// Its last thread ended.
    Exited,
}
