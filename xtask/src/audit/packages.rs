//! Virtual environments with the packages that the audited systems need, made once and kept.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::interpreters::Interpreter;
use crate::{process, workspace};

/// An interpreter that has `packages`: the given one where there are none.
pub(super) fn python_with(python: &Interpreter, packages: &[String]) -> Result<PathBuf> {
    if packages.is_empty() {
        return Ok(python.program.clone());
    }
    let mut sorted = packages.to_vec();
    sorted.sort();
    let name = format!("{}-{}", python.version, sorted.join("-"));
    let harmless = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let folder =
        workspace::target().join("audit").join(name.chars().map(harmless).collect::<String>());
    let program = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(program);
    }
    eprintln!("Installing {} for Python {} (once).", sorted.join(", "), python.version);
    if folder.exists() {
        // Left half-made by an interrupted run.
        fs::remove_dir_all(&folder)
            .with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    process::output(Command::new(&python.program).args(["-m", "venv"]).arg(&folder))?;
    let mut install = Command::new(&program);
    install.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    process::output(install.args(&sorted))?;
    fs::write(&complete, "").with_context(|| format!("failed to write {}", complete.display()))?;
    Ok(program)
}
