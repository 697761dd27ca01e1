//! Inputs made from real interpreters, from which fuzzing begins: a thread in read(2), and of the
//! files that its native frames lie in only what was needed to unwind and name these.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use gimli::UnwindContext;
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::super::image::Image;
use super::super::names;
use super::super::tables::Registers;
use super::elf::{Frames, Function, file};
use super::{FILE, HEAD, PATHS, RED_ZONE};
use crate::event;
use crate::fuzzing::running::Running;
use crate::python::{Mapping, ProcessMemory, ReadMemory, open_mapped, read_maps};

const PROGRAM: &str = "import os; print('ready', flush=True); os.read(0, 1)";

/// The function that ends the native frames, by which the interpreter is known.
const EVALUATION: &str = "_PyEval_EvalFrameDefault";

const LE: LittleEndian = LittleEndian;

/// Writes the seeds of each of `pythons` (programs, `:` between them), and forged ones.
pub(crate) fn make_seeds(pythons: &OsStr, corpus: &Path) {
    fs::create_dir_all(corpus).expect("a folder");
    for python in std::env::split_paths(pythons) {
        let running = Running::start(&python, PROGRAM);
        let pid = running.pid();
        let version = crate::python::analyse(pid).expect("CPython").name().replace(' ', "-");
        let (sp, pc) = in_read(pid);
        if let Some(input) = of_thread(pid, sp, pc) {
            fs::write(corpus.join(version), input).expect("writable");
        }
    }
    for (name, input) in forged() {
        fs::write(corpus.join(name), input).expect("writable");
    }
}

/// Waits until the process reads its input; the stack pointer and where it goes on.
fn in_read(pid: i32) -> (u64, u64) {
    loop {
        let text = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("it lives");
        let words: Vec<&str> = text.split_whitespace().collect();
        if let ["0", "0x0", .., sp, pc] = words[..] {
            let number = |word: &str| u64::from_str_radix(&word[2..], 16).expect("hexadecimal");
            return (number(sp), number(pc));
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// One file on the way outwards, and what of it was needed.
struct Part {
    mapping: Mapping,
    bytes: Vec<u8>,
    image: Image,
    frames: Frames,
    index: u64,
    functions: Vec<Function>,
}

impl Part {
    fn open(pid: i32, mapping: Mapping) -> Self {
        let opened = open_mapped(pid, &mapping, &ProcessMemory::new(pid)).expect("a file");
        let image = Image::read(&opened.file).expect("an ELF file");
        let length = opened.file.metadata().expect("its length").len();
        let mut bytes = vec![0; length as usize];
        opened.file.read_exact_at(&mut bytes, 0).expect("readable");
        let frames = Frames::at(section(&bytes, b".eh_frame").0);
        let index = section(&bytes, b".eh_frame_hdr").0;
        Self { mapping, bytes, image, frames, index, functions: Vec::new() }
    }

    fn take(&mut self, address: u64) -> Option<String> {
        let tables = self.image.tables.as_ref().expect("tables");
        let entry = tables.entry(address)?;
        let (_, content) = section(&self.bytes, b".eh_frame");
        let part = |offset: usize, length: usize| &content[offset..offset + 4 + length];
        let common = part(entry.cie().offset(), entry.cie().entry_len());
        let function = part(entry.offset(), entry.entry_len());
        self.frames.add(entry.initial_address(), function, common);
        let symbol = self.image.symbol(address)?;
        let name = symbol.name.to_string();
        if !self.functions.iter().any(|(known, _, _)| *known == name) {
            let size = entry.initial_address() + entry.len() - symbol.start;
            self.functions.push((name.clone(), symbol.start, size));
        }
        Some(name)
    }

    fn cut(&self) -> Vec<u8> {
        let header = FileHeader64::<LittleEndian>::parse(&self.bytes[..]).expect("a header");
        let segments = header.program_headers(LE, &self.bytes[..]).expect("segments");
        let code = segments.iter().find(|segment| {
            segment.p_type(LE) == elf::PT_LOAD && segment.p_flags(LE).contains(elf::PF_X)
        });
        let code = code.expect("a segment");
        let code = (code.p_offset(LE), code.p_vaddr(LE), code.p_filesz(LE));
        let mut functions = self.functions.clone();
        let is_known = functions.iter().any(|(name, _, _)| name == EVALUATION);
        if self.image.is_interpreter && !is_known {
            // Others run bytecode there; that it is the interpreter is known by this one.
            functions.push((EVALUATION.into(), 0, 1));
        }
        file(code, &self.frames, self.index, &functions, EVALUATION)
    }
}

/// Address and content of a section.
fn section<'a>(file: &'a [u8], name: &[u8]) -> (u64, &'a [u8]) {
    let header = FileHeader64::<LittleEndian>::parse(file).expect("a header");
    let sections = header.sections(LE, file).expect("sections");
    let (_, section) = sections.section_by_name(LE, name).expect("a section");
    (section.sh_addr(LE), section.data(LE, file).expect("its content"))
}

/// Unwinds a thread and writes down what that took. `None` for an interpreter that keeps frame
/// pointers, like 3.15, as /proc does not tell that register; and for musl, whose calls have no
/// entries.
fn of_thread(pid: i32, sp: u64, pc: u64) -> Option<Vec<u8>> {
    let maps = read_maps(pid).expect("mappings");
    let memory = ProcessMemory::new(pid);
    let low = sp - RED_ZONE;
    let end = Cell::new(low);
    let word = |address: u64| {
        end.set(end.get().max(address + 8));
        memory.read_u64(address).ok()
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut registers = Registers::new(&event::Registers { pc, sp, fp: 0, lr: 0 });
    let mut context = UnwindContext::new();
    loop {
        let at = registers.running();
        let holds = |mapping: &Mapping| (mapping.start..mapping.end).contains(&at);
        let known = parts.iter().position(|part| holds(&part.mapping));
        let known = known.unwrap_or_else(|| {
            let mapping = maps.iter().find(|mapping| holds(mapping)).expect("mapped").clone();
            parts.push(Part::open(pid, mapping));
            parts.len() - 1
        });
        let part = &mut parts[known];
        let bias = part.image.bias(part.mapping.start, part.mapping.offset).expect("a segment");
        let name = part.take(at.wrapping_sub(bias));
        if part.image.is_interpreter && name.is_some_and(|name| names::is_evaluation(&name)) {
            break;
        }
        let tables = part.image.tables.as_ref().expect("tables");
        tables.outwards(&mut registers, bias, &mut context, &word)?;
    }
    assert_eq!(parts.len(), PATHS.len(), "the C library and the interpreter");
    let stack = memory.read_bytes(low, (end.get() - low) as usize).expect("a stack");
    let parts: Vec<_> = parts.iter().map(|part| (part.mapping.clone(), part.cut())).collect();
    let input = input([pc, sp, 0], &stack, &parts);
    let (record, _) = super::parse(&input).expect("an input");
    assert_eq!(record.stack, stack);
    Some(input)
}

fn input(registers: [u64; 3], stack: &[u8], files: &[(Mapping, Vec<u8>)]) -> Vec<u8> {
    let mut input = Vec::new();
    registers.iter().for_each(|word| input.extend_from_slice(&word.to_le_bytes()));
    input.extend_from_slice(&(stack.len() as u16).to_le_bytes());
    for (mapping, content) in files {
        input.extend_from_slice(&mapping.start.to_le_bytes());
        input.extend_from_slice(&mapping.offset.to_le_bytes());
        input.extend_from_slice(&((mapping.end - mapping.start) as u32).to_le_bytes());
        input.extend_from_slice(&0u32.to_le_bytes());
        input.extend_from_slice(&(content.len() as u16).to_le_bytes());
    }
    assert!(input.len() == 26 + FILE * files.len() && files.len() <= PATHS.len());
    input.resize(HEAD, 0);
    input.extend_from_slice(stack);
    files.iter().for_each(|(_, content)| input.extend_from_slice(content));
    input
}

/// What real files of C have not: rules that are expressions, and names that mean others.
fn forged() -> Vec<(&'static str, Vec<u8>)> {
    const START: u64 = 0x7f00_0000_0000;
    // Version 1, "zR", factors 1 and -8, return address 16, distances of 4 bytes; rsp+8 is where the
    // caller's frame is, the return address 8 below.
    let common = *b"\x14\0\0\0\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0";
    // A state that is kept and taken back, then the frame by an expression (rsp+8), rbx from where
    // another says, and rbp as what a third comes to.
    let entry = *b"\x24\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\
        \x0a\x0e\x08\x0b\x0f\x02\x77\x08\x41\x10\x03\x02\x77\0\x16\x06\x02\x77\0\0\0\0\0";
    let doubling = ('0'..='9')
        .chain('A'..='T')
        .fold("_Z1f4pairIiiE".to_owned(), |name, digit| format!("{name}S_IS{digit}_S{digit}_E"));
    let names = [doubling, "_ZN3app4mainB5cxx11Ev".into(), EVALUATION.into()];
    let functions: Vec<Function> =
        (1..).zip(names).map(|(at, name)| (name, at << 12, 0x40)).collect();
    let mut frames = Frames::at(0x8000);
    functions.iter().for_each(|(_, start, _)| frames.add(*start, &entry, &common));
    let content = file((0x1000, 0x1000, 0x3000), &frames, 0x9000, &functions, EVALUATION);
    let mapping = Mapping {
        start: START + 0x1000,
        end: START + 0x4000,
        executable: true,
        offset: 0x1000,
        device: 1,
        inode: 0,
        path: PATHS[0].into(),
    };
    let mut stack = vec![0; 128 + 32];
    for (at, word) in [(128, START + 0x2010), (136, START + 0x3010)] {
        stack[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    let sp = 0x7fff_0000_0000;
    let input = input([START + 0x1010, sp, sp], &stack, &[(mapping, content)]);
    vec![("expressions-and-mangled-names", input)]
}
