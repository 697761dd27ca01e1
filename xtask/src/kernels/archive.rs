//! A kernel of a Debian release, from its package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::apt::{self, Apt};
use crate::process;

/// A kernel that can be booted.
pub(super) struct Kernel {
    /// As `uname -r` says it.
    pub(super) version: String,
    pub(super) image: PathBuf,
}

/// Packages with kernels are called so, between which their version stands. From 6.19 on the image
/// itself is in a package that `linux-image` only names.
const BEGINS: [&str; 2] = ["linux-binary-", "linux-image-"];
const ENDS: &str = "-cloud-amd64";

/// The newest kernel of the release whose version begins like this; fetched once.
pub(super) fn kernel(folder: &Path, release: &str, begins: &str) -> Result<Kernel> {
    let place = folder.join(format!("{release}-{begins}"));
    let ready = place.join("ready");
    if let Ok(version) = fs::read_to_string(&ready) {
        return Ok(Kernel { version, image: place.join("vmlinuz") });
    }
    eprintln!("Fetching a kernel of Debian {release} (once).");
    let apt = Apt::of(place.clone(), "deb", &[release])?;
    let names = apt.say("apt-cache", &["pkgnames", "linux-"])?;
    let (version, package) =
        newest(&names, begins).with_context(|| format!("{release} has no kernel {begins}"))?;
    apt.say("apt-get", &["download", "-qq", &package])?;
    let archive = apt::fetched(&place, ".deb").context("apt fetched no package")?;
    let tree = place.join("tree");
    process::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&tree))?;
    let usual = tree.join(format!("boot/vmlinuz-{version}"));
    let newer = tree.join(format!("usr/lib/modules/{version}/vmlinuz"));
    let from = if usual.exists() { usual } else { newer };
    let image = place.join("vmlinuz");
    fs::copy(&from, &image).with_context(|| format!("failed to copy {}", from.display()))?;
    fs::remove_dir_all(&tree).context("failed to remove what was unpacked")?;
    fs::remove_file(&archive).context("failed to remove a package")?;
    fs::write(&ready, &version).context("failed to write the kernel's version")?;
    Ok(Kernel { version, image })
}

/// Of the packages' names, the newest version that begins like this, and its package.
fn newest(names: &str, begins: &str) -> Option<(String, String)> {
    let kernels = names.lines().filter_map(|name| {
        let version = BEGINS.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        let bare = version.strip_suffix(ENDS)?;
        bare.starts_with(begins).then(|| (numbers(bare), version.to_owned(), name.to_owned()))
    });
    // Of one version's two packages the binary has the image: its name is the lesser.
    let best = kernels.max_by(|(a, _, left), (b, _, right)| a.cmp(b).then(right.cmp(left)))?;
    Some((best.1, best.2))
}

/// The numbers in a version: 6.12.107 is newer than 6.12.94.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_taken_by_its_numbers() {
        let names = "linux-image-6.12.94+deb13-cloud-amd64\nlinux-image-6.12.107+deb13-cloud-amd64\n\
                     linux-image-6.12.107+deb13-cloud-amd64-dbg\nlinux-image-6.1.0-9-cloud-amd64\n\
                     linux-binary-7.3.4+deb13-cloud-amd64\nlinux-image-7.3.4+deb13-cloud-amd64\n";
        let version = |begins| newest(names, begins).map(|(_, package)| package);
        assert_eq!(version("6.12.").unwrap(), "linux-image-6.12.107+deb13-cloud-amd64");
        assert_eq!(version("6.1.").unwrap(), "linux-image-6.1.0-9-cloud-amd64");
        assert_eq!(version("").unwrap(), "linux-binary-7.3.4+deb13-cloud-amd64");
        assert_eq!(version("5."), None);
    }
}
