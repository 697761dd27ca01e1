//! A stack as the kernel side walked it.

use super::{CodeId, ProcessId};

/// 64-bit hash over a process and the frames of a stack; 0 is "no stack".
pub type StackId = u64;

/// One stack, sent when it is met for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackRecord {
    /// The process that it was met in.
    pub process: ProcessId,
    /// Its id.
    pub id: StackId,
    /// Frames were left out because the stack was deeper than the walk goes.
    pub truncated: bool,
    /// Frames, innermost first.
    pub frames: Vec<RawFrame>,
}

/// One frame: a code object and the instruction in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RawFrame {
    /// The code object; 0 when it could not be read.
    pub code: CodeId,
    /// 3.8–3.10: `f_lasti` as stored (−1 as `u64::from(u32::MAX)`). 3.11+: byte offset of the
    /// current instruction from `co_code_adaptive` (two's complement).
    pub instruction: u64,
}
