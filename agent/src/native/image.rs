//! What an ELF file of a target has for unwinding and naming: `.eh_frame`, symbols, where it is
//! loaded. Nothing of it is trusted: sizes are bounded, and nothing is mapped that the target could
//! cut short.

use std::fs::File;
use std::os::unix::fs::FileExt;

use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, ReadCache};

use super::symbols::{Symbol, Symbols};
use super::tables::Tables;

/// An `.eh_frame` that is larger, or an index of it, is left alone; the largest seen has 20 MB.
const MAX_UNWIND: u64 = 48 << 20;

/// Files have some dozens of sections, whose names take some hundred bytes.
const MAX_SECTIONS: u16 = 1024;
const MAX_NAMES: u64 = 64 << 10;

const LE: LittleEndian = LittleEndian;

/// One file.
pub(super) struct Image {
    /// Loaded segments that are run: offset, address, size.
    code: Vec<(u64, u64, u64)>,
    /// `None` where there is nothing to unwind by.
    pub(super) tables: Option<Tables>,
    symbols: Option<Symbols>,
    /// It is the interpreter.
    pub(super) is_interpreter: bool,
    /// Bytes of memory that it takes, about.
    pub(super) cost: u64,
}

impl Image {
    /// Reads `file`; `None` when it is not an ELF file for this machine or lies about itself.
    pub(super) fn read(file: &File) -> Option<Self> {
        let cache = ReadCache::new(file);
        let header = FileHeader64::<LittleEndian>::parse(&cache).ok()?;
        // As in the search for the interpreter: no larger numbers of headers than the fields hold.
        if header.e_phnum(LE) == u16::MAX || !(1..=MAX_SECTIONS).contains(&header.e_shnum(LE)) {
            return None;
        }
        let segments = header.program_headers(LE, &cache).ok()?;
        let sections = header.section_headers(LE, &cache).ok()?;
        let names = sections.get(usize::from(header.e_shstrndx.get(LE).0))?;
        let names = copy_of(file, names.sh_offset(LE), names.sh_size(LE), MAX_NAMES)?;
        let find = |name: &[u8]| {
            let is_it =
                |rest: &[u8]| rest.strip_prefix(name).is_some_and(|r| r.first() == Some(&0));
            let named =
                |s: &&_| names.get(SectionHeader::sh_name(*s, LE) as usize..).is_some_and(is_it);
            sections.iter().find(named)
        };
        let start = |name: &[u8]| find(name).map_or(0, |section| section.sh_addr(LE));
        let copy = |name: &[u8]| {
            let section = find(name).filter(|s| s.sh_type(LE) != elf::SHT_NOBITS)?;
            let bytes = copy_of(file, section.sh_offset(LE), section.sh_size(LE), MAX_UNWIND)?;
            Some((section.sh_addr(LE), bytes))
        };
        let both = copy(b".eh_frame").zip(copy(b".eh_frame_hdr"));
        let tables =
            both.map(|(frames, index)| Tables::new(frames, index, start(b".text"), start(b".got")));
        let symbols = Symbols::copy(file, sections);
        let cost = 4096
            + tables.as_ref().map_or(0, Tables::cost)
            + symbols.as_ref().map_or(0, |symbols| symbols.cost);
        let is_code = |segment: &&ProgramHeader64<LittleEndian>| {
            segment.p_type(LE) == elf::PT_LOAD && segment.p_flags(LE).contains(elf::PF_X)
        };
        Some(Self {
            code: segments
                .iter()
                .filter(is_code)
                .map(|s| (s.p_offset(LE), s.p_vaddr(LE), s.p_filesz(LE)))
                .collect(),
            tables,
            is_interpreter: symbols.as_ref().is_some_and(|symbols| symbols.run_bytecode),
            symbols,
            cost,
        })
    }

    /// What is added to the file's addresses where `offset` of it is mapped at `start`.
    pub(super) fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        // Segments are mapped in whole pages: the mapping may begin before the segment does.
        const LARGEST_PAGE: u64 = 64 << 10;
        let holds = |(at, _, size): &&(u64, u64, u64)| {
            offset.saturating_add(LARGEST_PAGE) > *at && offset < at.saturating_add(*size)
        };
        let (at, address, _) = self.code.iter().rev().find(holds)?;
        Some(start.wrapping_sub(offset).wrapping_add(*at).wrapping_sub(*address))
    }

    /// The function at an address of the file.
    pub(super) fn symbol(&self, address: u64) -> Option<Symbol> {
        self.symbols.as_ref()?.find(address)
    }
}

/// So many bytes of a file, unless that is none or more than `limit`.
pub(super) fn copy_of(file: &File, offset: u64, size: u64, limit: u64) -> Option<Vec<u8>> {
    if size == 0 || size > limit {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tables::Registers;
    use super::*;

    fn own() -> File {
        File::open("/proc/self/exe").expect("own program")
    }

    #[inline(never)]
    fn a_function_to_find() -> u64 {
        a_function_to_find as fn() -> u64 as usize as u64
    }

    /// Exercise this very program: it is unwound, and a function of it has its name, demangled.
    #[test]
    fn names_its_own_functions() {
        let image = Image::read(&own()).expect("an ELF file");
        assert!(image.tables.is_some() && !image.is_interpreter);
        let maps = crate::python::read_maps(std::process::id().cast_signed()).expect("maps");
        let address = std::hint::black_box(a_function_to_find)();
        let mapping = maps.iter().find(|m| (m.start..m.end).contains(&address)).expect("mapped");
        let bias = image.bias(mapping.start, mapping.offset).expect("a segment");
        let symbol = image.symbol(address.wrapping_sub(bias)).expect("a symbol");
        assert!(symbol.name.contains("a_function_to_find"), "{}", symbol.name);
        assert_eq!(symbol.start, address.wrapping_sub(bias));
        let function = image.tables.and_then(|tables| tables.function(symbol.start + 1));
        assert_eq!(function, Some(symbol.start));
    }

    /// Every address may be asked for, with every value in registers and memory.
    fn unwind_at_random(tables: &Tables, mut seed: u64) {
        let mut context = gimli::UnwindContext::new();
        for _ in 0..200 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (pc, sp) = (seed >> 40, seed << 9);
            let mut registers =
                Registers::new(&crate::event::Registers { pc, sp, fp: !sp, lr: seed });
            let _ = tables.outwards(&mut registers, 0, &mut context, &|address| Some(!address));
        }
    }

    /// Exercise files that lie: cut at every length that matters, and with bytes of their headers
    /// and tables turned over.
    #[test]
    fn corrupt_files_are_refused_or_read_in_part() {
        let maps = crate::python::read_maps(std::process::id().cast_signed()).expect("maps");
        let library = maps.iter().find(|map| map.path.to_string_lossy().contains("/libc"));
        let bytes = std::fs::read(&library.expect("the C library").path).expect("read");
        let path = tempfile::NamedTempFile::new().expect("file");
        for cut in [0, 1, 63, 64, 65, 4_096, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(path.path(), &bytes[..cut]).expect("written");
            let _ = Image::read(&File::open(path.path()).expect("opened"));
        }
        let table = u64::from_le_bytes(bytes[40..48].try_into().expect("eight")) as usize;
        let mut seed = 1u64;
        for round in 0..60 {
            let mut forged = bytes.clone();
            let (from, size) =
                if round % 2 == 0 { (16, 48) } else { (table, forged.len() - table) };
            for _ in 0..4 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                forged[from + (seed >> 33) as usize % size] = (seed >> 20) as u8;
            }
            std::fs::write(path.path(), &forged).expect("written");
            if let Some(image) = Image::read(&File::open(path.path()).expect("opened")) {
                let _ = (image.symbol(0x1000), image.bias(0, 0));
                if let Some(tables) = image.tables {
                    unwind_at_random(&tables, seed);
                }
            }
        }
    }
}
