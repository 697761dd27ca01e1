//! Names of a file's functions: its tables of symbols, as far as they are sound, in a small file of
//! our own that blazesym reads. Of the target's file it sees nothing: blazesym maps what it reads,
//! and to read a mapped file that its owner cuts short kills who reads; and it believes what headers
//! say of sizes, where a hole of a terabyte costs its owner nothing and its reader memory.

use std::cmp::Reverse;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use object::elf::{self, SectionHeader64, Sym64};
use object::read::elf::{SectionHeader, Sym};
use object::{LittleEndian, pod};
use rustix::fs::MemfdFlags;

use super::image::copy_of;
use super::mangled;

/// Symbols and their names that are copied; of larger tables only what the dynamic linker needs.
const MAX_SYMBOLS: u64 = 64 << 20;

/// Bytes of a name that are kept. The longest seen has 7,000.
const LONGEST_NAME: usize = 16 << 10;

/// The function that runs Python's bytecode.
const EVALUATION: &[u8] = b"_PyEval_EvalFrameDefault\0";

const LE: LittleEndian = LittleEndian;

type Section = SectionHeader64<LittleEndian>;
type Entry = Sym64<LittleEndian>;

/// Bytes of a file's header.
const HEADER: usize = size_of::<elf::FileHeader64<LittleEndian>>();

/// Kinds of tables, and under which names blazesym looks for them and for their names.
const TABLES: [(elf::SectionType, [&str; 2]); 2] =
    [(elf::SHT_DYNSYM, [".dynsym", ".dynstr"]), (elf::SHT_SYMTAB, [".symtab", ".strtab"])];

/// A name that covers an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) name: Arc<str>,
    /// Its first address.
    pub(super) start: u64,
}

/// The names of one file.
pub(super) struct Symbols {
    symbolizer: Symbolizer,
    source: Source<'static>,
    /// Keeps the file that `source` names.
    _copy: File,
    /// One is the function that runs Python's bytecode, and is not only called.
    pub(super) run_bytecode: bool,
    /// Bytes of memory that they take, about.
    pub(super) cost: u64,
}

impl Symbols {
    /// Copies what `file` has; `None` where that cannot be done.
    pub(super) fn copy(file: &File, sections: &[Section]) -> Option<Self> {
        let mut copy = Copy::new()?;
        let mut run_bytecode = None;
        let mut room = MAX_SYMBOLS;
        // The dynamic linker's first: they are the smaller ones, and name what others call.
        for (kind, names) in TABLES {
            let Some(table) = sections.iter().find(|s| s.sh_type(LE) == kind) else { continue };
            let strings = usize::try_from(table.sh_link(LE)).ok().and_then(|at| sections.get(at));
            let Some(strings) = strings else { continue };
            let size = table.sh_size(LE).saturating_add(strings.sh_size(LE));
            if size > room {
                continue;
            }
            room -= size;
            let (at, size) = (strings.sh_offset(LE), strings.sh_size(LE));
            let Some(mut strings) = copy_of(file, at, size, MAX_SYMBOLS) else { continue };
            cut_names(&mut strings);
            let Some(entries) = sound(file, table, &strings) else { continue };
            run_bytecode.get_or_insert_with(|| {
                let is_evaluation = |entry: &Entry| {
                    let name = strings.get(entry.st_name(LE) as usize..);
                    name.is_some_and(|name| name.starts_with(EVALUATION))
                };
                entries.iter().any(is_evaluation)
            });
            copy.add(kind, names, &entries, &strings)?;
        }
        let (copy, size) = copy.finish()?;
        let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
        Some(Self {
            symbolizer: Symbolizer::builder()
                .enable_auto_reload(false)
                .enable_code_info(false)
                .enable_inlined_fns(false)
                .enable_demangling(false)
                .build(),
            source: Source::Elf(Elf { debug_syms: false, ..Elf::new(path) }),
            _copy: copy,
            run_bytecode: run_bytecode.unwrap_or(false),
            // blazesym's index takes a third of what it is of.
            cost: size.saturating_mul(2),
        })
    }

    /// The function at an address of the file.
    pub(super) fn find(&self, address: u64) -> Option<Symbol> {
        let input = Input::VirtOffset(address);
        match self.symbolizer.symbolize_single(&self.source, input) {
            Ok(Symbolized::Sym(symbol)) => {
                let name = mangled::readable(&symbol.name);
                Some(Symbol { name: name.into(), start: symbol.addr })
            }
            Ok(Symbolized::Unknown(_)) | Err(_) => None,
        }
    }
}

/// Ends names that go on for too long: one without an end would be read at each address.
fn cut_names(strings: &mut Vec<u8>) {
    let mut length = 0;
    for byte in strings.iter_mut() {
        length = if *byte == 0 { 0 } else { length + 1 };
        if length > LONGEST_NAME {
            (*byte, length) = (0, 0);
        }
    }
    // Ends the last one, and leaves the table that may follow aligned.
    strings.resize((strings.len() + 1).next_multiple_of(8), 0);
}

/// Symbols that are defined, have a name and do not go past the last address; of many at one address
/// the longest, and one whose length is not told: each look would go through all of them.
fn sound(file: &File, table: &Section, strings: &[u8]) -> Option<Vec<Entry>> {
    let count = table.sh_size(LE) / size_of::<Entry>() as u64;
    if count > MAX_SYMBOLS / size_of::<Entry>() as u64 {
        return None;
    }
    let empty = pod::from_bytes::<Entry>(&[0; size_of::<Entry>()]).ok()?.0;
    let mut entries = vec![*empty; usize::try_from(count).ok()?];
    file.read_exact_at(pod::bytes_of_slice_mut(&mut entries), table.sh_offset(LE)).ok()?;
    entries.retain(|entry| {
        entry.st_shndx(LE) != elf::SHN_UNDEF
            && (entry.st_name(LE) as usize) < strings.len()
            && entry.st_value(LE).checked_add(entry.st_size(LE)).is_some()
            && matches!(
                entry.st_type(),
                elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC | elf::STT_GNU_IFUNC
            )
    });
    let place = |entry: &Entry| (entry.st_value(LE), Reverse(entry.st_size(LE)));
    // Of two names for the same the order of names decides, so that it is always the same one.
    entries.sort_unstable_by_key(|entry| (place(entry), entry.st_name(LE)));
    entries.dedup_by_key(|entry| (entry.st_value(LE), entry.st_size(LE) == 0));
    Some(entries)
}

/// The file that is made of them: the header, the tables, the sections' names and the sections.
struct Copy {
    file: File,
    size: u64,
    /// All that follows the names' offset in a section's header of each.
    sections: Vec<u8>,
    names: Vec<u8>,
}

impl Copy {
    fn new() -> Option<Self> {
        let file = rustix::fs::memfd_create("symbols", MemfdFlags::CLOEXEC).ok()?;
        // The first section's header is empty, and so is the first name.
        let sections = vec![0; size_of::<Section>()];
        Some(Self { file: file.into(), size: HEADER as u64, sections, names: vec![0] })
    }

    fn append(&mut self, bytes: &[u8]) -> Option<()> {
        self.file.write_all_at(bytes, self.size).ok()?;
        self.size += bytes.len() as u64;
        Some(())
    }

    /// The next section, which is appended next.
    fn section(&mut self, name: &str, kind: elf::SectionType, size: u64, link: u32, entry: u64) {
        let (at, offset) = (self.names.len() as u32, self.size);
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
        let mut put = |bytes: &[u8]| self.sections.extend_from_slice(bytes);
        put(&at.to_le_bytes());
        put(&kind.0.to_le_bytes());
        // No flags, and no address.
        [0, 0, offset, size].iter().for_each(|word| put(&word.to_le_bytes()));
        put(&link.to_le_bytes());
        put(&[0; 4]);
        [8, entry].iter().for_each(|word| put(&word.to_le_bytes()));
    }

    fn add(
        &mut self,
        kind: elf::SectionType,
        names: [&str; 2],
        entries: &[Entry],
        strings: &[u8],
    ) -> Option<()> {
        let bytes = pod::bytes_of_slice(entries);
        let next = self.sections.len() / size_of::<Section>() + 1;
        self.section(names[0], kind, bytes.len() as u64, next as u32, size_of::<Entry>() as u64);
        self.append(bytes)?;
        self.section(names[1], elf::SHT_STRTAB, strings.len() as u64, 0, 0);
        self.append(strings)
    }

    fn finish(mut self) -> Option<(File, u64)> {
        const NAMES: &str = ".shstrtab";
        let size = (self.names.len() + NAMES.len() + 1).next_multiple_of(8);
        self.section(NAMES, elf::SHT_STRTAB, size as u64, 0, 0);
        let mut names = std::mem::take(&mut self.names);
        names.resize(size, 0);
        self.append(&names)?;
        let (start, sections) = (self.size, std::mem::take(&mut self.sections));
        self.append(&sections)?;
        let count = (sections.len() / size_of::<Section>()) as u16;
        let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let mut put = |bytes: &[u8]| header.extend_from_slice(bytes);
        [elf::ET_DYN.0, elf::EM_NONE.0, 1, 0].iter().for_each(|word| put(&word.to_le_bytes()));
        [0, 0, start].iter().for_each(|word: &u64| put(&word.to_le_bytes()));
        let sizes = [HEADER as u16, 0, 0, size_of::<Section>() as u16, count, count - 1];
        [0, 0].iter().chain(&sizes).for_each(|word| put(&word.to_le_bytes()));
        self.file.write_all_at(&header, 0).ok()?;
        Some((self.file, self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::elf::{self, Frames, Function};
    use super::super::image::Image;
    use super::*;

    fn bytes(functions: &[(&str, u64, u64)]) -> Vec<u8> {
        let own =
            |&(name, start, size): &(&str, u64, u64)| -> Function { (name.into(), start, size) };
        let functions: Vec<_> = functions.iter().map(own).collect();
        elf::file((0, 0, 0x9000), &Frames::at(0x8000), 0x8800, &functions, "exported")
    }

    fn image(bytes: &[u8]) -> (File, Image) {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("written");
        let image = Image::read(&file).expect("an ELF file");
        (file, image)
    }

    /// Exercise both tables, and of several names for an address the longest function's.
    #[test]
    fn functions_are_found_in_either_table() {
        let part = ("part", 0x1000, 0x10);
        let whole = ("_ZN3app5wholeEv", 0x1000, 0x80);
        let (_, image) =
            image(&bytes(&[part, whole, ("exported", 0x2000, 8), ("open", 0x3000, 0)]));
        let name = |address| image.symbol(address).map(|symbol| symbol.name.to_string());
        assert_eq!(name(0x1000).as_deref(), Some("app::whole()"));
        assert_eq!(name(0x107f).as_deref(), Some("app::whole()"));
        assert_eq!(name(0x1080), None);
        assert_eq!(name(0x2007).as_deref(), Some("exported"));
        assert_eq!(name(0x3210).as_deref(), Some("open"));
        assert_eq!(name(0), None);
    }

    /// Exercise symbols that lie: past the last address, and a name that takes the whole table.
    #[test]
    fn symbols_that_lie_are_left_out_or_cut() {
        let long = "a".repeat(1 << 20);
        let (_, image) = image(&bytes(&[("end", u64::MAX - 8, 64), (&long, 0x1000, 16)]));
        assert_eq!(image.symbol(u64::MAX - 1), None);
        assert_eq!(image.symbol(0x1008).map(|symbol| symbol.name.len()), Some(LONGEST_NAME));
    }

    /// Exercise a section that blazesym would take for the symbols by its name alone: a terabyte
    /// that its owner has for nothing.
    #[test]
    fn a_table_of_holes_is_not_read() {
        let mut forged = bytes(&[("function", 0x1000, 16)]);
        let table = 64 + 56 + 3 * 64;
        forged[table + 4] = 1;
        forged[table + 32..table + 40].copy_from_slice(&(1u64 << 40).to_le_bytes());
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&forged, 0).expect("written");
        file.set_len(2 << 40).expect("a hole");
        let image = Image::read(&file).expect("an ELF file");
        assert_eq!(image.symbol(0x1000), None);
        assert!(image.cost < 1 << 20);
    }
}
