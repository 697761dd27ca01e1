//! The Python side: which interpreter a process runs, how its memory is laid out, and what a code
//! object and an instruction mean as file, function and line.
//!
//! [`analyse`] finds the interpreter of a process; the kernel side then walks stacks by its
//! [`Layout`] and copies each code object once; [`CodeTable`] turns both into [`Stack`]s. [`walk`]
//! and [`read_code`] do the kernel side's work from outside, over any [`ReadMemory`].

mod asyncio;
mod code;
mod dict;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod identify;
mod interpreter;
pub mod layout;
mod lines;
mod memory;
mod modules;
mod presence;
mod read_code;
mod snapshot;
mod stack;
mod table;
mod target;
mod task_offsets;
mod text;
mod thread_slot;
mod trio;
mod version;
mod walk;
mod warnings;

pub use asyncio::{Asyncio, RunningTasks};
pub use code::{Code, CodeError};
pub use dict::KeysLayout;
pub use error::AnalyseError;
pub use interpreter::{Interpreter, ProbePoint, analyse};
pub use layout::Layout;
pub use memory::{ProcessMemory, ReadError, ReadMemory};
pub use modules::ModuleSearch;
pub use presence::Programs;
pub use read_code::{complete_from_memory, read_code};
pub use snapshot::{Recorded, Recording};
pub use stack::{Frame, Stack};
pub use table::CodeTable;
pub(crate) use target::{Mapping, open_mapped, read_maps};
pub use task_offsets::TaskOffsets;
pub(crate) use text::decode as decode_text;
pub use thread_slot::ThreadSlot;
pub use trio::Trio;
pub use version::Version;
pub use walk::{ReferenceFrame, ThreadState, thread_states, walk};
