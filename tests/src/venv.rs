//! Virtual environments with packages of the registry, for code that users did not write.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::interpreter::Interpreter;

/// Makes an environment in `folder` with `packages`; gives its interpreter.
///
/// # Errors
/// When the environment cannot be made or a package cannot be had.
pub fn create(python: &Interpreter, folder: &Path, packages: &[&str]) -> Result<Interpreter> {
    let mut make = python.command();
    run(make.args(["-m", "venv"]).arg(folder))?;
    let executable = folder.join("bin/python");
    if !packages.is_empty() {
        let mut install = Command::new(&executable);
        run(install.args(["-m", "pip", "install", "--quiet", "--no-input"]).args(packages))?;
    }
    Ok(Interpreter {
        label: format!("{} in an environment", python.label),
        command: vec![executable.display().to_string()],
    })
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
