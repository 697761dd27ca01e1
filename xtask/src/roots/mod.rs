//! Interpreters of other Debian releases, each in a root of its own under `target/roots`.
//!
//! They serve machines without pyenv, and are a second kind of build: static and stripped,
//! while pyenv's are shared and have symbols. A root is made once and kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::interpreters::{self, Interpreter, SUPPORTED};
use crate::privilege::Privilege;
use crate::setup::{self, Set};
use crate::{process, workspace};

mod mirror;

pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's releases and the minor versions of Python 3 that they have. `sid` moves on; when
/// it drops a version, the failure says so and this table is what to change.
const RELEASES: [(&str, &[u32]); 4] =
    [("bullseye", &[9]), ("bookworm", &[11]), ("trixie", &[13]), ("sid", &[13, 14, 15])];

/// Makes the roots for the minor versions that are not among `present` and returns their
/// interpreters. A release that cannot be had is reported and left out: the caller knows
/// how many versions it needs.
pub(crate) fn complete(present: &[Interpreter]) -> Result<Vec<Interpreter>> {
    let mut found = Vec::new();
    let Some(mirror) = own_mirror() else {
        eprintln!("Not a Debian machine, or apt has no mirror: no interpreters of other releases.");
        return Ok(found);
    };
    for (release, minors) in RELEASES {
        let absent = |minor: &&u32| !present.iter().any(|each| each.version.minor == **minor);
        let wanted: Vec<u32> = minors
            .iter()
            .filter(absent)
            .copied()
            .filter(|minor| SUPPORTED.contains(minor))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        match release_interpreters(release, &wanted, &mirror) {
            Ok(interpreters) => found.extend(interpreters),
            Err(error) => eprintln!("No Python of Debian {release}: {error:#}"),
        }
    }
    Ok(found)
}

/// The mirror that this machine's own packages come from, where it is a Debian one.
pub(crate) fn own_mirror() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    };
    if field("ID")? != "debian" {
        return None;
    }
    mirror::configured(&field("VERSION_CODENAME")?)
}

fn release_interpreters(release: &str, minors: &[u32], mirror: &str) -> Result<Vec<Interpreter>> {
    let privilege = Privilege::obtain(
        &format!("make a root of Debian {release} and run Python in it"),
        "cargo xtask test",
    )?;
    let root = workspace::target().join("roots").join(release);
    let has_all = minors.iter().all(|minor| {
        let program = root.join(format!("usr/bin/python3.{minor}"));
        // Its package came to be wanted later: older roots are without it.
        let library = root.join(format!("usr/share/doc/libpython3.{minor}"));
        program.exists() && library.exists()
    });
    if !has_all {
        setup::ensure(&[Set::Roots])?;
        bootstrap(privilege, release, minors, mirror, &root)?;
    }
    let interpreter = |minor: &u32| {
        let program = write_entry(&root, release, *minor)?;
        let version = interpreters::version_of(&mut privilege.command(&program))
            .with_context(|| format!("{} does not run", program.display()))?;
        Ok(Interpreter { version, origin: Some(release.to_owned()), program })
    };
    minors.iter().map(interpreter).collect()
}

fn bootstrap(
    privilege: Privilege,
    release: &str,
    minors: &[u32],
    mirror: &str,
    root: &Path,
) -> Result<()> {
    let debootstrap = process::find_program("debootstrap").context("debootstrap is gone")?;
    // The programs are static; libpython is what other programs have in them.
    let both = |minor: &u32| [format!("python3.{minor}"), format!("libpython3.{minor}")];
    let packages: Vec<String> = minors.iter().flat_map(both).collect();
    let packages = packages.join(",");
    // Made under another name first, so that an interrupted run leaves no half root behind.
    let partial = root.with_extension("partial");
    for stale in [root, &partial] {
        process::run(privilege.command("rm").arg("-rf").arg(stale))?;
    }
    fs::create_dir_all(&partial)
        .with_context(|| format!("failed to create {}", partial.display()))?;

    eprintln!("Fetching {packages} of Debian {release} into {} (once).", root.display());
    let mut command = privilege.command(debootstrap);
    command.args(["--variant=minbase", &format!("--keyring={KEYRING}")]);
    command.arg(format!("--include={packages}")).arg(release).arg(&partial).arg(mirror);
    let output = command.output().context("failed to start debootstrap")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        bail!("debootstrap failed: {}: {}", output.status, last.join(" | "));
    }
    process::run(privilege.command("mv").arg(&partial).arg(root))
}

/// Writes the program that runs the root's Python. It replaces itself step by step, so that
/// its process id is the interpreter's. In a mount namespace of its own, which ends with
/// it, the root gets /proc, the folder for temporary files and a read-only view of this
/// repository, each at the path that it has outside.
///
/// Where this machine is itself a chroot, `/` is no mount point and its propagation cannot
/// be set; then the mounts may show outside and stay, hence the look whether they are there.
fn write_entry(root: &Path, release: &str, minor: u32) -> Result<PathBuf> {
    let entry = root.with_file_name(format!("{release}-python3.{minor}"));
    let script = format!(
        r#"#!/bin/sh
set -e
propagation=private
unshare --mount true 2>/dev/null || propagation=unchanged
exec unshare --mount --propagation $propagation sh -ec '
    root=$1 repository=$2 temporary=${{TMPDIR:-/tmp}}; shift 2
    mkdir -p "$root$repository" "$root$temporary"
    mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
    mountpoint -q "$root$temporary" || mount --bind "$temporary" "$root$temporary"
    mountpoint -q "$root$repository" || mount --bind -o ro "$repository" "$root$repository"
    directory=/
    test ! -d "$root$PWD" || directory=$PWD
    exec chroot "$root" env --chdir="$directory" "$@"
' sh {root} {repository} python3.{minor} "$@"
"#,
        root = quoted(root)?,
        repository = quoted(workspace::root())?,
    );
    fs::write(&entry, script).with_context(|| format!("failed to write {}", entry.display()))?;
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("failed to make {} executable", entry.display()))?;
    Ok(entry)
}

fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().context("the repository's path is not UTF-8")?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_shell() {
        let hostile = Path::new("/a b/it's $HOME/`x`");
        let script = format!("printf %s {}", quoted(hostile).unwrap());
        let echoed = process::output(std::process::Command::new("sh").args(["-c", &script]));
        assert_eq!(echoed.unwrap(), hostile.to_str().unwrap());
    }
}
