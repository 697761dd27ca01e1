//! The wheel: `pip install` puts the program and its manual pages into an environment, as it does
//! with a Python package.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Release, stage};
use crate::{process, workspace};

pub(super) fn make(release: &Release) -> Result<PathBuf> {
    let stage = stage::folder("wheel")?;
    let root = workspace::root();
    stage::manual(release, &stage.join("man1"))?;
    let mut command = Command::new("python3");
    command
        .arg(root.join("deploy/wheel/make_wheel.py"))
        .arg("--program")
        .arg(&release.program)
        .arg("--man")
        .arg(stage.join("man1"))
        .arg("--readme")
        .arg(root.join("README.md"))
        .arg("--output")
        .arg(&release.output)
        .args(["--version", &release.version, "--machine", release.machine])
        .args(["--epoch", &release.epoch.to_string()]);
    for licence in stage::LICENCES {
        command.arg("--licence").arg(root.join(licence));
    }
    let made = process::output(&mut command)?;
    Ok(release.output.join(made.trim()))
}
