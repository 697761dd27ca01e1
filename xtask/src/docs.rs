//! `cargo xtask docs`: the reference of the metrics, from the program's own registrations.
//!
//! The agent's unit test compares `docs/metrics.md` with the program, and writes it when it is told
//! to: this crate does not depend on the agent, which needs more than a compiler to build.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, process};

/// What the agent's tests take for leave to write.
const BLESS: &str = "PITVIPER_BLESS";

/// Writes the reference.
pub(crate) fn write() -> Result<()> {
    process::run(comparison().env(BLESS, "1"))
}

/// Fails when the reference is not current; the test says what to run.
pub(crate) fn check() -> Result<()> {
    process::run(comparison().env_remove(BLESS))
}

fn comparison() -> Command {
    let mut command = cargo::command();
    // The whole workspace, as the tests are: other features of what it depends on are another build.
    command.args(["test", "--quiet", "--workspace", "--lib", "the_reference_is_current"]);
    command
}
