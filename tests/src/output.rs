//! What another program prints.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Standard output of a command that succeeds.
///
/// # Errors
/// When it does not start, fails (the message has what it said), or prints what is no text.
pub fn of(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{printed}{said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
