//! Where the fields that a stack walk needs lie in CPython's structs, on x86-64.
//!
//! 3.8 to 3.12 have tables, checked against each version's own headers. From 3.13 on the process
//! says it itself (`_Py_DebugOffsets`), and a table only fills in what it leaves out.

mod debug_offsets;
mod tables;

pub use debug_offsets::{COOKIE, LayoutError};

use super::memory::ReadMemory;
use super::version::Version;

/// Byte offsets into CPython's structs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// `_PyRuntimeState`.
    pub runtime: RuntimeLayout,
    /// `PyInterpreterState`.
    pub interpreter: InterpreterLayout,
    /// `PyThreadState`.
    pub thread_state: ThreadStateLayout,
    /// `PyFrameObject` (to 3.10) or `_PyInterpreterFrame` (3.11+).
    pub frame: FrameLayout,
    /// `PyCodeObject`.
    pub code: CodeLayout,
    /// Strings (PEP 393).
    pub string: StringLayout,
    /// `PyBytesObject`.
    pub bytes: BytesLayout,
    /// Bytes of `PyObject`: 16, or 32 in a free-threaded build (3.13+). All other objects begin with
    /// one.
    pub object_size: u16,
    /// `ob_type` of `PyObject`.
    pub object_type: u16,
    /// `tp_name` of `PyTypeObject`.
    pub type_name: u16,
    /// `tp_dealloc` of `PyTypeObject`.
    pub type_dealloc: u16,
    /// `tp_base` of `PyTypeObject`.
    pub type_base: u16,
    /// The first item of `PyTupleObject`.
    pub tuple_items: u16,
    /// The frame of a generator or coroutine: the frame itself (3.11+), or to 3.10 a pointer to it.
    pub generator_frame: u16,
}

/// Offsets into `_PyRuntimeState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeLayout {
    /// `interpreters.head`: the newest `PyInterpreterState`.
    pub interpreters: u32,
    /// `autoTSSkey`: an `int` that is not 0 once the key exists, then the `pthread_key_t`. From 3.15
    /// on there is none: the thread state lies in a variable of each thread's own.
    pub thread_key: Option<u32>,
}

/// Offsets into `PyInterpreterState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterpreterLayout {
    /// The next older interpreter.
    pub next: u16,
    /// The newest `PyThreadState`.
    pub threads: u16,
}

/// Offsets into `PyThreadState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadStateLayout {
    /// The innermost frame. Where there is a `cframe`: its offset in that.
    pub frame: u16,
    /// 3.11 and 3.12: the pointer to the `_PyCFrame` that has the `frame`.
    pub cframe: Option<u16>,
    /// The next older thread state of the interpreter.
    pub next: u16,
    /// The interpreter.
    pub interp: u16,
    /// `pthread_self()` of the thread, which on glibc is its fs base.
    pub thread_id: u16,
    /// The thread's id in its pid namespace (3.11+).
    pub native_thread_id: Option<u16>,
}

/// Offsets into a frame, whose fields of interest lie within its first 255 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLayout {
    /// The caller's frame.
    pub previous: u8,
    /// The code object; from 3.14 on the lowest bits are a tag.
    pub code: u8,
    /// Which instruction is running: an index to 3.10, a pointer from 3.11.
    pub instruction: u8,
    /// Width of that field: 4 (`f_lasti`, to 3.10) or 8 (a pointer, 3.11+).
    pub instruction_bytes: u8,
    /// Which of its code's copies of the bytecode it runs, an `int` (3.14+, free-threaded).
    pub bytecode_index: Option<u8>,
    /// A byte that says who owns the frame (3.11+).
    pub owner: Option<u8>,
    /// A frame whose owner is this or more is an entry from C, which has no code; 255 when there
    /// is no such thing.
    pub shim_owner: u8,
    /// Bytes from the frame's address that hold all of the above.
    pub size: u8,
    /// Frames of a thread lie side by side in chunks of its data stack (3.11+).
    pub contiguous: bool,
    /// The first local variable.
    pub locals: u16,
}

/// Offsets into `PyCodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLayout {
    /// `co_filename`.
    pub filename: u16,
    /// `co_name`.
    pub name: u16,
    /// `co_qualname` (3.11+).
    pub qualname: Option<u16>,
    /// `co_firstlineno`, an `int`.
    pub first_line: u16,
    /// `co_flags`, an `int`.
    pub flags: u16,
    /// `co_lnotab` (to 3.9) or `co_linetable`, a `bytes` object.
    pub line_table: u16,
    /// `co_code_adaptive` (3.11+): the instructions themselves.
    pub bytecode: Option<u16>,
    /// `co_tlbc` (3.14+, free-threaded): an array of pointers to the copies of the instructions that
    /// threads have for themselves, behind their number. The first is `co_code_adaptive`.
    pub bytecode_copies: Option<u16>,
    /// `_co_firsttraceable` (3.11+), an `int` in code units.
    pub first_traceable: Option<u16>,
    /// Bytes from the object's address that hold all of the above except the bytecode.
    pub size: u16,
    /// `co_varnames` (to 3.10) or `co_localsplusnames`: a tuple of the names of the local variables.
    pub variables: u16,
}

/// Offsets into `PyASCIIObject`, `PyCompactUnicodeObject` and `PyUnicodeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringLayout {
    /// Number of code points.
    pub length: u16,
    /// Bit field: kind (1, 2 or 4 bytes a code point) in three bits, then compact, then ASCII.
    pub state: u16,
    /// The lowest of those bits: 2, or 8 in free-threaded builds from 3.14 on.
    pub kind_shift: u8,
    /// The data of an ASCII string.
    pub ascii_data: u16,
    /// The data of another compact string; the pointer to the data in one that is not compact.
    pub compact_data: u16,
}

/// Offsets into `PyBytesObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytesLayout {
    /// Number of bytes.
    pub size: u16,
    /// The bytes.
    pub data: u16,
}

impl Layout {
    /// The layout of `version`, whose `_PyRuntime` lies at `runtime` in `memory`. Memory is read
    /// from 3.13 on. A version that is newer than all that are known is tried as the newest.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when the version is not supported or what the process says about itself is
    /// not plausible.
    pub fn read(
        version: Version,
        memory: &impl ReadMemory,
        runtime: u64,
    ) -> Result<Self, LayoutError> {
        if !version.is_supported() {
            return Err(LayoutError::UnsupportedVersion(version));
        }
        match tables::without_debug_offsets(version.minor) {
            Some(table) => Ok(table),
            None => debug_offsets::read(version.minor, memory, runtime),
        }
    }

    /// Whether the build has no global interpreter lock.
    pub fn is_free_threaded(&self) -> bool {
        self.object_size > OBJECT_SIZE
    }
}

/// Bytes of `PyObject` in builds with the global interpreter lock.
const OBJECT_SIZE: u16 = 16;
