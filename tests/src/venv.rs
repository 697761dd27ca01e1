//! Virtual environments with packages of the registry, for code that users did not write.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::interpreter::{self, Interpreter};

/// One is made at a time.
static MAKING: Mutex<()> = Mutex::new(());

/// Makes an environment in `folder` with `packages` and gives its interpreter. The interpreters are
/// tried from the one of `turn` on: not each can make environments (Debian leaves `ensurepip` out,
/// and one in another root makes them out of reach).
///
/// # Errors
/// When no interpreter can; the message has each one's reason.
pub fn create(turn: usize, folder: &Path, packages: &[&str]) -> Result<Interpreter> {
    let mut pythons = interpreter::all()?;
    let count = pythons.len();
    pythons.rotate_left(turn % count);
    create_with_first(pythons, folder, packages)
}

/// Makes an environment of the newest interpreter that can make one: its pip knows best how to
/// install for others.
///
/// # Errors
/// As [`create`].
pub fn newest(folder: &Path) -> Result<Interpreter> {
    let mut pythons = interpreter::all()?;
    pythons.reverse();
    create_with_first(pythons, folder, &[])
}

fn create_with_first(
    pythons: Vec<Interpreter>,
    folder: &Path,
    packages: &[&str],
) -> Result<Interpreter> {
    let mut reasons = String::new();
    for python in pythons {
        match create_with(&python, &folder.join(&python.label), packages) {
            Ok(environment) => return Ok(environment),
            Err(error) => reasons += &format!("{}: {error:#}\n", python.label),
        }
    }
    bail!("no interpreter could make an environment:\n{reasons}")
}

/// An environment for CPython `minor` with `packages`, made in `folder` unless it is there already.
/// Gives nothing when there is no such interpreter.
///
/// # Errors
/// When the packages cannot be installed.
pub fn kept(minor: &str, folder: &Path, packages: &[&str]) -> Result<Option<Interpreter>> {
    let Some(python) = interpreter::of_minor(minor)? else { return Ok(None) };
    // Tests run beside each other: the second takes what the first has made.
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let complete = folder.join("complete");
    let content = format!("{}\n{}\n", python.command.join(" "), packages.join("\n"));
    if fs::read_to_string(&complete).is_ok_and(|found| found == content) {
        return Ok(Some(environment_of(&python, folder)));
    }
    if folder.exists() {
        // Left half-made, or with other packages.
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {folder:?}"))?;
    }
    let environment = create_with(&python, folder, packages)?;
    fs::write(&complete, content).with_context(|| format!("failed to write {complete:?}"))?;
    Ok(Some(environment))
}

/// Puts packages into `folder` by the pip of an environment, for interpreters that cannot make one:
/// those that CPython `minor` runs, or any.
///
/// # Errors
/// When they cannot be installed.
pub fn put(pip: &Interpreter, folder: &Path, minor: Option<&str>, packages: &[&str]) -> Result<()> {
    let mut install = pip.command();
    install.args(["-m", "pip", "install", "--quiet", "--no-input", "--target"]).arg(folder);
    if let Some(minor) = minor {
        install.args(["--only-binary", ":all:", "--python-version", minor]);
    }
    run(install.args(packages))
}

fn create_with(python: &Interpreter, folder: &Path, packages: &[&str]) -> Result<Interpreter> {
    let mut make = python.command();
    run(make.args(["-m", "venv"]).arg(folder))?;
    let executable = folder.join("bin/python");
    if !packages.is_empty() {
        let mut install = Command::new(&executable);
        run(install.args(["-m", "pip", "install", "--quiet", "--no-input"]).args(packages))?;
    }
    Ok(environment_of(python, folder))
}

fn environment_of(python: &Interpreter, folder: &Path) -> Interpreter {
    Interpreter {
        label: format!("{} in an environment", python.label),
        command: vec![folder.join("bin/python").display().to_string()],
    }
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
