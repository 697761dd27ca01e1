//! `/proc/PID/maps`: what is mapped where.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A process has at most 65,530 mappings unless the limit was raised; a line is rarely longer than
/// 200 bytes.
const MAX_BYTES: u64 = 32 << 20;

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// First address.
    pub(crate) start: u64,
    /// Address past the last.
    pub(crate) end: u64,
    /// Its pages may be run: the dynamic loader made it, not a program that reads the file.
    pub(crate) executable: bool,
    /// Where in the file it starts.
    pub(crate) offset: u64,
    /// The file's device.
    pub(crate) device: u64,
    /// The file's inode; 0 when it is not a file.
    pub(crate) inode: u64,
    /// The file as the process's mount namespace names it, or `[heap]` and the like, or nothing.
    /// " (deleted)" follows a file that is gone.
    pub(crate) path: PathBuf,
}

impl Mapping {
    /// Whether `other` maps the same file.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        self.inode != 0
            && (self.device, self.inode) == (other.device, other.inode)
            && self.path == other.path
    }
}

/// Reads the mappings of process `pid`, lowest address first.
///
/// # Errors
///
/// Those of opening and reading `/proc/PID/maps`; `InvalidData` past 32 MiB.
pub(crate) fn read_maps(pid: i32) -> io::Result<Vec<Mapping>> {
    let mut text = Vec::new();
    File::open(format!("/proc/{pid}/maps"))?.take(MAX_BYTES).read_to_end(&mut text)?;
    if text.len() as u64 == MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many mappings"));
    }
    Ok(text.split(|&byte| byte == b'\n').filter_map(parse).collect())
}

/// Parses `55a0-55b0 r-xp 00001000 fe:01 1234   /usr/bin/python3.11`. The kernel writes a newline
/// in a name as `\012`.
pub(crate) fn parse(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let start = rest.iter().position(|&byte| byte != b' ')?;
        rest = &rest[start..];
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        let (field, tail) = rest.split_at(end);
        rest = tail;
        std::str::from_utf8(field).ok()
    };
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?;
    let offset = field()?;
    let (major, minor) = field()?.split_once(':')?;
    let inode = field()?;
    let path = rest.iter().position(|&byte| byte != b' ').map_or(&[][..], |at| &rest[at..]);
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        executable: permissions.contains('x'),
        offset: hex(offset)?,
        device: rustix::fs::makedev(
            u32::from_str_radix(major, 16).ok()?,
            u32::from_str_radix(minor, 16).ok()?,
        ),
        inode: inode.parse().ok()?,
        path: PathBuf::from(OsString::from_vec(unescape(path))),
    })
}

fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = tail;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_files_and_what_is_none() {
        let mapping =
            parse(b"55a0-55b0 r-xp 00001000 fe:01 1234                 /opt/a b\\012c (deleted)")
                .unwrap();
        assert_eq!((mapping.start, mapping.end, mapping.offset), (0x55a0, 0x55b0, 0x1000));
        assert!(mapping.executable);
        assert_eq!((mapping.device, mapping.inode), (rustix::fs::makedev(0xfe, 1), 1234));
        assert_eq!(mapping.path.to_str(), Some("/opt/a b\nc (deleted)"));
        assert_eq!(parse(b"7f00-7f01 rw-p 00000000 00:00 0 ").unwrap().path.to_str(), Some(""));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"zz-7f01 rw-p 00000000 00:00 0"), None);
    }

    #[test]
    fn reads_its_own() {
        let maps = read_maps(std::process::id().cast_signed()).unwrap();
        let here = reads_its_own as fn() as usize as u64;
        let mapping = maps.iter().find(|map| (map.start..map.end).contains(&here)).unwrap();
        assert_eq!(mapping.path, std::env::current_exe().unwrap());
    }
}
