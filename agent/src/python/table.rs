//! All code objects that were met, by which stacks are resolved.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::{CodeId, CodeRecord, ProcessId, StackRecord};

use super::code::{Code, CodeError};
use super::stack::{CodeNames, Frame, Stack};
use super::version::Version;

/// Default bounds: a large application has some ten thousand functions that ever show in a stack.
const MAX_CODES: usize = 200_000;
const MAX_BYTES: usize = 256 << 20;

/// Code objects by id, bounded in number and bytes: past a bound the eighth that has gone longest
/// without being in a stack is dropped, and counted.
#[derive(Debug)]
pub struct CodeTable {
    entries: HashMap<CodeId, Entry>,
    /// File names, each of which many functions share.
    files: HashSet<Arc<str>>,
    max_codes: usize,
    max_bytes: usize,
    bytes: usize,
    clock: AtomicU64,
    evicted: u64,
    unknown: Frame,
}

#[derive(Debug)]
struct Entry {
    process: ProcessId,
    code: Code,
    used: AtomicU64,
}

impl Default for CodeTable {
    fn default() -> Self {
        Self::with_bounds(MAX_CODES, MAX_BYTES)
    }
}

impl CodeTable {
    /// A table of at most `max_codes` code objects that take about `max_bytes` bytes.
    pub fn with_bounds(max_codes: usize, max_bytes: usize) -> Self {
        let unknown = Frame::new("?", "?", None, 0);
        Self {
            entries: HashMap::new(),
            files: HashSet::new(),
            max_codes: max_codes.max(1),
            max_bytes,
            bytes: 0,
            clock: AtomicU64::new(0),
            evicted: 0,
            unknown,
        }
    }

    /// Adds a code object that was copied from an interpreter of `version`.
    ///
    /// # Errors
    ///
    /// [`CodeError`]; frames of that code then stay unresolved.
    pub fn insert(&mut self, version: Version, record: CodeRecord) -> Result<(), CodeError> {
        let mut code = Code::decode(&record, version)?;
        if let Some(file) = self.files.get(&code.names.file) {
            let names = CodeNames { file: Arc::clone(file), ..CodeNames::clone(&code.names) };
            code.names = Arc::new(names);
        } else {
            self.bytes += code.names.file.len();
            self.files.insert(Arc::clone(&code.names.file));
        }
        self.remove(record.id);
        self.bytes += code.cost();
        let used = AtomicU64::new(self.tick());
        self.entries.insert(record.id, Entry { process: record.process, code, used });
        if self.entries.len() > self.max_codes || self.bytes > self.max_bytes {
            self.evict();
        }
        Ok(())
    }

    /// Resolves a stack. Frames that have not begun are left out, as `sys._getframe` does; frames
    /// of unknown code stand as `?` and are counted in [`Stack::unresolved`].
    pub fn resolve(&self, record: &StackRecord) -> Stack {
        let now = self.tick();
        let mut stack = Stack { truncated: record.truncated, ..Stack::default() };
        for raw in &record.frames {
            let Some(entry) = self.entries.get(&raw.code) else {
                stack.unresolved += 1;
                stack.frames.push(self.unknown.clone());
                continue;
            };
            entry.used.store(now, Ordering::Relaxed);
            stack.frames.extend(entry.code.frame(raw.instruction));
        }
        stack.frames.shrink_to_fit();
        stack
    }

    /// Drops all code of a process that has ended or become another program.
    pub fn forget(&mut self, process: ProcessId) {
        self.entries.retain(|_, entry| entry.process != process);
        self.settle();
    }

    /// How many code objects it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many code objects were dropped because a bound was reached.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn remove(&mut self, id: CodeId) {
        if let Some(old) = self.entries.remove(&id) {
            self.bytes = self.bytes.saturating_sub(old.code.cost());
        }
    }

    fn evict(&mut self) {
        let before = self.entries.len();
        let mut ages: Vec<u64> =
            self.entries.values().map(|entry| entry.used.load(Ordering::Relaxed)).collect();
        let last = (before / 8).min(before.saturating_sub(1));
        let (_, &mut oldest, _) = ages.select_nth_unstable(last);
        self.entries.retain(|_, entry| entry.used.load(Ordering::Relaxed) > oldest);
        self.evicted += (before - self.entries.len()) as u64;
        self.settle();
    }

    /// Counts anew what is held after many were dropped.
    fn settle(&mut self) {
        self.files.retain(|file| Arc::strong_count(file) > 1);
        let names: usize = self.files.iter().map(|file| file.len()).sum();
        self.bytes = names + self.entries.values().map(|entry| entry.code.cost()).sum::<usize>();
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{RawBytes, RawFrame, RawString};

    const VERSION: Version = Version { major: 3, minor: 12, micro: 1 };

    fn string(text: &str) -> RawString {
        RawString { address: 8, kind: 1, length: text.len() as u64, data: text.into() }
    }

    fn record(process: u32, id: CodeId, name: &str) -> CodeRecord {
        CodeRecord {
            space: 0,
            process: ProcessId(process),
            id,
            address: 64,
            first_line: 1,
            flags: 0,
            first_traceable: 1,
            filename: string("app.py"),
            name: string(name),
            qualname: Some(string("C.f")),
            // RESUME on line 1, then eight units on line 3.
            line_table: RawBytes { address: 8, length: 4, data: vec![0xf0, 3, 0xe7, 4] },
        }
    }

    fn stack(frames: &[(CodeId, u64)]) -> StackRecord {
        let frames = frames.iter().map(|&(code, instruction)| RawFrame { code, instruction });
        StackRecord { process: ProcessId(1), id: 1, truncated: true, frames: frames.collect() }
    }

    #[test]
    fn unknown_code_stays_visible_and_unbegun_frames_do_not() {
        let mut table = CodeTable::default();
        table.insert(VERSION, record(1, 7, "f")).unwrap();
        let resolved = table.resolve(&stack(&[(7, 4), (7, 0), (8, 4)]));
        let shown: Vec<_> = resolved
            .frames
            .iter()
            .map(|f| (&*f.file, &*f.function, f.qualname.as_deref()))
            .collect();
        assert_eq!(shown, [("app.py", "f", Some("C.f")), ("?", "?", None)]);
        assert_eq!((resolved.unresolved, resolved.truncated), (1, true));
    }

    #[test]
    fn what_is_used_outlives_what_is_not() {
        let mut table = CodeTable::with_bounds(16, usize::MAX);
        for id in 0..200 {
            table.insert(VERSION, record(1, id, "f")).unwrap();
            assert_eq!(table.resolve(&stack(&[(0, 4)])).unresolved, 0);
            assert!(table.len() <= 16);
        }
        assert_eq!(table.evicted() + table.len() as u64, 200);
        assert_eq!(table.resolve(&stack(&[(199, 4), (1, 4)])).unresolved, 1);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut table = CodeTable::with_bounds(usize::MAX, 20_000);
        for id in 0..200 {
            table.insert(VERSION, record(1, id, &"long".repeat(500))).unwrap();
            assert!(table.bytes <= 20_000);
        }
        assert!(table.evicted() > 180);
        // The same object again costs nothing more.
        let before = (table.len(), table.bytes);
        table.insert(VERSION, record(1, 199, &"long".repeat(500))).unwrap();
        assert_eq!((table.len(), table.bytes), before);
    }

    #[test]
    fn a_process_is_forgotten_whole() {
        let mut table = CodeTable::default();
        table.insert(VERSION, record(1, 1, "f")).unwrap();
        table.insert(VERSION, record(2, 2, "g")).unwrap();
        table.forget(ProcessId(1));
        assert_eq!(table.resolve(&stack(&[(1, 4), (2, 4)])).unresolved, 1);
        table.forget(ProcessId(2));
        assert!(table.is_empty());
        assert_eq!((table.bytes, table.files.len()), (0, 0));
    }
}
