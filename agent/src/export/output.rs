//! Writes result files: whole or not at all, and never through somebody else's link.
//!
//! The agent runs as root, and people point it at `/tmp`. The text goes into a new file beside the
//! target and takes its name in one step, so that neither a full disk nor a link that another user
//! has put there can spoil a file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Names that are tried for the temporary file.
const ATTEMPTS: u32 = 16;

/// Why a result file could not be written. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The path has no last component.
    #[error("failed to write {path}: it does not name a file; give one, such as out.svg")]
    NoName {
        /// The path as the user gave it.
        path: PathBuf,
    },
    /// The directory cannot be opened.
    #[error("failed to open the directory of {path}: {cause}; create it or choose another")]
    Directory {
        /// The path as the user gave it.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// What is there already is not a file that may be replaced.
    #[error("failed to write {path}: it is {what}; remove it or choose another name")]
    Occupied {
        /// The path as the user gave it.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file cannot be made, filled or given its name.
    #[error("failed to write {path}: {cause}; free space or choose another directory")]
    Write {
        /// The path as the user gave it.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Tells at once whether [`write()`] could write to `path`: a run of an hour should not end with "no
/// such directory". Leaves nothing behind.
///
/// # Errors
/// As [`write()`].
pub fn check_writable(path: &Path) -> Result<(), OutputError> {
    let place = Place::of(path)?;
    // Dropped without a name.
    place.create().map(drop)
}

/// Writes `content` to `path`. A regular file that is there is replaced.
///
/// # Errors
/// When there is something else of that name (a link, a directory, a pipe, a device, a file with
/// other names), when the directory is missing or read-only, and when the disk is full. Whatever was
/// there before is then as it was.
pub fn write(path: &Path, content: &[u8]) -> Result<(), OutputError> {
    let place = Place::of(path)?;
    let mut draft = place.create()?;
    let failed = |cause| OutputError::Write { path: path.to_owned(), cause };
    draft.file.write_all(content).map_err(failed)?;
    // Some file systems only tell now that the disk is full.
    draft.file.sync_all().map_err(failed)?;
    place.refuse_occupied()?;
    draft.publish(&place.name).map_err(|errno| failed(errno.into()))
}

/// A directory that is held open, and a name in it.
struct Place<'a> {
    path: &'a Path,
    directory: OwnedFd,
    name: OsString,
}

impl<'a> Place<'a> {
    fn of(path: &'a Path) -> Result<Self, OutputError> {
        let named = !path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let Some(name) = path.file_name().filter(|_| named) else {
            return Err(OutputError::NoName { path: path.to_owned() });
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(parent.unwrap_or(Path::new(".")), flags, Mode::empty()).map_err(
                |errno| OutputError::Directory { path: path.to_owned(), cause: errno.into() },
            )?;
        let place = Self { path, directory, name: name.to_owned() };
        place.refuse_occupied()?;
        Ok(place)
    }

    fn refuse_occupied(&self) -> Result<(), OutputError> {
        let found = rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = match found {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => {
                let path = self.path.to_owned();
                return Err(OutputError::Write { path, cause: errno.into() });
            }
        };
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_nlink > 1 => "a file with other names (hard links)",
            FileType::RegularFile => return Ok(()),
            FileType::Symlink => "a symbolic link",
            FileType::Directory => "a directory",
            FileType::Fifo => "a named pipe",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Socket => "a socket",
            _ => "not a regular file",
        };
        Err(OutputError::Occupied { path: self.path.to_owned(), what })
    }

    /// A new file beside the target, under a name that nothing else has.
    fn create(&self) -> Result<Draft<'_>, OutputError> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let mut last = Errno::EXIST;
        for attempt in 0..ATTEMPTS {
            let name = OsString::from(format!(".pitviper-{}-{attempt}.tmp", std::process::id()));
            match rustix::fs::openat(&self.directory, &name, flags, mode) {
                Ok(file) => {
                    let file = File::from(file);
                    return Ok(Draft { directory: &self.directory, file, name: Some(name) });
                }
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    last = errno;
                    break;
                }
            }
        }
        Err(OutputError::Write { path: self.path.to_owned(), cause: last.into() })
    }
}

/// A file that is not finished; it goes away unless it is published.
struct Draft<'a> {
    directory: &'a OwnedFd,
    file: File,
    name: Option<OsString>,
}

impl Draft<'_> {
    fn publish(mut self, target: &OsStr) -> Result<(), Errno> {
        if let Some(name) = &self.name {
            rustix::fs::renameat(self.directory, name, self.directory, target)?;
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // There is nobody to tell, and the file is empty or cut.
            _ = rustix::fs::unlinkat(self.directory, name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory")
    }

    fn entries(directory: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    /// Exercise a new file, and one that is replaced.
    #[test]
    fn a_file_is_written_whole() {
        let directory = directory();
        let path = directory.path().join("out.svg");
        check_writable(&path).expect("writable");
        assert!(entries(&directory).is_empty(), "a check leaves nothing behind");
        write(&path, b"first, and longer").expect("written");
        write(&path, b"second").expect("replaced");
        assert_eq!(fs::read(&path).expect("read"), b"second");
        assert_eq!(entries(&directory), ["out.svg"]);
    }

    /// Exercise everything that must not be written through: refused before and after, unharmed.
    #[test]
    fn links_pipes_and_devices_are_refused() {
        let directory = directory();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("precious"), b"precious").expect("written");
        fs::hard_link(at("precious"), at("hard")).expect("linked");
        symlink(at("precious"), at("soft")).expect("linked");
        symlink(at("nowhere"), at("dangling")).expect("linked");
        fs::create_dir(at("dir")).expect("created");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RWXU).expect("made");
        let _listener = UnixListener::bind(at("socket")).expect("bound");
        let before = entries(&directory);
        for name in ["hard", "soft", "dangling", "dir", "pipe", "socket"] {
            for error in [check_writable(&at(name)), write(&at(name), b"x")] {
                assert!(matches!(error, Err(OutputError::Occupied { .. })), "{name}: {error:?}");
            }
        }
        let null = write(Path::new("/dev/null"), b"x");
        assert!(matches!(null, Err(OutputError::Occupied { what: "a device", .. })), "{null:?}");
        assert_eq!(entries(&directory), before);
        assert_eq!(fs::read(at("precious")).expect("read"), b"precious");
    }

    /// Exercise paths that name no file, or one in a directory that is not there.
    #[test]
    fn bad_paths_are_told() {
        let directory = directory();
        for path in ["/", "..", ""] {
            let error = check_writable(Path::new(path)).expect_err("refused");
            assert!(matches!(error, OutputError::NoName { .. }), "{path}: {error}");
        }
        let slash = directory.path().join("out.svg/");
        assert!(matches!(check_writable(&slash), Err(OutputError::NoName { .. })));
        let missing = directory.path().join("missing/out.svg");
        let error = check_writable(&missing).expect_err("refused");
        assert!(matches!(error, OutputError::Directory { .. }), "{error}");
        assert!(error.to_string().contains("missing/out.svg"), "{error}");
    }

    /// Exercise a name that can be checked, and not be given: no draft stays behind.
    #[test]
    fn a_name_that_is_too_long_leaves_nothing() {
        let directory = directory();
        let path = directory.path().join("x".repeat(300));
        assert!(matches!(write(&path, b"x"), Err(OutputError::Write { .. })));
        assert!(entries(&directory).is_empty());
    }

    /// Exercise a temporary name that somebody has put there first, as a link.
    #[test]
    fn a_planted_temporary_name_is_stepped_over() {
        let directory = directory();
        let victim = directory.path().join("victim");
        fs::write(&victim, b"precious").expect("written");
        let planted = format!(".pitviper-{}-0.tmp", std::process::id());
        symlink(&victim, directory.path().join(&planted)).expect("linked");
        write(&directory.path().join("out"), b"x").expect("written");
        assert_eq!(fs::read(&victim).expect("read"), b"precious");
        assert_eq!(fs::read(directory.path().join("out")).expect("read"), b"x");
        assert_eq!(entries(&directory), [planted.as_str(), "out", "victim"]);
    }
}
