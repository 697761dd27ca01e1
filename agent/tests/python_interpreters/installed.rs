//! Finds the interpreters of this machine: pyenv's, and those on the search path.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use pitviper::python::Version;

/// An interpreter that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) path: PathBuf,
    pub(crate) version: Version,
}

/// All supported interpreters; at least one, or the tests prove nothing.
pub(crate) fn supported() -> Vec<Installed> {
    let found: Vec<_> = all().into_iter().filter(|found| found.version.is_supported()).collect();
    assert!(!found.is_empty(), "no CPython from 3.8 on is installed");
    found
}

/// All interpreters of Python 3, supported or not.
pub(crate) fn all() -> Vec<Installed> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(versions) = pyenv().and_then(|root| fs::read_dir(root.join("versions")).ok()) {
        folders.extend(versions.map(|entry| entry.unwrap().path().join("bin")));
    }
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));

    let mut found = BTreeMap::new();
    for (folder, minor) in folders.iter().flat_map(|folder| (4..20).map(move |m| (folder, m))) {
        let path = folder.join(format!("python3.{minor}"));
        if let Ok(real) = path.canonicalize()
            && is_elf(&real)
            && !found.contains_key(&real)
            && let Some(version) = version(&path)
        {
            found.insert(real, Installed { path, version });
        }
    }
    found.into_values().collect()
}

fn pyenv() -> Option<PathBuf> {
    if let Some(root) = env::var_os("PYENV_ROOT") {
        return Some(root.into());
    }
    let home = PathBuf::from(env::var_os("HOME")?).join(".pyenv");
    if home.is_dir() {
        return Some(home);
    }
    let output = Command::new("pyenv").arg("root").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().into())
}

/// pyenv's shims are scripts, whose process is another program's at first.
fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && &magic == b"\x7fELF"
}

fn version(path: &Path) -> Option<Version> {
    let code = "import sys; print('%d.%d.%d ' % sys.version_info[:3])";
    let output = Command::new(path).args(["-S", "-c", code]).output().ok()?;
    Version::from_text(&output.stdout)
}
