//! The few facts that are needed of an ELF file: whether it is for x86-64, where its segments go,
//! and the addresses of a handful of symbols.

use std::fs::File;
use std::os::unix::fs::FileExt;

use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64, Sym64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{LittleEndian, ReadCache, ReadRef};
use thiserror::Error;

use super::maps::Mapping;

/// A file's symbol tables with their names; what is larger (over a million symbols) is left alone.
const MAX_TABLES: u64 = 64 << 20;

/// Programs have some dozens of sections.
const MAX_SECTIONS: u16 = 1024;

/// Why a file tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("failed to parse the ELF file: {0}")]
pub(crate) struct ImageError(&'static str);

/// One loadable segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    writable: bool,
}

/// The section of [`Image::asyncio_debug`].
const ASYNCIO_DEBUG: &[u8] = b".AsyncioDebug";

/// An ELF file's segments and the symbols that were asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    segments: Vec<Segment>,
    defined: Vec<(&'static str, u64)>,
    /// It calls Python's C API (`Py_…`) in another file.
    pub(crate) imports_python: bool,
    /// Address of the section in which asyncio's module tells its layout (3.14+), before relocation.
    pub(crate) asyncio_debug: Option<u64>,
}

/// What kind of machine code the file holds: `Ok` is 64-bit x86-64.
///
/// # Errors
///
/// Says what it is instead.
pub(crate) fn machine(file: &File) -> Result<(), &'static str> {
    let mut header = [0; 20];
    file.read_exact_at(&mut header, 0).map_err(|_| "a program that is not an ELF file")?;
    match (&header[..5], u16::from_le_bytes([header[18], header[19]])) {
        (b"\x7fELF\x02", machine) if machine == elf::EM_X86_64.0 => Ok(()),
        (b"\x7fELF\x01", _) => Err("a 32-bit program"),
        (b"\x7fELF\x02", _) => Err("a program for another processor than x86-64"),
        _ => Err("a program that is not an ELF file"),
    }
}

impl Image {
    /// Parses `file` and looks up `names`, first in `.dynsym`, then in `.symtab`.
    ///
    /// # Errors
    ///
    /// When it is not a little-endian ELF-64 file or lies about its own structure.
    pub(crate) fn parse(file: &File, names: &[&'static str]) -> Result<Self, ImageError> {
        let cache = ReadCache::new(file);
        let header =
            FileHeader64::<LittleEndian>::parse(&cache).map_err(|_| ImageError("header"))?;
        if header.e_ident().data != elf::ELFDATA2LSB {
            return Err(ImageError("byte order"));
        }
        // More headers than these fields can hold are counted in a field of 32 or 64 bits, which
        // no interpreter needs and a forged file could abuse. All that is read is kept to the end.
        let sections = header.e_shnum(LittleEndian);
        if header.e_phnum(LittleEndian) == u16::MAX || !(1..=MAX_SECTIONS).contains(&sections) {
            return Err(ImageError("number of headers"));
        }
        let segments = header
            .program_headers(LittleEndian, &cache)
            .map_err(|_| ImageError("program headers"))?;
        let sections = header
            .section_headers(LittleEndian, &cache)
            .map_err(|_| ImageError("section headers"))?;
        let asyncio_debug =
            header.section_strings(LittleEndian, &cache, sections).ok().and_then(|names| {
                let is_wanted = |section: &&SectionHeader64<LittleEndian>| {
                    section.name(LittleEndian, names) == Ok(ASYNCIO_DEBUG)
                };
                sections.iter().find(is_wanted).map(|section| section.sh_addr(LittleEndian))
            });
        let segments = segments.iter().filter_map(load).collect();
        let mut image = Self { segments, asyncio_debug, ..Self::default() };
        let mut room = MAX_TABLES;
        for kind in [elf::SHT_DYNSYM, elf::SHT_SYMTAB] {
            for section in sections.iter().filter(|section| section.sh_type(LittleEndian) == kind) {
                image.look_up(section, sections, &cache, names, &mut room);
            }
            if names.iter().all(|name| image.symbol(name).is_some()) {
                break;
            }
        }
        Ok(image)
    }

    fn look_up<'data>(
        &mut self,
        section: &SectionHeader64<LittleEndian>,
        sections: &[SectionHeader64<LittleEndian>],
        data: impl ReadRef<'data>,
        names: &[&'static str],
        room: &mut u64,
    ) {
        let link = usize::try_from(section.sh_link(LittleEndian)).ok();
        let Some(names_section) = link.and_then(|link| sections.get(link)) else { return };
        let size = |section: &SectionHeader64<_>| section.sh_size(LittleEndian);
        let Some(left) =
            size(section).checked_add(size(names_section)).and_then(|size| room.checked_sub(size))
        else {
            return;
        };
        *room = left;
        let Ok(symbols) = section.data_as_array::<Sym64<LittleEndian>, _>(LittleEndian, data)
        else {
            return;
        };
        let Ok(strings) = names_section.data(LittleEndian, data) else { return };
        for symbol in symbols {
            let start = symbol.st_name(LittleEndian) as usize;
            let Some(text) = strings.get(start..) else { continue };
            if symbol.st_shndx(LittleEndian) == elf::SHN_UNDEF {
                self.imports_python |= text.starts_with(b"Py_");
            } else if let Some(name) = names.iter().find(|name| is_name(text, name))
                && self.symbol(name).is_none()
            {
                self.defined.push((name, symbol.st_value(LittleEndian)));
            }
        }
    }

    /// Address of a symbol that was asked for and is defined here, before relocation.
    pub(crate) fn symbol(&self, name: &str) -> Option<u64> {
        self.defined.iter().find(|(known, _)| *known == name).map(|(_, address)| *address)
    }

    /// What to add to an address of the file to get one of the process, given one of its mappings.
    pub(crate) fn bias(&self, mapping: &Mapping) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| {
            let first_page = segment.offset & !0xfff;
            (first_page..segment.offset.saturating_add(segment.file_size)).contains(&mapping.offset)
        })?;
        let address = segment.address.wrapping_sub(segment.offset).wrapping_add(mapping.offset);
        Some(mapping.start.wrapping_sub(address))
    }

    /// Ranges of the writable segments, before relocation.
    pub(crate) fn writable(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        self.segments
            .iter()
            .filter(|segment| segment.writable)
            .map(|segment| segment.address..segment.address.saturating_add(segment.memory_size))
    }

    /// What the file itself has of them: not what begins as zeros.
    pub(crate) fn initialised(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        self.segments
            .iter()
            .filter(|segment| segment.writable)
            .map(|segment| segment.address..segment.address.saturating_add(segment.file_size))
    }
}

fn load(header: &ProgramHeader64<LittleEndian>) -> Option<Segment> {
    (header.p_type(LittleEndian) == elf::PT_LOAD).then(|| Segment {
        offset: header.p_offset(LittleEndian),
        address: header.p_vaddr(LittleEndian),
        file_size: header.p_filesz(LittleEndian),
        memory_size: header.p_memsz(LittleEndian),
        writable: header.p_flags(LittleEndian).contains(elf::PF_W),
    })
}

fn is_name(text: &[u8], name: &str) -> bool {
    text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use proptest::prelude::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn finds_symbols_of_this_program() {
        let program = File::open(std::env::current_exe().unwrap()).unwrap();
        machine(&program).unwrap();
        let image = Image::parse(&program, &["main", "no_such_symbol"]).unwrap();
        assert!(image.symbol("main").is_some());
        assert_eq!(image.symbol("no_such_symbol"), None);
        assert!(!image.imports_python);
        assert!(image.writable().count() > 0);
    }

    #[test]
    fn other_machines_are_told() {
        let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0";
        assert_eq!(machine(&file(&header)), Ok(()));
        header[18] = 0xb7;
        assert_eq!(machine(&file(&header)), Err("a program for another processor than x86-64"));
        header[4] = 1;
        assert_eq!(machine(&file(&header)), Err("a 32-bit program"));
        assert_eq!(machine(&file(b"#!/bin/sh")), Err("a program that is not an ELF file"));
    }

    /// A library whose first table of symbols takes `first` bytes of holes, and its second one
    /// symbol, `_PyRuntime`.
    fn two_tables(first: u64) -> File {
        let mut bytes = vec![0; 512];
        let mut put = |at: usize, part: &[u8]| bytes[at..][..part.len()].copy_from_slice(part);
        put(0, b"\x7fELF\x02\x01\x01");
        for (at, number) in [(18, 62), (52, 64), (54, 56), (58, 64), (60, 3)] {
            put(at, &u16::to_le_bytes(number));
        }
        put(40, &64_u64.to_le_bytes());
        // Type, offset, size and the section of the names.
        let tables = [(11, 512, first, 2), (11, 280, 24, 2), (3, 304, 16, 0)];
        for (at, (kind, offset, size, link)) in (64..).step_by(64).zip(tables) {
            put(at + 4, &u32::to_le_bytes(kind));
            put(at + 24, &u64::to_le_bytes(offset));
            put(at + 32, &u64::to_le_bytes(size));
            put(at + 40, &u32::to_le_bytes(link));
        }
        // `st_name` 1, `st_shndx` 1, `st_value` 64.
        put(280, &[1, 0, 0, 0, 0, 0, 1, 0, 64]);
        put(305, b"_PyRuntime");
        let file = file(&bytes);
        file.set_len(512 + first).unwrap();
        file
    }

    /// Exercise a file that takes no room on its disk and much in memory.
    #[test]
    fn tables_of_symbols_share_one_bound() {
        for (first, found) in [(24 << 10, Some(64)), (MAX_TABLES - 48, None)] {
            let image = Image::parse(&two_tables(first), &["_PyRuntime"]).unwrap();
            assert_eq!(image.symbol("_PyRuntime"), found, "{first}");
        }
    }

    proptest! {
        /// A header with forged numbers over forged bytes: it is parsed or not, soon.
        #[test]
        fn a_forged_file_is_parsed_or_not(
            mut bytes in prop::collection::vec(prop_oneof![Just(0), 0..16_u8, any::<u8>()], 64..2048),
            tables in prop::array::uniform2(0..2048_u64),
            counts in prop::array::uniform2(0..40_u16),
            mapped in any::<u64>(),
        ) {
            bytes[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
            bytes[32..40].copy_from_slice(&tables[0].to_le_bytes());
            bytes[40..48].copy_from_slice(&tables[1].to_le_bytes());
            for (at, number) in [(54, 56), (56, counts[0]), (58, 64), (60, counts[1])] {
                bytes[at..at + 2].copy_from_slice(&u16::to_le_bytes(number));
            }
            if let Ok(image) = Image::parse(&file(&bytes), &["_PyRuntime"]) {
                let mapping = Mapping {
                    start: mapped,
                    end: mapped,
                    executable: true,
                    offset: tables[0],
                    device: 0,
                    inode: 1,
                    path: "".into(),
                };
                let _ = image.bias(&mapping);
                prop_assert!(image.writable().count() <= 40);
            }
        }
    }
}
