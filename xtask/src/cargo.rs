//! Cargo as a subprocess.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{process, workspace};

/// The cargo that runs this, in the repository's root.
pub(crate) fn command() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// Builds the program as it is released, as the user who runs this; its path.
pub(crate) fn build_pitviper() -> Result<PathBuf> {
    eprintln!("Building pitviper (release).");
    let built = executables(&["build", "--release", "--package", "pitviper"])?;
    built.into_iter().next().context("cargo built no executable of the package pitviper")
}

/// Builds and returns the executables that cargo made, in its order.
pub(crate) fn executables(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = command();
    command.args(arguments);
    executables_of(command)
}

/// The same for a whole command of cargo's.
pub(crate) fn executables_of(mut command: Command) -> Result<Vec<PathBuf>> {
    command.arg("--message-format=json-render-diagnostics");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{}`", process::display(&command)))?;
    let mut found = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            found.extend(executable(&line.context("failed to read cargo's messages")?));
        }
    }
    let status = child.wait().context("failed to wait for cargo")?;
    if !status.success() {
        bail!("`{}` failed: {status}", process::display(&command));
    }
    Ok(found)
}

/// The executable that one of cargo's messages announces.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    Some(PathBuf::from(message.get("executable")?.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_with_an_executable_count() {
        let program = r#"{"reason":"compiler-artifact","executable":"/t/release/pitviper"}"#;
        let library = r#"{"reason":"compiler-artifact","executable":null}"#;
        assert_eq!(executable(program), Some(PathBuf::from("/t/release/pitviper")));
        assert_eq!(executable(library), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("warning: not JSON"), None);
    }
}
