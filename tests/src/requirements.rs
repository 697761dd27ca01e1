//! What the tests need of the machine: root and a kernel with BTF.
//!
//! Without them a test says that it is skipped and why. With `CI=true` it fails: a suite that skips
//! in silence shows nothing.

use std::env;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Result, bail};

/// Whether `test` can run here; says so on standard error when not.
///
/// # Errors
/// When it cannot run and `CI=true`.
pub fn met(test: &str) -> Result<bool> {
    let missing = if !rustix::process::geteuid().is_root() {
        "it needs root"
    } else if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        "this kernel gives no BTF (/sys/kernel/btf/vmlinux)"
    } else {
        return Ok(true);
    };
    skip(test, missing)?;
    Ok(false)
}

/// Says that `test`, or a part of it, is skipped.
///
/// # Errors
/// With `CI=true`, where everything must be there.
pub fn skip(test: &str, why: &str) -> Result<()> {
    if env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("{test} cannot be skipped with CI=true: {why}");
    }
    tell(&format!("SKIPPED {test}: {why}"));
    Ok(())
}

/// Prints past the test runner's capture: figures and skips are part of the result.
pub fn tell(line: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(io::stderr(), "{line}");
}
