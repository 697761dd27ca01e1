//! Checks by Grafana's own definitions: its TypeScript schema and its Python SDK, each in a folder of
//! its own under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{process, workspace};

/// Holds the dashboards against `@grafana/schema`; unknown keys are faults.
pub(super) fn check_schema(dashboards: &[PathBuf]) -> Result<()> {
    let folder = node_packages("check")?;
    let mut check = Command::new("node");
    process::run(check.arg(folder.join("schema.mjs")).args(dashboards))
}

/// Reads and writes the dashboards by `grafana-foundation-sdk`; what is lost on the way is a fault.
pub(super) fn check_round_trip(dashboards: &[PathBuf]) -> Result<()> {
    let python = python_packages()?;
    let script = workspace::root().join("dashboards/check/round_trip.py");
    process::run(Command::new(python).arg(script).args(dashboards))
}

/// A copy of `dashboards/<name>` with its packages installed: Node looks for packages beside the
/// program.
pub(super) fn node_packages(name: &str) -> Result<PathBuf> {
    let from = workspace::root().join("dashboards").join(name);
    let folder = workspace::target().join("dashboards").join(name);
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    for entry in
        fs::read_dir(&from).with_context(|| format!("failed to list {}", from.display()))?
    {
        let path = entry?.path();
        if let Some(name) =
            path.file_name().filter(|_| path.is_file() && !is(&path, "package.json"))
        {
            fs::copy(&path, folder.join(name))
                .with_context(|| format!("failed to copy {}", path.display()))?;
        }
    }
    let wanted = read(&from.join("package.json"))?;
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    eprintln!("Installing the packages of dashboards/{name}/package.json (once).");
    fs::write(folder.join("package.json"), &wanted).context("failed to write package.json")?;
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]);
    process::output(install.current_dir(&folder))?;
    fs::write(&complete, wanted).context("failed to write a mark")?;
    Ok(folder)
}

fn is(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|found| found == name)
}

/// A Python that has what `dashboards/check/requirements.txt` names.
fn python_packages() -> Result<PathBuf> {
    let requirements = workspace::root().join("dashboards/check/requirements.txt");
    let wanted = read(&requirements)?;
    let folder = workspace::target().join("dashboards/python");
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("Installing the packages of dashboards/check/requirements.txt (once).");
    process::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    process::output(install.arg("-r").arg(&requirements))?;
    fs::write(&complete, wanted).context("failed to write a mark")?;
    Ok(python)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}
