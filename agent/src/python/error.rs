//! Why a process cannot be analysed. Each says what is wrong and what to do about it.

use std::io;

use thiserror::Error;

use super::layout::LayoutError;
use super::memory::ReadError;

/// Why [`super::analyse`] gave no interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnalyseError {
    /// There is no such process.
    #[error("no process has the id {pid}; list Python processes with `pgrep -a python`")]
    NoSuchProcess {
        /// The id that was asked for.
        pid: i32,
    },
    /// It is part of the kernel.
    #[error("process {pid} is a kernel thread, which runs no Python; choose another process")]
    KernelThread {
        /// The id that was asked for.
        pid: i32,
    },
    /// It has ended and waits for its parent.
    #[error("process {pid} has ended (it is a zombie); choose one that runs")]
    Zombie {
        /// The id that was asked for.
        pid: i32,
    },
    /// It is not the first thread of its process.
    #[error("{pid} is a thread of process {process}; give the process's id, {process}")]
    Thread {
        /// The id that was asked for.
        pid: i32,
        /// The process that it belongs to.
        process: i32,
    },
    /// It belongs to another user, or the system restricts reading of memory.
    #[error("permission to read process {pid} was denied; run as root or with CAP_SYS_PTRACE")]
    PermissionDenied {
        /// The id that was asked for.
        pid: i32,
    },
    /// Neither the program nor a library that it has loaded is CPython.
    #[error(
        "process {pid} does not run CPython, or not yet: there is no _PyRuntime in {executable} or \
         in a libpython; choose a Python process, or try again when it has loaded Python"
    )]
    NotPython {
        /// The id that was asked for.
        pid: i32,
        /// The program that it runs.
        executable: String,
    },
    /// A version that is not known.
    #[error("CPython {version} is not supported (3.8 and newer are); run it under one of those")]
    UnsupportedVersion {
        /// Major and minor version.
        version: String,
    },
    /// A build that is not known.
    #[error("process {pid} runs {what}, which is not supported (64-bit x86 with glibc or musl is)")]
    UnsupportedBuild {
        /// The id that was asked for.
        pid: i32,
        /// What it is.
        what: &'static str,
    },
    /// The interpreter has not come up yet: worth another try in a moment.
    #[error("the interpreter of process {pid} is not initialised yet; try again in a moment")]
    NotReady {
        /// The id that was asked for.
        pid: i32,
    },
    /// The process ended, or became another program, while it was being analysed.
    #[error("process {pid} ended or started another program while it was being analysed")]
    Gone {
        /// The id that was asked for.
        pid: i32,
    },
    /// What was read cannot be right.
    #[error("the interpreter of process {pid} could not be understood: {what}; please report this")]
    Corrupt {
        /// The id that was asked for.
        pid: i32,
        /// What is wrong.
        what: &'static str,
    },
}

impl AnalyseError {
    /// Whether it may succeed in a moment.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::NotReady { .. })
    }

    /// The error that a failed memory read of `pid` means.
    pub(super) fn from_read(pid: i32, error: ReadError) -> Self {
        match error {
            ReadError::Gone => Self::Gone { pid },
            ReadError::Denied => Self::PermissionDenied { pid },
            ReadError::Unmapped { .. } => Self::Corrupt { pid, what: "a pointer leads nowhere" },
            ReadError::Implausible { what, .. } => Self::Corrupt { pid, what },
            ReadError::System { .. } => Self::Corrupt { pid, what: "its memory cannot be read" },
        }
    }

    /// The error that a failed access to `/proc/PID` means.
    pub(super) fn from_io(pid: i32, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Self::Gone { pid },
            Some(libc::EACCES | libc::EPERM) => Self::PermissionDenied { pid },
            _ => Self::Corrupt { pid, what: "a file of /proc cannot be read" },
        }
    }

    /// The error that a missing layout means.
    pub(super) fn from_layout(pid: i32, error: LayoutError) -> Self {
        match error {
            LayoutError::UnsupportedVersion(version) => {
                Self::UnsupportedVersion { version: format!("{}.{}", version.major, version.minor) }
            }
            LayoutError::Implausible(what) => Self::Corrupt { pid, what },
            LayoutError::Read(error) => Self::from_read(pid, error),
        }
    }
}
