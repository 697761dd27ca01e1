//! Tells a process that can be analysed from a kernel thread, a zombie, a thread's id and nothing.

use std::path::PathBuf;

use procfs::ProcError;
use procfs::process::{Process, StatFlags};

use super::super::error::AnalyseError;

/// Names one life of a process and the program that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    start_time: u64,
    /// What `/proc/PID/exe` points at, as the process's mount namespace names it; " (deleted)"
    /// follows a file that is gone.
    pub(crate) executable: PathBuf,
}

/// Who `pid` is.
///
/// # Errors
///
/// The reason why there is nothing to analyse.
pub(crate) fn identify(pid: i32) -> Result<Identity, AnalyseError> {
    let translate = |error| match error {
        ProcError::NotFound(_) => AnalyseError::NoSuchProcess { pid },
        ProcError::PermissionDenied(_) => AnalyseError::PermissionDenied { pid },
        ProcError::Io(error, _) if error.raw_os_error() == Some(libc::ESRCH) => {
            AnalyseError::NoSuchProcess { pid }
        }
        _ => AnalyseError::Corrupt { pid, what: "/proc does not describe it as expected" },
    };
    if pid <= 0 {
        return Err(AnalyseError::NoSuchProcess { pid });
    }
    let process = Process::new(pid).map_err(translate)?;
    let stat = process.stat().map_err(translate)?;
    let flags = StatFlags::from_bits_retain(stat.flags);
    if flags.contains(StatFlags::PF_KTHREAD) {
        return Err(AnalyseError::KernelThread { pid });
    }
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return Err(AnalyseError::Zombie { pid });
    }
    let status = process.status().map_err(translate)?;
    if status.tgid != pid {
        return Err(AnalyseError::Thread { pid, process: status.tgid });
    }
    let executable = process.exe().map_err(|error| match error {
        // It has given up its memory and is about to become a zombie.
        ProcError::NotFound(_) => AnalyseError::Gone { pid },
        error => translate(error),
    })?;
    Ok(Identity { start_time: stat.starttime, executable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_very_process() {
        let identity = identify(std::process::id().cast_signed()).unwrap();
        assert_eq!(identity.executable, std::env::current_exe().unwrap());
    }

    #[test]
    fn a_thread_is_not_a_process() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let (report, tid) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            report.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
            receive.recv().unwrap_err();
        });
        let path = tid.recv().unwrap();
        let pid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let process = std::process::id().cast_signed();
        assert!(matches!(
            identify(pid),
            Err(AnalyseError::Thread { pid: p, process: q }) if p == pid && q == process
        ));
        drop(send);
        thread.join().unwrap();
    }
}
