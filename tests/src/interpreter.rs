//! The interpreters that the tests run on.
//!
//! `PITVIPER_PYTHONS` lists them: `label=command words;label=command words`. A command that changes
//! root must show this crate's folder, the temporary directory and `/proc` at their own paths.
//! Without it: the newest patch release of each minor version that pyenv has, and the system's own
//! `/usr/bin/python3.N`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::together;

/// The minor versions of Python 3 that are promised.
const MINORS: std::ops::RangeInclusive<u32> = 8..=15;

/// One CPython and how to start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Names it in reports.
    pub label: String,
    /// The words of the command.
    pub command: Vec<String>,
}

impl Interpreter {
    /// A command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Every interpreter to be tested.
///
/// # Errors
/// When there is none, or `PITVIPER_PYTHONS` cannot be understood.
pub fn all() -> Result<Vec<Interpreter>> {
    let found = match env::var("PITVIPER_PYTHONS") {
        Ok(list) => listed(&list)?,
        Err(_) => discovered(),
    };
    ensure!(
        !found.is_empty(),
        "found no Python to test: set PITVIPER_PYTHONS=\"label=command;…\" or install pyenv's"
    );
    Ok(found)
}

/// One of them, another for each `turn`: spreads single-version tests over the versions.
///
/// # Errors
/// As [`all`].
pub fn pick(turn: usize) -> Result<Interpreter> {
    let all = all()?;
    Ok(all[turn % all.len()].clone())
}

/// One whose version begins with `minor`, if there is one.
///
/// # Errors
/// Those of [`all`].
pub fn of_minor(minor: &str) -> Result<Option<Interpreter>> {
    let begins = format!("{minor}.");
    Ok(all()?.into_iter().find(|python| python.label.starts_with(&begins)))
}

/// Runs `check` on every interpreter, `at_once` at a time, and reports all that failed together.
///
/// # Errors
/// When at least one check failed.
pub fn on_every(at_once: usize, check: impl Fn(&Interpreter) -> Result<()> + Sync) -> Result<()> {
    together::each(at_once, &all()?, |python| python.label.clone(), check)
}

fn listed(list: &str) -> Result<Vec<Interpreter>> {
    list.split(';')
        .filter(|entry| !entry.trim().is_empty())
        .map(|entry| {
            let (label, command) =
                entry.split_once('=').with_context(|| format!("{entry:?}: no label=command"))?;
            let command: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
            ensure!(!command.is_empty(), "{entry:?}: no command");
            Ok(Interpreter { label: label.trim().to_owned(), command })
        })
        .collect()
}

fn discovered() -> Vec<Interpreter> {
    let mut found = Vec::new();
    for minor in MINORS {
        if let Some((version, home)) = newest_of_pyenv(minor) {
            let executable = home.join(format!("bin/python3.{minor}"));
            found.push(at(version, &executable));
        }
    }
    for minor in MINORS {
        let executable = PathBuf::from(format!("/usr/bin/python3.{minor}"));
        if executable.exists() {
            found.push(at(format!("3.{minor}-system"), &executable));
        }
    }
    found
}

fn at(label: String, executable: &Path) -> Interpreter {
    Interpreter { label, command: vec![executable.display().to_string()] }
}

fn newest_of_pyenv(minor: u32) -> Option<(String, PathBuf)> {
    let newest = pyenv_versions()
        .into_iter()
        .filter_map(|(name, home)| {
            let patch = name.strip_prefix(&format!("3.{minor}."))?.parse::<u32>().ok()?;
            Some((patch, name, home))
        })
        .max()?;
    Some((newest.1, newest.2))
}

/// Every version that pyenv has, supported or not: its name and folder.
pub fn pyenv_versions() -> Vec<(String, PathBuf)> {
    let root = match env::var_os("PYENV_ROOT") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".pyenv"),
    };
    let Ok(entries) = fs::read_dir(root.join("versions")) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect()
}
