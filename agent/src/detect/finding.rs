//! The verdict: one shape for every rule and every exporter.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::native::NativeStack;
use crate::python::Frame;

/// What a finding is about; the published name is [`Kind::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A site whose open descriptors keep growing.
    FdLeak,
    /// A resource that the collector closed, not the program.
    UnclosedResource,
    /// Descriptors near their limit.
    FdHeadroom,
    /// A line that starts processes at a high rate.
    SubprocessStorm,
    /// Children that linger, or that nobody reaps.
    ProcessLeak,
    /// A line that connects anew for every use, or opens a file database anew.
    ConnectionChurn,
    /// A line that tries again at once, and again, what fails.
    RetryStorm,
    /// A call, or computing, on an event loop's thread that keeps the loop from running.
    EventLoopBlocked,
    /// A line that makes a new event loop each time.
    EventLoopChurn,
    /// A call that blocks its thread for long.
    SlowCall,
    /// Connections wait to be accepted while the only thread is busy.
    SerialServer,
    /// A line that waits for a peer without a limit of time.
    MissingTimeout,
    /// A line that wakes up many times a second to look.
    BusyPoll,
    /// An unchanged file that is read again and again.
    RepeatedRead,
    /// A large file that is read whole.
    WholeFileRead,
    /// Directories that are read through again and again.
    DirectoryScanStorm,
    /// Many small writes, or the same file written whole again and again.
    WriteStorm,
    /// A file that only grows.
    UnboundedAppend,
    /// Memory that keeps growing.
    MemoryGrowth,
    /// Memory that comes and goes in large pieces.
    MemorySpike,
    /// Memory that is held while nothing is done.
    IdleMemory,
    /// Many threads.
    ThreadSprawl,
    /// A file where a rule of the user says that it must not be.
    MisplacedFile,
}

impl Kind {
    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::FdLeak => "fd-leak",
            Kind::UnclosedResource => "unclosed-resource",
            Kind::FdHeadroom => "fd-headroom",
            Kind::SubprocessStorm => "subprocess-storm",
            Kind::ProcessLeak => "process-leak",
            Kind::ConnectionChurn => "connection-churn",
            Kind::RetryStorm => "retry-storm",
            Kind::EventLoopBlocked => "event-loop-blocked",
            Kind::EventLoopChurn => "event-loop-churn",
            Kind::SlowCall => "slow-call",
            Kind::SerialServer => "serial-server",
            Kind::MissingTimeout => "missing-timeout",
            Kind::BusyPoll => "busy-poll",
            Kind::RepeatedRead => "repeated-read",
            Kind::WholeFileRead => "whole-file-read",
            Kind::DirectoryScanStorm => "directory-scan-storm",
            Kind::WriteStorm => "write-storm",
            Kind::UnboundedAppend => "unbounded-append",
            Kind::MemoryGrowth => "memory-growth",
            Kind::MemorySpike => "memory-spike",
            Kind::IdleMemory => "idle-memory",
            Kind::ThreadSprawl => "thread-sprawl",
            Kind::MisplacedFile => "misplaced-file",
        }
    }
}

/// How bad it is, in the audits' bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth mending.
    Medium,
    /// Will hurt.
    High,
    /// Hurts now.
    Critical,
}

impl Severity {
    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// By the bounds from which it is medium and high.
    pub(super) fn by_bands<T: PartialOrd>(value: T, medium: T, high: T) -> Self {
        if value >= high {
            Severity::High
        } else if value >= medium {
            Severity::Medium
        } else {
            Severity::Low
        }
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// The evidence fits, and a harmless cause (a pool that fills, lost events) is not ruled out.
    Suspected,
    /// Harmless causes are ruled out.
    Confirmed,
}

impl Confidence {
    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Suspected => "suspected",
            Confidence::Confirmed => "confirmed",
        }
    }
}

/// A number in the evidence, or a word where a number will not do.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A count.
    Count(u64),
    /// A measure, in the unit that the key names.
    Measure(f64),
    /// A word (a type's name, a descriptor's kind).
    Text(String),
    /// A place in the code (where an unclosed resource was dropped).
    Place(Frame),
}

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// The process.
    pub process: ProcessId,
    /// The responsible line: the innermost frame of the user's own code. `None` for findings about
    /// a whole process, and where no stack could be had.
    pub site: Option<Frame>,
    /// The innermost Python frame of all, where it differs from `site` or not.
    pub origin: Option<Frame>,
    /// The whole stack, innermost first.
    pub stack: Vec<Frame>,
    /// Functions of C, C++ and Rust above it, innermost first, where they are known.
    pub native: Option<NativeStack>,
    /// Numbers with their unit in the key (`alive`, `per_minute`, `window_seconds`).
    pub evidence: BTreeMap<&'static str, Evidence>,
    /// One sentence a person reads: the evidence in words.
    pub summary: String,
    /// One concrete sentence: what to do.
    pub advice: String,
    /// Monotonic nanoseconds at which the rule first held.
    pub first_ns: u64,
    /// Monotonic nanoseconds at which it last held.
    pub last_ns: u64,
}
