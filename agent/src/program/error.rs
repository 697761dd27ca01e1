//! What ends the program early, in one sentence each, and the exit code that says it to scripts.

use std::process::ExitCode;

use crate::python::AnalyseError;
use crate::source::ebpf::EbpfError;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing confirmed.
    Clean = 0,
    /// At least one confirmed finding.
    Findings = 1,
    /// What was asked for makes no sense or cannot be written.
    Usage = 2,
    /// No permission, or something that is not supported.
    Unsupported = 3,
    /// There is no such process, or it ended too early.
    Gone = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The target cannot be analysed.
    #[error(transparent)]
    Analyse(#[from] AnalyseError),
    /// The kernel side failed.
    #[error(transparent)]
    Ebpf(#[from] EbpfError),
    /// Somebody else watches this process.
    #[error(
        "process {pid} is already being watched by another pitviper; end that one first, or wait"
    )]
    AlreadyWatched {
        /// The process.
        pid: u32,
    },
    /// Another agent follows the host's processes.
    #[error("another `pitviper agent` already runs on this host; end that one first")]
    AgentRuns,
    /// The configuration is no good; a line each.
    #[error("{0}")]
    BadConfig(String),
    /// The lock file cannot be used.
    #[error("failed to lock {path}: {cause}")]
    Lock {
        /// The file.
        path: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// A program that starts the one with Python in it: a bundle's first process, a shell.
    #[error(
        "process {pid} does not run CPython itself, but its child {child} does; choose that one"
    )]
    PythonInChild {
        /// The id that was asked for.
        pid: u32,
        /// The child.
        child: i32,
    },
    /// A pid of another namespace.
    #[error(
        "pitviper runs in a pid namespace of its own, where the kernel's process ids mean \
         something else; run it on the host, or in a container with the host's pid namespace \
         (`hostPID: true` in Kubernetes, `--pid=host` in Docker and Podman)"
    )]
    PidNamespace,
    /// Output cannot be written.
    #[error("failed to write {what}: {cause}")]
    Output {
        /// What was written.
        what: String,
        /// The system's answer.
        cause: std::io::Error,
    },
    /// The output's name or place is no good.
    #[error("{0}")]
    BadOutput(String),
    /// A bad address to listen on.
    #[error("{0}")]
    BadAddress(String),
    /// A thread or runtime could not be started.
    #[error("failed to start {what}: {cause}")]
    Start {
        /// What.
        what: &'static str,
        /// The system's answer.
        cause: std::io::Error,
    },
}

impl ProgramError {
    /// The exit code that it ends the program with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Analyse(
                AnalyseError::NoSuchProcess { .. }
                | AnalyseError::Zombie { .. }
                | AnalyseError::Gone { .. },
            ) => Exit::Gone,
            Self::Analyse(AnalyseError::Thread { .. })
            | Self::AlreadyWatched { .. }
            | Self::AgentRuns
            | Self::BadConfig(_)
            | Self::Output { .. }
            | Self::BadOutput(_)
            | Self::BadAddress(_) => Exit::Usage,
            Self::Analyse(_)
            | Self::Ebpf(_)
            | Self::Lock { .. }
            | Self::PidNamespace
            | Self::PythonInChild { .. }
            | Self::Start { .. } => Exit::Unsupported,
        }
    }
}
