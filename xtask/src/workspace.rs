//! Where things are: the repository and cargo's target directory.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Cargo's target directory; everything that a task makes goes under it.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// A Python or C program of known behaviour, by its path under `tests/workloads`.
pub(crate) fn workload(path: &str) -> PathBuf {
    root().join("tests/workloads").join(path)
}

/// Whether a continuous-integration system runs this: nothing may be skipped then.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}
