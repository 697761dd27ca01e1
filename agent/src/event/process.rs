//! Lives of processes.

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
