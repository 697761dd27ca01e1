//! What lies in files: a program, and `/proc/PID/maps`.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::MemfdFlags;

use super::super::identify;
use super::super::interpreter::{MAX_CANDIDATES, SYMBOLS, candidates};
use super::super::memory::{ReadError, ReadMemory};
use super::super::target::{Image, Mapping, machine, parse_mapping};

/// A file may claim to be longer than what it holds, up to this.
const MAX_FILE: u64 = 1 << 30;

/// An image is read in at most this much memory: its tables of symbols, and of headers.
const SEARCHED: u64 = 33 << 20;

/// The file as memory, from an address on.
struct Loaded<'a> {
    file: &'a File,
    read: std::cell::Cell<u64>,
}

impl ReadMemory for Loaded<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.read.set(self.read.get() + buffer.len() as u64);
        let unmapped = ReadError::Unmapped { address, length: buffer.len() };
        self.file.read_exact_at(buffer, address).map_err(|_| unmapped)
    }
}

/// A program: four bytes tell how much longer it is than its content; what lies between is zero and
/// takes no room, so that no table is too long for it.
pub(crate) fn elf(input: &[u8]) {
    let Some((longer, content)) = input.split_first_chunk() else { return };
    let size = content.len() as u64 + u64::from(u32::from_le_bytes(*longer)) % MAX_FILE;
    let Ok(file) = rustix::fs::memfd_create("image", MemfdFlags::CLOEXEC).map(File::from) else {
        return;
    };
    if file.write_all_at(content, 0).is_err() || file.set_len(size).is_err() {
        return;
    }
    let machine = machine(&file);
    let Ok(image) = Image::parse(&file, &SYMBOLS) else { return };
    assert!(machine != Err("a program that is not an ELF file"));
    let holds = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
    for name in SYMBOLS {
        assert!(image.symbol(name).is_none() || holds(name.as_bytes()));
    }
    assert!(!image.imports_python || holds(b"Py_"));
    assert!(image.asyncio_debug.is_none() || holds(b".AsyncioDebug"));
    assert!(image.writable().count() <= usize::from(u16::MAX));
    let mapping = Mapping {
        start: 0,
        end: size,
        executable: true,
        offset: content.len() as u64 & !0xfff,
        device: 0,
        inode: 1,
        path: "".into(),
    };
    let _ = image.bias(&mapping);
    let memory = Loaded { file: &file, read: std::cell::Cell::new(0) };
    let _ = identify::version(&memory, &image, 0);
    assert!(memory.read.get() <= SEARCHED);
}

/// A process's mappings: each path is made of the line's bytes, and few of them are opened.
pub(crate) fn maps(text: &[u8]) {
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    let maps: Vec<Mapping> = lines.iter().filter_map(|line| parse_mapping(line)).collect();
    for (line, mapping) in lines.iter().filter_map(|line| Some((line, parse_mapping(line)?))) {
        let path = mapping.path.as_os_str().as_bytes();
        let escaped: Vec<u8> = path
            .iter()
            .flat_map(|byte| if *byte == b'\n' { b"\\012".to_vec() } else { vec![*byte] })
            .collect();
        assert!(line.ends_with(&escaped));
    }
    let executable = maps.first().map(|map| map.path.clone()).unwrap_or_default();
    let chosen = candidates(&maps, &executable);
    assert!(chosen.len() <= MAX_CANDIDATES);
    for (index, map) in chosen.iter().enumerate() {
        let named = map.path.file_name().unwrap_or_default().to_string_lossy();
        assert!(map.path == executable || named.contains("python"), "{named}");
        assert!(map.inode != 0 && !chosen[..index].iter().any(|other| other.same_file(map)));
    }
    assert!(executable == Path::new("") || !maps.is_empty());
}
