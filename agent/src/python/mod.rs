//! The Python side: which interpreter a process runs, how its memory is laid out, and what a code
//! object and an instruction mean as file, function and line.

mod stack;

pub use stack::{Frame, Stack};
