//! Where a thread stood when a stack was met, for its native frames.

use super::{ProcessId, StackId};

/// The registers that unwinding begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers {
    /// The instruction that is next.
    pub pc: u64,
    /// The top of the stack.
    pub sp: u64,
    /// The frame pointer's register, whatever it is used for.
    pub fp: u64,
    /// The return address, where the architecture has a register for it.
    pub lr: u64,
}

/// Registers and stack of a thread at the moment when its Python stack was walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeRecord {
    /// The process.
    pub process: ProcessId,
    /// The Python stack.
    pub stack_id: StackId,
    /// The number of the syscall that it was in; `None`: a sample.
    pub call: Option<u16>,
    /// The registers of user space.
    pub registers: Registers,
    /// Where the copy of the stack begins: somewhat below its top.
    pub low: u64,
    /// The copy.
    pub stack: Vec<u8>,
}
