//! Code objects, their names and their lines.

use super::super::code::Code;
use super::super::lines::Format;
use super::super::read_code::{complete_from_memory, read_code};
use super::super::table::CodeTable;
use super::super::version::Version;
use super::memory::Process;
use crate::event::{CodeRecord, ProcessId, RawFrame, RawString, StackRecord};

/// As in `read_code`.
const MAX_STRING: usize = 16 << 10;
const MAX_LINE_TABLE: usize = 1 << 20;

/// Code points of a name, each as `\U00110000`, and what follows one that was cut.
const MAX_TEXT: usize = 4096 * 10 + '…'.len_utf8();

/// A code object: its copy, the completion of one that was cut, and the frames that are made of it.
pub(crate) fn code_object(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let Some(layout) = process.layout() else { return };
    let before = process.reads();
    let read = read_code(&process, &layout, process.head.start, ProcessId(1), 1);
    assert!(process.reads() - before <= 12);
    let Ok(record) = read else { return };
    check(&process, &record);

    let mut cut = record.clone();
    let kept = usize::from(process.head.number);
    cut.filename.data.truncate(kept);
    cut.name.data.truncate(kept);
    cut.line_table.data.truncate(kept);
    let start = cut.clone();
    let completed = complete_from_memory(&mut cut, &process, &layout);
    for (string, start) in [(&cut.filename, &start.filename), (&cut.name, &start.name)] {
        let same = (string.address, string.kind, string.length)
            == (start.address, start.kind, start.length);
        assert!(same && string.data.starts_with(&start.data));
    }
    assert!(cut.line_table.data.starts_with(&start.line_table.data));
    // No object lies at address 0, but where memory wraps there is one: that is left as it is.
    let addresses = [record.filename.address, record.name.address, record.line_table.address];
    if completed.is_ok() && process.stands_still() && !addresses.contains(&0) {
        assert_eq!(cut, record);
    }
    check(&process, &cut);
}

/// What may come out of a copied code object.
pub(super) fn check(process: &Process<'_>, record: &CodeRecord) {
    let strings = [Some(&record.filename), Some(&record.name), record.qualname.as_ref()];
    assert!(strings.iter().flatten().all(|string| string.data.len() <= MAX_STRING));
    assert!(record.line_table.data.len() <= MAX_LINE_TABLE);
    let version = process.head.version;
    let Ok(code) = Code::decode(record, version) else { return };
    for instruction in [0, u64::from(process.head.number), u64::MAX, 1 << 63] {
        let Some(frame) = code.frame(instruction) else { continue };
        check_text(process, &frame.file, &record.filename);
        check_text(process, &frame.function, &record.name);
        if let (Some(text), Some(raw)) = (&frame.qualname, &record.qualname) {
            check_text(process, text, raw);
        }
    }
    let mut table = CodeTable::with_bounds(4, 4 << 20);
    assert!(table.insert(version, record.clone()).is_ok());
    let frames = [record.id, record.id + 1].map(|code| RawFrame { code, instruction: 8 }).to_vec();
    let stack =
        table.resolve(&StackRecord { process: record.process, id: 1, truncated: false, frames });
    assert!(stack.frames.len() <= 2 && stack.unresolved == 1);
}

/// A name that comes out is one whose characters lie in memory, one after the other.
fn check_text(process: &Process<'_>, text: &str, raw: &RawString) {
    assert!(text.len() <= MAX_TEXT);
    // What is no character is written as its number.
    if text.contains("\\u") || text.contains("\\U") {
        return;
    }
    let mut encoded = Vec::new();
    for character in text.strip_suffix('…').unwrap_or(text).chars() {
        let bytes = u32::from(character).to_le_bytes();
        encoded.extend_from_slice(&bytes[..usize::from(raw.kind).min(4)]);
    }
    assert!(process.holds(&encoded), "{text:?} is not in memory");
}

/// A line table of each format: the line follows from the first line and from no byte behind the
/// entry that covers the instruction.
pub(crate) fn line_table(input: &[u8]) {
    let Some((&[minor, numbers @ ..], table)) = input.split_first_chunk::<13>() else { return };
    let version = Version { major: 3, minor: 8 + minor % 9, micro: 0 };
    let Some(format) = Format::of(version) else { return };
    let [first_line @ .., _, _, _, _, _, _, _, _] = numbers;
    let [_, _, _, _, address @ ..] = numbers;
    let (first_line, address) = (i32::from_le_bytes(first_line), i64::from_le_bytes(address));
    for address in [address, address.rem_euclid(1 << 12), -1] {
        let line = format.line(table, first_line, address);
        let below = format.line(table, first_line.wrapping_add(1), address);
        assert_eq!(below, line.map(|line| line.wrapping_add(1)));
        if address < 0 {
            assert_eq!(line, Some(first_line));
        }
        let longer = [table, &[0x80; 2]].concat();
        // An odd byte at the end begins a pair there, and lnotab says something of every address.
        let covered = format != Format::Lnotab && table.len().is_multiple_of(2);
        if covered && line.is_some() {
            assert_eq!(format.line(&longer, first_line, address), line);
        }
        if table.is_empty() && address >= 0 {
            assert!(format == Format::Lnotab || line.is_none());
        }
    }
}
