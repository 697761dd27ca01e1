//! `_Py_DebugOffsets`: the layout as a process of 3.13 or later states it, at the start of its
//! `_PyRuntime` (`Include/internal/pycore_runtime.h`, from 3.14 on `pycore_debug_offsets.h`). Patch
//! releases move fields, so it beats any table.
//!
//! The block has no directory: where each struct's numbers begin in it changes with the feature
//! release, too ([`Arrangement`]). A release that is newer than all that are known here is read as
//! the newest; what does not fit together is refused.

use thiserror::Error;

use super::super::memory::{Fields, ReadError, ReadMemory};
use super::super::version::Version;
use super::{CodeLayout, FrameLayout, Layout, tables};

/// The first eight bytes of `_PyRuntime` in 3.13 and later.
pub const COOKIE: [u8; 8] = *b"xdebugpy";

/// No struct that is walked is larger; `_PyRuntimeState` and `PyInterpreterState` are not walked.
const MAX_STRUCT: u64 = 4096;

/// Bytes of `PyObject`, with and without the interpreter lock.
const OBJECT: [u64; 2] = [16, 32];

/// Why there is no layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The version is older than all that have a table.
    #[error("CPython {}.{} is not supported (3.8 and newer are)", .0.major, .0.minor)]
    UnsupportedVersion(Version),
    /// An offset that the process states cannot be right.
    #[error("the interpreter's debug offsets are not plausible: {0}")]
    Implausible(&'static str),
    /// The debug offsets could not be read.
    #[error("failed to read the interpreter's debug offsets: {0}")]
    Read(#[from] ReadError),
}

/// Where the numbers of each struct begin in the block, in bytes. The first of a struct is its size.
struct Arrangement {
    size: usize,
    thread_state: u16,
    /// Index of `thread_id` among the numbers of `PyThreadState`; `native_thread_id` follows.
    thread_id: u16,
    frame: u16,
    code: u16,
    object: u16,
    type_object: u16,
    bytes: u16,
    string: u16,
    /// `PyGenObject` (3.14+).
    generator: Option<u16>,
}

const V3_13: Arrangement = Arrangement {
    size: 584,
    thread_state: 152,
    thread_id: 5,
    frame: 224,
    code: 272,
    object: 352,
    type_object: 368,
    bytes: 512,
    string: 536,
    generator: None,
};

const V3_14: Arrangement = Arrangement {
    size: 760,
    thread_state: 176,
    thread_id: 5,
    frame: 248,
    code: 312,
    object: 400,
    type_object: 416,
    bytes: 592,
    string: 616,
    generator: Some(664),
};

const V3_15: Arrangement = Arrangement {
    size: 888,
    thread_state: 176,
    thread_id: 8,
    frame: 312,
    code: 376,
    object: 464,
    type_object: 480,
    bytes: 688,
    string: 712,
    generator: Some(792),
};

/// Reads the debug offsets at `runtime` of a process of 3.`minor`. What they leave out (`co_flags`,
/// `_co_firsttraceable`, `tp_dealloc`, `autoTSSkey`) is that of the release's table.
pub(super) fn read(
    minor: u8,
    memory: &impl ReadMemory,
    runtime: u64,
) -> Result<Layout, LayoutError> {
    let arrangement = match minor {
        ..=13 => &V3_13,
        14 => &V3_14,
        15.. => &V3_15,
    };
    let block = memory.read_bytes(runtime, arrangement.size)?;
    if block[..8] != COOKIE {
        return Err(LayoutError::Implausible("the cookie is missing"));
    }
    let free_threaded = match block.u64_at(16) {
        0 => false,
        1 => true,
        _ => return Err(LayoutError::Implausible("free_threaded is neither 0 nor 1")),
    };
    decode(arrangement, tables::with_debug_offsets(minor, free_threaded), &block)
}

fn decode(arrangement: &Arrangement, table: Layout, block: &[u8]) -> Result<Layout, LayoutError> {
    let walked = |start, name| Struct::at(block, start, MAX_STRUCT, name);
    let runtime = Struct::at(block, 24, 16 << 20, "_PyRuntimeState")?;
    let interpreter = Struct::at(block, 48, 16 << 20, "PyInterpreterState")?;
    let thread_state = walked(arrangement.thread_state, "PyThreadState")?;
    let frame = walked(arrangement.frame, "_PyInterpreterFrame")?;
    let code = walked(arrangement.code, "PyCodeObject")?;
    let object = walked(arrangement.object, "PyObject")?;
    let type_object = walked(arrangement.type_object, "PyTypeObject")?;
    let bytes = walked(arrangement.bytes, "PyBytesObject")?;
    let string = walked(arrangement.string, "PyUnicodeObject")?;
    if !OBJECT.contains(&object.size) || object.size != u64::from(table.object_size) {
        return Err(LayoutError::Implausible(object.name));
    }

    let mut layout = table;
    layout.runtime.interpreters = runtime.field(2, 8)?;
    layout.interpreter.next = interpreter.short(2, 8)?;
    layout.interpreter.threads = interpreter.short(3, 8)?;
    layout.thread_state.next = thread_state.short(2, 8)?;
    layout.thread_state.interp = thread_state.short(3, 8)?;
    layout.thread_state.frame = thread_state.short(4, 8)?;
    layout.thread_state.thread_id = thread_state.short(arrangement.thread_id, 8)?;
    layout.thread_state.native_thread_id = Some(thread_state.short(arrangement.thread_id + 1, 8)?);
    layout.frame = frame_layout(table.frame, &frame)?;
    layout.code = code_layout(table.code, &code)?;
    layout.object_type = object.short(1, 8)?;
    layout.type_name = type_object.short(1, 8)?;
    layout.bytes.size = bytes.short(1, 8)?;
    layout.bytes.data = bytes.short(2, 1)?;
    layout.string.state = string.short(1, 4)?;
    layout.string.length = string.short(2, 8)?;
    // The fourth number is a size: what follows `PyASCIIObject` is the data of an ASCII string,
    // and in another one two words (`utf8`, `utf8_length`) more.
    layout.string.ascii_data = string.short(3, 8)?;
    layout.string.compact_data = layout.string.ascii_data + 16;
    if let Some(start) = arrangement.generator {
        layout.generator_frame = walked(start, "PyGenObject")?.short(2, 8)?;
    }
    Ok(layout)
}

fn frame_layout(table: FrameLayout, frame: &Struct<'_>) -> Result<FrameLayout, LayoutError> {
    let previous = frame.byte(1, 8)?;
    let code = frame.byte(2, 8)?;
    let instruction = frame.byte(3, 8)?;
    let locals = frame.short(4, 8)?;
    let owner = frame.byte(5, 1)?;
    let bytecode_index = table.bytecode_index.map(|_| frame.byte(7, 4)).transpose()?;
    let size = (previous.max(code).max(instruction) + 8).max(owner + 1);
    let size = size.max(bytecode_index.map_or(0, |offset| offset + 4));
    let owner = Some(owner);
    Ok(FrameLayout { previous, code, instruction, bytecode_index, owner, locals, size, ..table })
}

fn code_layout(table: CodeLayout, code: &Struct<'_>) -> Result<CodeLayout, LayoutError> {
    let filename = code.short(1, 8)?;
    let name = code.short(2, 8)?;
    let qualname = code.short(3, 8)?;
    let line_table = code.short(4, 8)?;
    let first_line = code.short(5, 4)?;
    let variables = code.short(7, 8)?;
    let bytecode = code.short(9, 1)?;
    let bytecode_copies = table.bytecode_copies.map(|_| code.short(10, 8)).transpose()?;
    let first_traceable = table.first_traceable.unwrap_or_default();
    let pointers = filename.max(name).max(qualname).max(line_table) + 8;
    let size = pointers.max(first_line.max(table.flags).max(first_traceable) + 4);
    if bytecode < size {
        return Err(LayoutError::Implausible("PyCodeObject's bytecode lies inside its fields"));
    }
    Ok(CodeLayout {
        filename,
        name,
        qualname: Some(qualname),
        first_line,
        line_table,
        bytecode: Some(bytecode),
        bytecode_copies,
        variables,
        size,
        ..table
    })
}

/// One sub-struct of the debug offsets: the size of a struct of CPython's, then offsets into it.
struct Struct<'a> {
    block: &'a [u8],
    start: u16,
    size: u64,
    name: &'static str,
}

impl<'a> Struct<'a> {
    fn at(
        block: &'a [u8],
        start: u16,
        max_size: u64,
        name: &'static str,
    ) -> Result<Self, LayoutError> {
        let size = block.u64_at(start);
        if size == 0 || size > max_size {
            return Err(LayoutError::Implausible(name));
        }
        Ok(Self { block, start, size, name })
    }

    /// The number at `index`: the offset of a field of `width` bytes that lies inside the struct.
    fn field(&self, index: u16, width: u64) -> Result<u32, LayoutError> {
        let offset = self.block.u64_at(self.start + 8 * index);
        let inside = offset.checked_add(width).is_some_and(|end| end <= self.size);
        if !inside || !offset.is_multiple_of(width) {
            return Err(LayoutError::Implausible(self.name));
        }
        u32::try_from(offset).map_err(|_| LayoutError::Implausible(self.name))
    }

    /// The same, for a struct of which only the first 64 KiB are of interest.
    fn short(&self, index: u16, width: u64) -> Result<u16, LayoutError> {
        let offset = self.field(index, width)?;
        // Room for the sums that are made from it.
        if offset > u32::from(u16::MAX) - 64 {
            return Err(LayoutError::Implausible(self.name));
        }
        u16::try_from(offset).map_err(|_| LayoutError::Implausible(self.name))
    }

    /// The same, for a struct whose fields of interest are near its beginning.
    fn byte(&self, index: u16, width: u64) -> Result<u8, LayoutError> {
        let offset = u64::from(self.field(index, width)?);
        // The bytes up to the field's end are counted in one byte, too.
        if offset + width > u8::MAX.into() {
            return Err(LayoutError::Implausible(self.name));
        }
        u8::try_from(offset).map_err(|_| LayoutError::Implausible(self.name))
    }
}
