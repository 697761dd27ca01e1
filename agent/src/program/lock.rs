//! One pitviper a process, one agent a host: two would count each other's costs and confuse the person.
//!
//! An advisory lock on a file in a directory that only this user can write; the system releases it
//! however the program ends. Where a service manager made a directory for the program, it is that one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::ProgramError;

/// The lock; released when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Left behind, it would be an empty file and no lock.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn directory() -> PathBuf {
    // systemd.exec(5); there can be several, and the first serves.
    let given = std::env::var_os("RUNTIME_DIRECTORY");
    let given = given.as_ref().and_then(|given| given.to_str()?.split(':').next());
    if let Some(directory) = given.filter(|directory| directory.starts_with('/')) {
        return PathBuf::from(directory);
    }
    let user = rustix::process::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/pitviper");
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) => PathBuf::from(directory).join("pitviper"),
        None => PathBuf::from(format!("/tmp/pitviper-{}", user.as_raw())),
    }
}

/// Locks a process, or says that another pitviper has.
pub(super) fn lock(pid: u32) -> Result<Lock, ProgramError> {
    take(&format!("{pid}.lock"))?.ok_or(ProgramError::AlreadyWatched { pid })
}

/// Locks the host for the one agent that follows all its processes.
pub(super) fn lock_host() -> Result<Lock, ProgramError> {
    take("agent.lock")?.ok_or(ProgramError::AgentRuns)
}

/// `None` when somebody else has it.
fn take(name: &str) -> Result<Option<Lock>, ProgramError> {
    let directory = directory();
    let path = directory.join(name);
    let wrong = |cause| ProgramError::Lock { path: path.display().to_string(), cause };
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(wrong(error));
        }
        _ => {}
    }
    let about = std::fs::symlink_metadata(&directory).map_err(wrong)?;
    if !about.is_dir() || about.uid() != rustix::process::geteuid().as_raw() {
        return Err(wrong(std::io::Error::other(format!(
            "{} is not a directory of this user",
            directory.display()
        ))));
    }
    loop {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path)
            .map_err(wrong)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Ok(None);
            }
            Err(error) => return Err(wrong(error.into())),
        }
        // The one before may have removed the file between the open and the lock.
        let locked = file.metadata().map_err(wrong)?;
        if std::fs::metadata(&path).is_ok_and(|now| now.ino() == locked.ino()) {
            return Ok(Some(Lock { _file: file, path }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        // A pid that no process can have.
        let first = lock(u32::MAX).unwrap();
        assert!(matches!(lock(u32::MAX), Err(ProgramError::AlreadyWatched { .. })));
        drop(first);
        drop(lock(u32::MAX).unwrap());
    }
}
