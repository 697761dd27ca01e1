//! Native frames: functions of C, C++ and Rust that a Python line has called.
//!
//! The kernel side sends a thread's registers and the top of its stack when a Python stack is first
//! met with a call; a thread of the agent's own unwinds them by the tables that libraries bring for
//! exceptions (`.eh_frame`), up to the function that runs Python's bytecode, and names the frames.
//! Everything that it reads is the target's: what does not add up gives no native frames.

mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod image;
mod mangled;
mod names;
mod symbols;
mod tables;
mod unwind;
mod worker;

pub use frames::{Makes, NativeFrame, NativeStack, Natives, Occasion, entries};
pub use worker::{Outcomes, Worker};
