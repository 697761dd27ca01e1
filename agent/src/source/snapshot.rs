//! What a source has aggregated: read as a whole, as often as somebody wants to know.

use std::collections::BTreeMap;

use super::activity::{ActCounters, LiveChild, WaitHistogram};
use crate::event::{ProcessId, StackId};

/// Everything that is alive, and all counters since the attach. Its size follows what is alive and
/// how many distinct stacks were met, never the rate of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Monotonic nanoseconds at which it was taken.
    pub time_ns: u64,
    /// Counters of each stack that made a descriptor.
    pub sites: Vec<SiteCounters>,
    /// Each descriptor that is open now.
    pub descriptors: Vec<LiveDescriptor>,
    /// Implicit closes.
    pub unclosed: Vec<UnclosedCounters>,
    /// What stacks did besides.
    pub acts: Vec<ActCounters>,
    /// Stacks that only samples and waits made, and that rest: what they did counts as done by no
    /// stack from now on, and their frames come again if they do.
    pub forgotten: Vec<(ProcessId, StackId)>,
    /// Processes that traced ones made and nobody has reaped.
    pub children: Vec<LiveChild>,
    /// How long calls took.
    pub waits: Vec<WaitHistogram>,
    /// Events by kind (`opened`, `closed`, `unclosed`, `code`, `stack`, `descriptor`, `process`).
    pub flows: BTreeMap<&'static str, Flow>,
    /// How the walks of stacks went.
    pub stacks: StackOutcomes,
    /// Entries of the kernel side's tables and how many fit, once the probes are stopped.
    pub fill: BTreeMap<&'static str, (u64, u64)>,
    /// How each process's own table compared with the ledger at the last reconciliation.
    pub tables: Vec<TableCheck>,
    /// Processes that use io_uring: descriptors may come and go without a syscall.
    pub io_uring: Vec<ProcessId>,
}

/// The kernel's own table of a process, held against the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableCheck {
    /// The process.
    pub process: ProcessId,
    /// Descriptors in the kernel's table.
    pub actual: u64,
    /// Descriptors in the ledger.
    pub tracked: u64,
    /// Corrections that reconciliations had to make so far: births and closes that no call showed.
    pub drift: u64,
}

/// Counters of one stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteCounters {
    /// The process.
    pub process: ProcessId,
    /// The stack; 0 collects what has none.
    pub stack: StackId,
    /// Descriptors it made.
    pub opened: u64,
    /// Descriptors that it made and that were closed.
    pub closed: u64,
    /// Monotonic nanoseconds of its first descriptor.
    pub first_ns: u64,
    /// Monotonic nanoseconds of its last descriptor.
    pub last_ns: u64,
}

/// One open descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveDescriptor {
    /// The process.
    pub process: ProcessId,
    /// Its number.
    pub fd: u32,
    /// The stack that made it; 0 when unknown.
    pub stack: StackId,
    /// Number of the syscall that made it (x86-64 table); 0 when unknown.
    pub call: u16,
    /// `st_mode` of what it refers to; 0 when unknown.
    pub mode: u16,
    /// Monotonic nanoseconds at which it came to be (was found, where its birth was not seen).
    pub born_ns: u64,
    /// Monotonic nanoseconds of the last read, write or poll on it; `born_ns` when there was none.
    pub used_ns: u64,
    /// How it got here.
    pub origin: DescriptorOrigin,
}

/// How a descriptor got into the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DescriptorOrigin {
    /// Its birth was seen.
    Traced,
    /// It was open when the attach happened.
    BeforeAttach,
    /// A fork copied it, or it survived an exec.
    Inherited,
    /// Reconciliation found it: its birth was missed (io_uring, a call that is not known, a drop).
    Found,
}

/// Implicit closes of one pair of lines: what `-X dev` calls ResourceWarning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnclosedCounters {
    /// The process.
    pub process: ProcessId,
    /// The stack that opened the resource; 0 when unknown (opened before the attach, or the
    /// warning came after the close).
    pub opened_by: StackId,
    /// The stack that was running when the collector closed it.
    pub dropped_by: StackId,
    /// A finaliser in Python warned of it. Not all of those close a descriptor.
    pub by_python: bool,
    /// The Python type of the resource, as `tp_name` has it (`_io.TextIOWrapper`, `socket.socket`).
    pub type_name: Vec<u8>,
    /// How many.
    pub count: u64,
    /// Sum of their lives in nanoseconds, from open to the implicit close, where the open was seen.
    pub lifetime_ns: u64,
    /// Monotonic nanoseconds of the first.
    pub first_ns: u64,
    /// Monotonic nanoseconds of the last.
    pub last_ns: u64,
}

/// What became of the events of one kind: `emitted = received + Σ dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// Events that happened in a traced process.
    pub emitted: u64,
    /// Events that reached the agent, by ring buffer or in an aggregate.
    pub received: u64,
    /// Events that did not, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// What one program of the kernel side has run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProgramRun {
    /// How often.
    pub count: u64,
    /// Seconds in all.
    pub seconds: f64,
}

/// How the walks of stacks went, one count a walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StackOutcomes {
    /// Every frame, down to the thread's first.
    pub complete: u64,
    /// Cut at the depth limit.
    pub truncated: u64,
    /// A frame could not be read.
    pub unreadable: u64,
    /// The thread has no Python state.
    pub no_thread_state: u64,
}
