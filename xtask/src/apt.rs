//! Packages of any Debian release, fetched and checked by apt with lists and caches of its own, so
//! that the machine's stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;
use crate::roots::{KEYRING, own_mirror};

/// apt with a folder of its own, in which it also leaves what it fetches.
pub(crate) struct Apt {
    folder: PathBuf,
    mirror: String,
}

impl Apt {
    /// Asks the mirror for its lists. `kind` is `deb` or `deb-src`.
    pub(crate) fn of(folder: PathBuf, kind: &str, releases: &[&str]) -> Result<Self> {
        let mirror =
            own_mirror().context("this machine has no mirror of Debian's to fetch from")?;
        for part in ["state", "lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part)).context("failed to make a folder for apt")?;
        }
        let place = folder.display();
        let source = |release| format!("{kind} [signed-by={KEYRING}] {mirror} {release} main\n");
        let files = [
            ("sources.list", releases.iter().map(source).collect()),
            (
                "apt.conf",
                format!(
                    "Dir::Etc::sourcelist \"{place}/sources.list\";\nDir::Etc::sourceparts \"-\";\n\
                     Dir::State \"{place}/state\";\nDir::State::lists \"{place}/lists\";\n\
                     Dir::Cache \"{place}/cache\";\nAPT::Sandbox::User \"\";\n"
                ),
            ),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text)
                .with_context(|| format!("failed to write {name}"))?;
        }
        let apt = Self { folder, mirror };
        apt.say("apt-get", &["update", "-qq"])?;
        Ok(apt)
    }

    /// Runs one of apt's programs in the folder; what it says.
    pub(crate) fn say(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("APT_CONFIG", self.folder.join("apt.conf"));
        process::output(command.args(arguments))
    }

    /// Fetches a file that no list of the mirror's names, but that has this checksum.
    pub(crate) fn file(&self, path: &str, sha256: &str) -> Result<PathBuf> {
        let (_, name) = path.rsplit_once('/').context("a path on a mirror has folders")?;
        let target = self.folder.join(name);
        let address = format!("{}/{path}", self.mirror.trim_end_matches('/'));
        let mut command = Command::new("/usr/lib/apt/apt-helper");
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        command.args(["download-file", &address]).arg(&target).arg(format!("SHA256:{sha256}"));
        process::output(&mut command)?;
        Ok(target)
    }
}

/// A file in the folder whose name ends like this.
pub(crate) fn fetched(folder: &Path, ending: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(ending))
}
