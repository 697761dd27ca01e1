//! A code object as the kernel side copied it, at the moment when it was first met.
//!
//! The copy is taken while the thread that runs the code stands still in a syscall, so it is whole
//! even if the object is freed a microsecond later.

use super::ProcessId;

/// Names one life of a code object. Never reused: when an object is freed and its address taken by
/// another, the other gets another id.
pub type CodeId = u64;

/// Fields of `PyCodeObject`, undecoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRecord {
    /// The process that it was met in.
    pub process: ProcessId,
    /// Names the address space that it lives in: another after an exec.
    pub space: u32,
    /// The id by which [`super::RawFrame`]s name it.
    pub id: CodeId,
    /// Address of the object in the target.
    pub address: u64,
    /// `co_firstlineno`.
    pub first_line: i32,
    /// `co_flags`.
    pub flags: u32,
    /// `_co_firsttraceable` in code units (3.11+; 0 before).
    pub first_traceable: u32,
    /// `co_filename`.
    pub filename: RawString,
    /// `co_name`.
    pub name: RawString,
    /// `co_qualname` (3.11+).
    pub qualname: Option<RawString>,
    /// `co_lnotab` (3.8, 3.9) or `co_linetable` (3.10+).
    pub line_table: RawBytes,
}

/// A Python string as it lies in memory (PEP 393).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawString {
    /// Address of the string object in the target.
    pub address: u64,
    /// Bytes a code point: 1 (Latin-1 or ASCII), 2 (UCS-2) or 4 (UCS-4); 0 when it could not be
    /// read.
    pub kind: u8,
    /// Code points of the whole string.
    pub length: u64,
    /// The data, native endian; shorter than `length × kind` when it was cut.
    pub data: Vec<u8>,
}

/// A Python `bytes` object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawBytes {
    /// Address of the object in the target.
    pub address: u64,
    /// Size of the whole object's data in bytes.
    pub length: u64,
    /// The data; shorter than `length` when it was cut.
    pub data: Vec<u8>,
}

impl CodeRecord {
    /// Whether a string or the line table is not whole.
    pub fn is_cut(&self) -> bool {
        let string =
            |s: &RawString| (s.data.len() as u64) < s.length.saturating_mul(u64::from(s.kind));
        string(&self.filename)
            || string(&self.name)
            || self.qualname.as_ref().is_some_and(string)
            || (self.line_table.data.len() as u64) < self.line_table.length
    }
}
