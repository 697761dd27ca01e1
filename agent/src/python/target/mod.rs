//! What `/proc` tells about a target before its memory is read: whether it is a process at all,
//! what is mapped where, and the files behind the mappings.

mod elf;
mod file;
mod maps;
mod status;

pub(super) use elf::{Image, machine};
pub(crate) use file::open_mapped;
pub(super) use file::{MappedFile, open_executable};
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use maps::parse as parse_mapping;
pub(crate) use maps::{Mapping, read_maps};
pub(super) use status::{Identity, identify};
