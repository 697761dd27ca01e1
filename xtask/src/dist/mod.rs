//! `cargo xtask dist`: everything that is released, in `target/dist/`.
//!
//! One static program goes into all of it. Two runs on the same commit with the same compilers give
//! the same bytes: times are the commit's, paths of this machine are taken out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Set};
use crate::{cargo, process, workspace};

mod archive;
mod binary;
mod deb;
mod stage;
mod wheel;

/// Options of `cargo xtask dist`.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Package this program instead of building one. It has to be static, to run anywhere
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Make nothing but the program
    #[arg(long, conflicts_with = "binary")]
    only_binary: bool,
    /// Where it goes [default: target/dist]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// What is packaged, and how it is called.
struct Release {
    /// The static program.
    program: PathBuf,
    version: String,
    /// As the kernel calls it: `x86_64`, `aarch64`.
    machine: &'static str,
    /// Seconds since 1970 that every file is dated with.
    epoch: u64,
    /// Where the results go.
    output: PathBuf,
}

/// Where the results of a run are.
pub(crate) struct Made {
    /// What was released, `SHA256SUMS` included.
    pub(crate) folder: PathBuf,
    /// The program in all of it.
    pub(crate) program: PathBuf,
}

/// Makes all of it in the usual place.
pub(crate) fn make() -> Result<Made> {
    let program = release(&Options::default())?;
    Ok(Made { folder: folder(), program })
}

fn folder() -> PathBuf {
    workspace::target().join("dist")
}

pub(crate) fn run(options: &Options) -> Result<()> {
    release(options).map(|_| ())
}

/// The program that went into it.
fn release(options: &Options) -> Result<PathBuf> {
    setup::ensure(&[Set::Build, Set::Dist])?;
    let output = match &options.output {
        Some(output) => output.clone(),
        None => {
            // Another version's files would lie beside this one's.
            if folder().exists() {
                fs::remove_dir_all(folder()).context("failed to clear target/dist")?;
            }
            folder()
        }
    };
    fs::create_dir_all(&output).with_context(|| format!("failed to make {}", output.display()))?;
    let epoch = epoch()?;
    let program = match &options.binary {
        Some(program) => {
            std::path::absolute(program).context("failed to find the current directory")?
        }
        None => binary::build(epoch)?,
    };
    binary::check(&program)?;
    if options.only_binary {
        let copy = output.join("pitviper");
        stage::copy(&program, &copy, 0o755)?;
        println!("{}", copy.display());
        return Ok(program);
    }
    let machine = std::env::consts::ARCH;
    let release = Release { program, version: version()?, machine, epoch, output };
    let made = [archive::make(&release)?, deb::make(&release)?, wheel::make(&release)?];
    sums(&release.output, &made)?;
    for file in &made {
        println!("{}", file.display());
    }
    Ok(release.program)
}

/// The workspace's version.
fn version() -> Result<String> {
    let path = workspace::root().join("Cargo.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let manifest: toml::Table = text.parse().context("failed to parse Cargo.toml")?;
    let package = manifest.get("workspace").and_then(|workspace| workspace.get("package"));
    let version = package.and_then(|package| package.get("version")?.as_str());
    version.map(str::to_owned).context("Cargo.toml gives the workspace no version")
}

/// What everything is dated with (reproducible-builds.org/specs/source-date-epoch).
fn epoch() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut log = Command::new("git");
            log.current_dir(workspace::root()).args(["log", "-1", "--format=%ct"]);
            process::output(&mut log).context(
                "failed to date the release by its commit; outside of git, set SOURCE_DATE_EPOCH",
            )?
        }
    };
    text.trim().parse().with_context(|| format!("{text:?} is no number of seconds"))
}

/// `SHA256SUMS`, which `sha256sum --check` reads.
fn sums(output: &Path, made: &[PathBuf]) -> Result<()> {
    let mut command = Command::new("sha256sum");
    command.current_dir(output);
    for file in made {
        let Some(name) = file.file_name() else { bail!("{} is no file", file.display()) };
        command.arg(name);
    }
    let sums = process::output(&mut command)?;
    let path = output.join("SHA256SUMS");
    fs::write(&path, sums).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_workspaces() {
        assert_eq!(version().unwrap(), env!("CARGO_PKG_VERSION"));
    }
}
