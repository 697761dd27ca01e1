//! What a source tells, decoded and owned: the closed set of things that travel by event.
//!
//! Only rare things travel (a code object or a stack never seen before, a fork, an exec, an exit)
//! and, for `pitviper trace`, each call and each change of a child. Everything else is aggregated where it happens
//! and read as a [`crate::source::Snapshot`].

mod code;
mod descriptor;
mod native;
mod object;
mod process;
mod stack;

pub use code::{CodeId, CodeRecord, RawBytes, RawString};
pub use descriptor::{DescriptorCall, DescriptorChange, StackStatus};
pub use native::{NativeRecord, Registers};
pub use object::{Object, ObjectId, ObjectRecord};
pub use process::{ChildChange, ChildEvent, ProcessEvent, ProcessEventKind, ProcessId};
pub use stack::{RawFrame, StackId, StackRecord};

/// One event, in the order in which the source handed it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A code object was met for the first time.
    Code(CodeRecord),
    /// A stack was met for the first time.
    Stack(StackRecord),
    /// One descriptor came or went (`pitviper trace` only).
    Descriptor(DescriptorCall),
    /// Where a thread stood when a stack was met: what its native frames are made of.
    Native(Box<NativeRecord>),
    /// A file, a peer or a command was met for the first time.
    Object(ObjectRecord),
    /// A traced process forked, executed another program or ended.
    Process(ProcessEvent),
    /// A process that a traced one made changed (`pitviper trace` only).
    Child(ChildEvent),
}
