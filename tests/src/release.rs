//! What `cargo xtask dist` makes, for the tests of deployment.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

/// The file among them whose name ends so.
///
/// # Errors
/// When it is not there and cannot be made.
pub fn file(ending: &str) -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| folder().map_err(|error| format!("{error:#}")));
    let folder = folder.as_ref().map_err(|error| anyhow!("{error}"))?;
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list {folder:?}"))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let path = paths.find(|path| path.to_string_lossy().ends_with(ending));
    path.with_context(|| format!("there is no {ending} in {folder:?}"))
}

/// `PITVIPER_DIST`, or what is made now: that takes minutes the first time.
fn folder() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("PITVIPER_DIST") {
        return Ok(PathBuf::from(folder));
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/dist");
    let mut make = Command::new(env!("CARGO"));
    make.current_dir(&root).args(["xtask", "dist", "--output"]).arg(&folder);
    let status = make.status().with_context(|| format!("failed to start {make:?}"))?;
    ensure!(status.success(), "{make:?}: {status}");
    Ok(folder)
}

/// A file of the repository.
pub fn source(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
