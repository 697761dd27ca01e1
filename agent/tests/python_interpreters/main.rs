//! The Python station against real interpreters: each one that is installed, from 3.8 on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy exempts the tests themselves, but not what they share"
)]

mod busy;
mod completion;
mod errors;
mod installed;
mod line_tables;
mod mounts;
mod program;
mod snapshots;
mod stacks;
