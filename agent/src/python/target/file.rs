//! Opens the file behind a mapping: through the process's own root, so that containers and chroots
//! work, or through the kernel's own link to it, so that deleted files do.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::super::memory::ReadMemory;
use super::maps::Mapping;

/// Bytes of the file that are compared with the process's memory: of code, as a rule.
const COMPARED: u64 = 64 << 10;

/// A file of a target.
#[derive(Debug)]
pub(crate) struct MappedFile {
    /// Open for reading; a regular file.
    pub(crate) file: File,
    /// A path by which this process can open it again.
    pub(crate) path: PathBuf,
}

/// Opens the program that `pid` runs.
///
/// # Errors
///
/// Those of opening; also when it is not a regular file.
pub(crate) fn open_executable(pid: i32) -> io::Result<MappedFile> {
    let path = PathBuf::from(format!("/proc/{pid}/exe"));
    Ok(MappedFile { file: open_regular(&path)?, path })
}

/// Opens the file that `mapping` maps. A path is only trusted when the file there is the mapped
/// one: it may have been replaced since.
///
/// # Errors
///
/// Those of the last way that was tried.
pub(crate) fn open_mapped(
    pid: i32,
    mapping: &Mapping,
    memory: &impl ReadMemory,
) -> io::Result<MappedFile> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let inside = mapping.path.strip_prefix("/").unwrap_or(&mapping.path);
    if let Ok(file) = open_inside(&root, inside)
        && is_mapped_by(&file, mapping, memory)
    {
        return Ok(MappedFile { file, path: root.join(inside) });
    }
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end);
    let link = PathBuf::from(link);
    if let Ok(file) = open_regular(&link) {
        return Ok(MappedFile { file, path: link });
    }
    // A chroot's files appear under the path that leads to them from outside.
    let file = open_regular(&mapping.path)?;
    if is_mapped_by(&file, mapping, memory) {
        return Ok(MappedFile { file, path: mapping.path.clone() });
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the file was replaced"))
}

/// Opens `path` if it is a regular file, and never waits: the target may have put a FIFO there.
fn open_regular(path: &Path) -> io::Result<File> {
    let handle = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    reopen(&handle)
}

/// The same below `root`, part by part, from which neither `..` nor a link leads out: the kernel
/// writes the paths of mappings without either. One call of openat2 could do it, but systemd refuses
/// that to services that must not make set-user-id files: its filter cannot see the call's mode.
fn open_inside(root: &Path, path: &Path) -> io::Result<File> {
    let mut handle = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain path"));
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        handle = rustix::fs::openat(&handle, name, flags, Mode::empty())?;
    }
    reopen(&handle)
}

fn reopen(handle: &OwnedFd) -> io::Result<File> {
    let stat = rustix::fs::fstat(handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Whether `file` is what `mapping` maps: by device and inode, or, since an overlay shows other
/// numbers to `stat` than to `maps`, by its first pages.
fn is_mapped_by(file: &File, mapping: &Mapping, memory: &impl ReadMemory) -> bool {
    if let Ok(metadata) = file.metadata()
        && (metadata.dev(), metadata.ino()) == (mapping.device, mapping.inode)
    {
        return true;
    }
    let length = (mapping.end - mapping.start).min(COMPARED) as usize;
    let mut on_disk = vec![0; length];
    let mut mapped = vec![0; length];
    file.read_exact_at(&mut on_disk, mapping.offset).is_ok()
        && memory.read(mapping.start, &mut mapped).is_ok()
        && on_disk == mapped
}

#[cfg(test)]
mod tests {
    use super::super::maps::read_maps;
    use super::*;
    use crate::python::memory::ProcessMemory;

    #[test]
    fn a_fifo_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR).unwrap();
        assert_eq!(open_regular(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::write(root.join("lib/python"), "inside").unwrap();
        std::fs::write(folder.path().join("outside"), "outside").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("folder")).unwrap();
        let open = |path: &str| open_inside(&root, Path::new(path));
        assert_eq!(open("lib/python").unwrap().metadata().unwrap().len(), 6);
        for path in ["link", "folder/outside", "../outside", "lib/../../outside", "/", "none"] {
            assert!(open(path).is_err(), "{path}");
        }
    }

    #[test]
    fn opens_its_own_libraries() {
        let pid = std::process::id().cast_signed();
        let maps = read_maps(pid).unwrap();
        let library = maps.iter().find(|map| map.path.to_string_lossy().contains("libc")).unwrap();
        let opened = open_mapped(pid, library, &ProcessMemory::new(pid)).unwrap();
        let again = File::open(opened.path).unwrap();
        assert_eq!(again.metadata().unwrap().ino(), opened.file.metadata().unwrap().ino());
    }
}
