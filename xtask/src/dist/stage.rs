//! Files on their way into a package, with the modes that they have there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Release;
use crate::{process, workspace};

/// Licences and notices, from the repository's root.
pub(super) const LICENCES: [&str; 4] =
    ["LICENSE-APACHE", "LICENSE-MIT", "NOTICE", "probes/LICENSE-GPL-2.0"];

/// Shells with the names that their completions go by.
pub(super) const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "pitviper"), ("zsh", "_pitviper"), ("fish", "pitviper.fish")];

/// An empty directory for what is made, under cargo's target directory.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let folder = workspace::target().join("dist-stage").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("failed to clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    Ok(folder)
}

/// Copies a file, directories and mode included.
pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
    write(to, &bytes, mode)
}

/// Writes a file, directories and mode included.
pub(super) fn write(to: &Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let wrote = || {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(to, bytes)?;
        fs::set_permissions(to, fs::Permissions::from_mode(mode))
    };
    wrote().with_context(|| format!("failed to write {}", to.display()))
}

/// What the program prints when it is called so.
pub(super) fn printed(release: &Release, arguments: &[&str]) -> Result<String> {
    process::output(Command::new(&release.program).args(arguments))
}

/// Writes the manual pages into a directory; their paths.
pub(super) fn manual(release: &Release, folder: &Path) -> Result<Vec<PathBuf>> {
    process::run(Command::new(&release.program).arg("man").arg(folder))?;
    let mut pages = Vec::new();
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        pages.push(path);
    }
    pages.sort();
    Ok(pages)
}
