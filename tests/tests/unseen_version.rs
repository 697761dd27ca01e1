//! Releases that nobody has seen: an interpreter whose copy states another version of itself is read
//! as it describes itself, and one that is newer than all that were tested says so.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;

/// A leak of one a second is confirmed within this.
const LIMIT: Duration = Duration::from_secs(20);

/// The newest feature release that is tested.
const NEWEST: u32 = 15;

#[test]
fn a_release_that_no_table_knows_is_read_as_it_describes_itself() -> Result<()> {
    if !met("unseen_version")? {
        return Ok(());
    }
    let mut checked = 0;
    for python in interpreter::all()? {
        let minor = minor(&python)?;
        if minor < 14 {
            continue;
        }
        let mut versions = vec![(minor, 99)];
        if minor == NEWEST {
            versions.push((NEWEST + 1, 0));
        }
        for (minor, micro) in versions {
            checked += usize::from(check(&python, minor, micro)?);
        }
    }
    if checked < 2 {
        skip("unseen_version", "no CPython 3.15 that has its runtime in its own program")?;
    }
    Ok(())
}

fn minor(python: &Interpreter) -> Result<u32> {
    let output =
        python.command().args(["-c", "import sys; print(sys.version_info[1])"]).output()?;
    let said = String::from_utf8(output.stdout)?;
    said.trim().parse().with_context(|| format!("{}: {said}", python.label))
}

/// Whether there was something to check.
fn check(python: &Interpreter, minor: u32, micro: u32) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let Some(copy) = restated(python, folder.path(), minor, micro)? else {
        tell(&format!("{}: its runtime is in a library", python.label));
        return Ok(false);
    };
    let mut command = python.command();
    command.args(["-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])", &copy]);
    command.arg(workload("leak.py")).args(["file", "1"]).arg(folder.path());
    let mut target = Target::start_command(command)?;
    target.tell("go")?;
    let seconds = LIMIT.as_secs().to_string();
    let args = ["attach", &target.pid().to_string(), "--duration", &seconds, "--json"];
    let ended = Agent::attach(&args)?.ended(LIMIT + Duration::from_secs(30))?;
    let report = ended.report()?;
    report.confirmed_at("fd-leak", &marked("leak.py", "file")?)?;
    let version = format!("3.{minor}.{micro}");
    let said = ended.stderr.join("\n");
    ensure!(said.contains(&format!("(CPython {version})")), "of {version} it was said: {said}");
    let cautioned = said.contains("is newer than all that were tested");
    ensure!(cautioned == (minor > NEWEST), "of {version} it was said: {said}");
    tell(&format!("{}: read as {version}", python.label));
    Ok(true)
}

/// A copy of the interpreter that states this version.
fn restated(python: &Interpreter, folder: &Path, minor: u32, micro: u32) -> Result<Option<String>> {
    let mut command = python.command();
    command.arg(workload("restated_version.py")).arg(folder);
    let output = command.args([minor.to_string(), micro.to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let copy = String::from_utf8(output.stdout)?.trim().to_owned();
    Ok((!copy.is_empty()).then_some(copy))
}
