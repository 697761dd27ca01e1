//! `_Py_DebugOffsets`: the layout as a 3.13 process states it, at the start of its `_PyRuntime`
//! (`Include/internal/pycore_runtime.h`). Patch releases move fields, so it beats any table.

use thiserror::Error;

use super::super::memory::{Fields, ReadError, ReadMemory};
use super::super::version::Version;
use super::{CodeLayout, FrameLayout, Layout};

/// The first eight bytes of `_PyRuntime` in 3.13 and later.
pub const COOKIE: [u8; 8] = *b"xdebugpy";

/// Size of the struct in 3.13.
const SIZE: usize = 584;

/// No struct that is walked is larger; `_PyRuntimeState` and `PyInterpreterState` are not walked.
const MAX_STRUCT: u64 = 4096;

/// Why there is no layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The version has no table.
    #[error("CPython {}.{} is not supported (3.8 to 3.13 are)", .0.major, .0.minor)]
    UnsupportedVersion(Version),
    /// The build has no global interpreter lock.
    #[error("free-threaded builds of CPython are not supported")]
    FreeThreaded,
    /// An offset that the process states cannot be right.
    #[error("the interpreter's debug offsets are not plausible: {0}")]
    Implausible(&'static str),
    /// The debug offsets could not be read.
    #[error("failed to read the interpreter's debug offsets: {0}")]
    Read(#[from] ReadError),
}

/// Reads the debug offsets at `runtime` over `table`, which keeps its say in what they leave out:
/// `co_flags`, `_co_firsttraceable`, `tp_dealloc` and `autoTSSkey`.
pub(super) fn read(
    table: Layout,
    memory: &impl ReadMemory,
    runtime: u64,
) -> Result<Layout, LayoutError> {
    let block = memory.read_bytes(runtime, SIZE)?;
    if block[..8] != COOKIE {
        return Err(LayoutError::Implausible("the cookie is missing"));
    }
    if block.u64_at(16) != 0 {
        return Err(LayoutError::FreeThreaded);
    }
    decode(table, &block)
}

fn decode(table: Layout, block: &[u8]) -> Result<Layout, LayoutError> {
    let runtime = Struct::at(block, 24, 16 << 20, "_PyRuntimeState")?;
    let interpreter = Struct::at(block, 48, 16 << 20, "PyInterpreterState")?;
    let thread_state = Struct::at(block, 152, MAX_STRUCT, "PyThreadState")?;
    let frame = Struct::at(block, 224, MAX_STRUCT, "_PyInterpreterFrame")?;
    let code = Struct::at(block, 272, MAX_STRUCT, "PyCodeObject")?;
    let object = Struct::at(block, 352, MAX_STRUCT, "PyObject")?;
    let type_object = Struct::at(block, 368, MAX_STRUCT, "PyTypeObject")?;
    let bytes = Struct::at(block, 512, MAX_STRUCT, "PyBytesObject")?;
    let string = Struct::at(block, 536, MAX_STRUCT, "PyUnicodeObject")?;

    let mut layout = table;
    layout.runtime.interpreters = runtime.field(2, 8)?;
    layout.interpreter.next = interpreter.short(2, 8)?;
    layout.interpreter.threads = interpreter.short(3, 8)?;
    layout.thread_state.next = thread_state.short(2, 8)?;
    layout.thread_state.interp = thread_state.short(3, 8)?;
    layout.thread_state.frame = thread_state.short(4, 8)?;
    layout.thread_state.thread_id = thread_state.short(5, 8)?;
    layout.thread_state.native_thread_id = Some(thread_state.short(6, 8)?);
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
    Ok(layout)
}

fn frame_layout(table: FrameLayout, frame: &Struct<'_>) -> Result<FrameLayout, LayoutError> {
    let previous = frame.byte(1, 8)?;
    let code = frame.byte(2, 8)?;
    let instruction = frame.byte(3, 8)?;
    let owner = frame.byte(5, 1)?;
    let size = (previous.max(code).max(instruction) + 8).max(owner + 1);
    Ok(FrameLayout { previous, code, instruction, owner: Some(owner), size, ..table })
}

fn code_layout(table: CodeLayout, code: &Struct<'_>) -> Result<CodeLayout, LayoutError> {
    let filename = code.short(1, 8)?;
    let name = code.short(2, 8)?;
    let qualname = code.short(3, 8)?;
    let line_table = code.short(4, 8)?;
    let first_line = code.short(5, 4)?;
    let bytecode = code.short(9, 1)?;
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
