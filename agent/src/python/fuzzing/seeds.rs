//! Inputs made from real interpreters, from which fuzzing begins.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::super::asyncio::Asyncio;
use super::super::interpreter::{Interpreter, analyse, examine};
use super::super::memory::ProcessMemory;
use super::super::modules::{ModuleSearch, member};
use super::super::read_code::read_code;
use super::super::snapshot::Recording;
use super::super::target::read_maps;
use super::super::thread_slot;
use super::super::trio::Trio;
use super::super::walk::{interpreters, thread_states, walk};
use super::super::warnings;
use crate::event::ProcessId;
use crate::fuzzing::running::Running;

/// Three threads in a few frames each, few modules, and then the line tables of some functions.
const PROGRAM: &str = include_str!("seeds.py");

/// A range longer than this is cut to its last page: of a thread's variables the nearest.
const LONGEST: usize = 16 << 10;

/// Writes the seeds of each of `pythons` (programs, `:` between them) into the corpora.
pub(crate) fn make_seeds(pythons: &OsStr, corpus: &Path) {
    for python in std::env::split_paths(pythons) {
        let running = Running::start(&python, PROGRAM);
        let pid = running.pid();
        let interpreter = analyse(pid).expect("CPython");
        let seeds = Seeds { pid, interpreter, corpus };
        seeds.of_memory();
        seeds.of_tables(&running.lines);
        seeds.of_maps();
    }
}

struct Seeds<'a> {
    pid: i32,
    interpreter: Interpreter,
    corpus: &'a Path,
}

impl Seeds<'_> {
    fn name(&self) -> String {
        self.interpreter.name().replace(' ', "-")
    }

    fn write(&self, target: &str, name: &str, input: &[u8]) {
        let folder = self.corpus.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{}{name}", self.name())), input).expect("writable");
    }

    /// Records what `read` reads, behind a head with `flags` and `start`.
    fn record<T>(
        &self,
        target: &str,
        name: &str,
        flags: u8,
        start: u64,
        read: impl FnOnce(&Recording<ProcessMemory>) -> T,
    ) -> T {
        let memory = Recording::new(ProcessMemory::new(self.pid));
        let result = read(&memory);
        let mut file = Vec::new();
        memory.write_to(&mut file).expect("a recording");
        let mut input = vec![self.interpreter.version.minor - 8, flags, 0, 0, 0, 0, 16, 0];
        input.extend_from_slice(&self.interpreter.runtime.to_le_bytes());
        input.extend_from_slice(&start.to_le_bytes());
        let mut rest = file.strip_prefix(b"pitviper memory 1\n").expect("a recording");
        while let Some((address, tail)) = rest.split_first_chunk() {
            let (length, tail) = tail.split_first_chunk().expect("a length");
            let (bytes, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            let cut = if bytes.len() > LONGEST { bytes.len() - (4 << 10) } else { 0 };
            let address = u64::from_le_bytes(*address) + cut as u64;
            let bytes = &bytes[cut..];
            input.extend_from_slice(&address.to_le_bytes());
            input.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            input.extend_from_slice(bytes);
            rest = tail;
        }
        self.write(target, name, &input);
        result
    }

    fn of_memory(&self) {
        let (version, runtime) = (self.interpreter.version, self.interpreter.runtime);
        let layout = &self.interpreter.layout;
        let stated = |memory: &Recording<ProcessMemory>| {
            super::super::Layout::read(version, memory, runtime).expect("a layout")
        };
        let live = ProcessMemory::new(self.pid);
        let states = thread_states(&live, &self.interpreter).expect("threads");
        self.record("walk", "", 0, states[0].address, |memory| {
            stated(memory);
            for state in thread_states(memory, &self.interpreter).expect("threads") {
                for frame in walk(memory, layout, state.address, 256).expect("frames") {
                    read_code(memory, layout, frame.code, ProcessId(1), 1).expect("a code object");
                }
            }
        });
        for (index, state) in states.iter().enumerate() {
            for frame in walk(&live, layout, state.address, 2).expect("frames") {
                self.record("code_object", &format!("-{index}"), 0, frame.code, |memory| {
                    stated(memory);
                    read_code(memory, layout, frame.code, ProcessId(1), 1).expect("a code object");
                });
            }
        }
        let flags = if self.interpreter.code_type.is_some() { 2 } else { 0 };
        let code_type = self.interpreter.code_type;
        self.record("analyse", "", flags, code_type.unwrap_or(0), |memory| {
            examine(self.pid, memory, version, runtime, code_type, None).map(|_| ()).ok()
        });
        let one = &states[..1];
        self.record("thread_slot", "", 0, one[0].address, |memory| {
            stated(memory);
            thread_slot::find(memory, layout, runtime, one).expect("slots");
            // Thread ids are looked for where ranges begin.
            super::super::memory::ReadMemory::read_u64(memory, one[0].thread_id).expect("a thread");
        });
        self.of_methods(&live);
        let state = interpreters(&live, layout, runtime).expect("interpreters")[0];
        let mut search = ModuleSearch::default();
        let found = self.record("asyncio", "", 0, state, |memory| {
            stated(memory);
            Asyncio::look(&mut search, memory, &self.interpreter, || None).expect("readable")
        });
        assert!(found.is_some() || version.minor >= 14, "asyncio is there");
        let mut search = ModuleSearch::default();
        self.record("trio", "", 0, state, |memory| {
            stated(memory);
            Trio::look(&mut search, memory, &self.interpreter).expect("readable").expect("trio")
        });
        let modules = ModuleSearch::default().look(&live, &self.interpreter, |dict| Ok(Some(dict)));
        let modules = modules.expect("readable").expect("modules");
        self.record("dict", "", 0, modules, |memory| {
            stated(memory);
            assert_eq!(super::super::dict::is_dict(memory, layout, modules), Ok(true));
            for name in ["sys", "_current_tasks"] {
                member(memory, &self.interpreter, modules, name).expect("readable");
            }
        });
        if version.minor >= 13 {
            let block = super::super::memory::ReadMemory::read_bytes(&live, runtime, 1024);
            let mut input = vec![version.minor - 13];
            input.extend(block.expect("debug offsets"));
            self.write("debug_offsets", "", &input);
        }
    }

    /// The page of the interpreter's data that has the functions of `_warnings`.
    fn of_methods(&self, live: &ProcessMemory) {
        const PAGE: u64 = 4096;
        let maps = read_maps(self.pid).expect("mappings");
        let pages = maps
            .iter()
            .filter(|map| map.path == self.interpreter.image && !map.executable)
            .flat_map(|map| (map.start..map.end).step_by(PAGE as usize / 2));
        let mut pages = pages.map(|page| page..page + PAGE);
        let page = pages.find(|page| warnings::warn(live, Some(page.clone()), 0).is_some());
        let page = page.expect("a table of methods");
        self.record("method_table", "", 0, page.start, |memory| {
            warnings::warn(memory, Some(page.clone()), 0).expect("a function")
        });
    }

    /// Lines of a first line and a table in hexadecimal digits.
    fn of_tables(&self, tables: &[String]) {
        for (index, line) in tables.iter().enumerate() {
            let (first, digits) = line.split_once(' ').expect("two words");
            let first: i32 = first.parse().expect("a number");
            let mut input = vec![self.interpreter.version.minor - 8];
            input.extend_from_slice(&first.to_le_bytes());
            input.extend_from_slice(&20_i64.to_le_bytes());
            input.extend(digits.as_bytes().chunks(2).map(|pair| {
                let pair = std::str::from_utf8(pair).expect("digits");
                u8::from_str_radix(pair, 16).expect("digits")
            }));
            self.write("line_table", &format!("-{index}"), &input);
        }
    }

    /// As the kernel writes them, without the folders of this machine.
    fn of_maps(&self) {
        let mut text = String::new();
        for map in read_maps(self.pid).expect("mappings").iter().take(40) {
            let name = map.path.file_name().unwrap_or_default().to_string_lossy();
            let permissions = if map.executable { "r-xp" } else { "rw-p" };
            let (start, end, offset) = (map.start, map.end, map.offset);
            text += &format!("{start:x}-{end:x} {permissions} {offset:08x} fe:01 {}", map.inode);
            text += &if name.is_empty() { "\n".into() } else { format!("      /usr/lib/{name}\n") };
        }
        self.write("maps", "", text.as_bytes());
    }
}
