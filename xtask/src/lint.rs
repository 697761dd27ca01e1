//! `cargo xtask lint`: everything that is checked without running pitviper.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Set};
use crate::{cargo, dashboards, docs, process, workspace};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Options of `cargo xtask lint`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out the check of licences and dependencies, which compiles cargo-deny once
    #[arg(long)]
    no_deny: bool,
    /// Leave out the check of the dashboards, which installs Grafana's schema once
    #[arg(long)]
    no_dashboards: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Lint])?;
    for component in ["rustfmt", "clippy-driver"] {
        if process::find_program(component).is_none() {
            bail!("{component} is missing: `rustup component add rustfmt clippy`");
        }
    }
    let mut failed = Vec::new();
    let mut step = |name: &'static str, done: Result<()>| {
        if let Err(error) = done {
            eprintln!("lint: {name}: {error:#}");
            failed.push(name);
        }
    };
    step("rustfmt", process::run(cargo::command().args(["fmt", "--all", "--check"])));
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    step("rustfmt of fuzz", process::run(cargo::command().args(fuzz)));
    step("clippy", clippy());
    step("documentation", documentation());
    step("docs/metrics.md", docs::check());
    step("clang-format", clang_format());
    if !options.no_dashboards {
        step("dashboards", dashboards::check());
    }
    if !options.no_deny {
        step("cargo-deny", deny());
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    println!("lint: clean");
    Ok(())
}

fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    process::run(cargo::command().args(arguments))
}

fn documentation() -> Result<()> {
    let mut command = cargo::command();
    command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    process::run(&mut command)
}

fn clang_format() -> Result<()> {
    let sources = c_sources()?;
    if sources.is_empty() {
        return Ok(());
    }
    process::run(Command::new("clang-format").args(["--dry-run", "-Werror"]).args(sources))
}

fn c_sources() -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("probes/src");
    let entries = fs::read_dir(&folder);
    let mut sources = Vec::new();
    for entry in entries.with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "c" || ending == "h") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}

/// Licences, banned crates and sources are checked always. The advisories' database is a
/// git repository elsewhere: where it cannot be reached that is said, and nothing fails.
fn deny() -> Result<()> {
    let program = cargo::tool("cargo-deny", CARGO_DENY)?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(workspace::root()).args(["--workspace", "check"]).args(what);
        command
    };
    process::run(&mut check(&["licenses", "bans", "sources"]))?;
    let mut fetch = Command::new(&program);
    fetch.current_dir(workspace::root()).args(["fetch", "db"]);
    if process::output(&mut fetch).is_err() {
        eprintln!("lint: the advisory database cannot be reached: advisories were not checked");
        return Ok(());
    }
    process::run(&mut check(&["advisories"]))
}
