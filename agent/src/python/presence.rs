//! Whether a process has CPython in it, by the files that it maps: cheap enough to ask every process
//! of a host.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use super::error::AnalyseError;
use super::target::{Image, open_executable, read_maps};

/// Programs that are remembered; a host has a few hundred.
const MAX_PROGRAMS: usize = 4096;

/// What is known of programs, so that each is read once.
#[derive(Debug, Default)]
pub struct Programs {
    /// By device, inode and time of change: whether the program has an interpreter of its own.
    known: BTreeMap<(u64, u64, i64), bool>,
}

impl Programs {
    /// Whether CPython is in the program that `pid` runs, or in a file named like it that is mapped
    /// to be run. [`super::analyse`] has the last word on the second.
    ///
    /// # Errors
    ///
    /// When the process is gone or cannot be read.
    pub fn may_run_python(&mut self, pid: i32) -> Result<bool, AnalyseError> {
        let io = |error| AnalyseError::from_io(pid, &error);
        let executable = open_executable(pid).map_err(io)?;
        let about = executable.file.metadata().map_err(io)?;
        let key = (about.dev(), about.ino(), about.ctime());
        if self.known.len() >= MAX_PROGRAMS {
            self.known.clear();
        }
        let inside = *self.known.entry(key).or_insert_with(|| {
            let image = Image::parse(&executable.file, &["_PyRuntime"]);
            image.is_ok_and(|image| image.symbol("_PyRuntime").is_some())
        });
        if inside {
            return Ok(true);
        }
        let maps = read_maps(pid).map_err(io)?;
        Ok(maps.iter().filter(|map| map.executable && map.inode != 0).any(|map| {
            map.path.file_name().is_some_and(|name| name.to_string_lossy().contains("python"))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_no_python_in_it() {
        let mut programs = Programs::default();
        let pid = std::process::id().cast_signed();
        assert_eq!(programs.may_run_python(pid), Ok(false));
        assert_eq!(programs.known.len(), 1);
        assert_eq!(programs.may_run_python(pid), Ok(false));
        assert_eq!(programs.known.len(), 1);
    }
}
