//! Copies code objects from user space: what the kernel side does at a syscall, for the walks that
//! happen here, and the rest of what the kernel side had to cut.

use crate::event::{CodeId, CodeRecord, ProcessId, RawBytes, RawString};

use super::layout::Layout;
use super::memory::{Fields, ReadError, ReadMemory};

/// Longest string that is copied, in bytes: four times the longest path.
const MAX_STRING: u64 = 16 << 10;

/// Longest line table that is copied, in bytes: some hundred thousand lines in one function.
const MAX_LINE_TABLE: u64 = 1 << 20;

/// Copies the code object at `address` and gives it the name `id` in `process`. Strings past
/// 16 KiB and line tables past 1 MiB are cut.
///
/// # Errors
///
/// Those of reading memory. Whether it is a code object at all is for the caller to know.
pub fn read_code(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: u64,
    process: ProcessId,
    id: CodeId,
) -> Result<CodeRecord, ReadError> {
    let code = &layout.code;
    let block = memory.read_bytes(address, code.size.into())?;
    let string = |offset| read_string(memory, layout, block.u64_at(offset));
    Ok(CodeRecord {
        space: 0,
        process,
        id,
        address,
        first_line: block.u32_at(code.first_line).cast_signed(),
        flags: block.u32_at(code.flags),
        first_traceable: code.first_traceable.map_or(0, |offset| block.u32_at(offset)),
        filename: string(code.filename)?,
        name: string(code.name)?,
        qualname: code.qualname.map(string).transpose()?,
        line_table: read_bytes(memory, layout, block.u64_at(code.line_table))?,
    })
}

/// Fills in what the kernel side had to cut from `record`, up to the limits of [`read_code`].
///
/// The caller must afterwards make sure that the code object was still alive: what is read of a
/// freed one may be another's.
///
/// # Errors
///
/// Those of reading memory; [`ReadError::Implausible`] when a string is not the one whose start
/// was copied. The record then stays usable as it is.
pub fn complete_from_memory(
    record: &mut CodeRecord,
    memory: &impl ReadMemory,
    layout: &Layout,
) -> Result<(), ReadError> {
    let strings = [&mut record.filename, &mut record.name].into_iter();
    for string in strings.chain(record.qualname.as_mut()) {
        let wanted = string.length.saturating_mul(string.kind.into()).min(MAX_STRING);
        if string.address != 0 && (string.kind == 0 || (string.data.len() as u64) < wanted) {
            let whole = read_string(memory, layout, string.address)?;
            let same = (whole.kind, whole.length) == (string.kind, string.length)
                && whole.data.starts_with(&string.data);
            if string.kind != 0 && !same {
                return Err(changed(string.address));
            }
            *string = whole;
        }
    }
    let table = &mut record.line_table;
    if table.address != 0 && (table.data.len() as u64) < table.length.min(MAX_LINE_TABLE) {
        let whole = read_bytes(memory, layout, table.address)?;
        if whole.length != table.length || !whole.data.starts_with(&table.data) {
            return Err(changed(table.address));
        }
        *table = whole;
    }
    Ok(())
}

fn changed(address: u64) -> ReadError {
    ReadError::Implausible { address, what: "it is not what was copied before" }
}

fn read_string(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: u64,
) -> Result<RawString, ReadError> {
    let string = &layout.string;
    let header = memory.read_bytes(address, usize::from(string.state.max(string.length)) + 8)?;
    let length = header.u64_at(string.length);
    let state = header.u32_at(string.state);
    let bits = state >> (string.kind_shift & 31);
    let kind = (bits & 7) as u8;
    let (compact, ascii) = (bits >> 3 & 1 == 1, bits >> 4 & 1 == 1);
    if !matches!(kind, 1 | 2 | 4) {
        return Err(ReadError::Implausible { address, what: "it is not a string" });
    }
    // Instances of subclasses of str keep their data elsewhere.
    let data = match (compact, ascii) {
        (true, true) => address.wrapping_add(string.ascii_data.into()),
        (true, false) => address.wrapping_add(string.compact_data.into()),
        (false, _) => memory.read_u64(address.wrapping_add(string.compact_data.into()))?,
    };
    let wanted = length.saturating_mul(kind.into()).min(MAX_STRING);
    Ok(RawString { address, kind, length, data: memory.read_bytes(data, wanted as usize)? })
}

fn read_bytes(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: u64,
) -> Result<RawBytes, ReadError> {
    let length = memory.read_u64(address.wrapping_add(layout.bytes.size.into()))?;
    let data = memory.read_bytes(
        address.wrapping_add(layout.bytes.data.into()),
        length.min(MAX_LINE_TABLE) as usize,
    )?;
    Ok(RawBytes { address, length, data })
}
