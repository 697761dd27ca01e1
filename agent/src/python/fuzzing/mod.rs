//! What the fuzz targets run: one harness for each reader of what a target's memory and files say.
//! Each checks more than that nothing panics: how much is read, how much comes out, and that a name
//! that comes out is made of bytes that went in.

mod code;
mod dicts;
mod files;
mod interpreter;
mod layout;
mod memory;
mod methods;
#[cfg(test)]
mod seeds;

pub(crate) use code::{code_object, line_table};
pub(crate) use dicts::{asyncio, dict, trio};
pub(crate) use files::{elf, maps};
pub(crate) use interpreter::{analyse, thread_slot, walk};
pub(crate) use layout::debug_offsets;
pub(crate) use methods::method_table;
#[cfg(test)]
pub(crate) use seeds::make_seeds;
