//! py-spy, in a virtual environment under `target/bench`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{process, workspace};

/// The version that the published numbers compare with.
const VERSION: &str = "0.4.1";

/// Installs it once; its path.
pub(super) fn install() -> Result<PathBuf> {
    let environment = workspace::target().join("bench/py-spy");
    let program = environment.join("bin/py-spy");
    if !program.exists() {
        eprintln!("Installing py-spy {VERSION} into {} (once).", environment.display());
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/pip"));
        process::run(pip.args(["install", "--quiet", &format!("py-spy=={VERSION}")]))?;
    }
    Ok(program)
}
