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
    // What `cargo run` says of xtask is not of what is built: a package whose build script looks at
    // it would be built anew whenever cargo is called from here and from a shell by turns.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds the program as it is released, as the user who runs this; its path.
pub(crate) fn build_pitviper() -> Result<PathBuf> {
    eprintln!("Building pitviper (release).");
    let mut command = command();
    command.args(["build", "--release", "--package", "pitviper"]);
    one_executable(command)
}

/// One of cargo's own tools: this machine's, or that version, installed under `target` once.
pub(crate) fn tool(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(installed) = process::find_program(name) {
        return Ok(installed);
    }
    let tools = workspace::target().join("tools");
    let program = tools.join("bin").join(name);
    if !program.exists() {
        eprintln!("Installing {name} into {} (once).", tools.display());
        let mut install = command();
        // Unoptimized: compiling takes minutes less, and what it does no longer.
        install.args(["install", "--locked", "--quiet", "--debug", name, "--version", version]);
        install.env("CARGO_PROFILE_DEV_DEBUG", "none");
        process::run(install.arg("--root").arg(&tools))?;
    }
    Ok(program)
}

/// Builds by such a command the one executable of it; its path.
pub(crate) fn one_executable(command: Command) -> Result<PathBuf> {
    let built = executables(command)?.into_iter().next();
    Ok(built.context("cargo built no executable of the package pitviper")?.program)
}

/// What cargo made.
#[derive(Debug, PartialEq)]
pub(crate) struct Executable {
    pub(crate) program: PathBuf,
    /// The folder of its package, where cargo would run a test.
    pub(crate) package: PathBuf,
    /// Whether it runs tests; cargo also makes the programs that tests of a package may start.
    pub(crate) is_test: bool,
}

impl Executable {
    /// Cargo calls a test's executable by the test and a hash.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let file = self.program.file_name().and_then(|file| file.to_str());
        file.and_then(|file| file.rsplit_once('-')).is_some_and(|(test, _)| test == name)
    }
}

/// Builds by a command of cargo's; the executables that it made, in its order.
pub(crate) fn executables(mut command: Command) -> Result<Vec<Executable>> {
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
fn executable(message: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let program = PathBuf::from(message.get("executable")?.as_str()?);
    let manifest = PathBuf::from(message.get("manifest_path")?.as_str()?);
    let is_test = message.get("profile")?.get("test")?.as_bool()?;
    Some(Executable { program, package: manifest.parent()?.to_owned(), is_test })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_with_an_executable_count() {
        let program = r#"{"reason":"compiler-artifact","manifest_path":"/w/agent/Cargo.toml",
            "profile":{"test":false},"executable":"/t/release/pitviper"}"#;
        let library = r#"{"reason":"compiler-artifact","executable":null}"#;
        let made = Executable {
            program: "/t/release/pitviper".into(),
            package: "/w/agent".into(),
            is_test: false,
        };
        assert_eq!(executable(program), Some(made));
        assert_eq!(executable(library), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("warning: not JSON"), None);
    }
}
