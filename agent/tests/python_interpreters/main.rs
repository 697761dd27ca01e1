//! The Python station against real interpreters: each one that is installed, from 3.8 to 3.13.

mod errors;
mod installed;
mod line_tables;
mod program;
mod stacks;
