//! The CPython interpreters that the tests run: pyenv's, the machine's own, and, where
//! those are few, other Debian releases' (see [`crate::roots`]).

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// The minor versions of Python 3 that pitviper reads.
pub(crate) const SUPPORTED: RangeInclusive<u32> = 8..=15;

/// Where the machine's own interpreters are. `/usr/local` is where container images of
/// Python keep theirs.
const SYSTEM: [(&str, &str); 2] = [("/usr/bin", "system"), ("/usr/local/bin", "local")];

/// A version such as 3.11.7. Pre-releases and other builds ("3.13t") do not parse: what is
/// discovered are releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) minor: u32,
    patch: u32,
}

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.');
        let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next()?);
        if major != "3" || parts.next().is_some() {
            return None;
        }
        Some(Self { minor: minor.parse().ok()?, patch: patch.parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}.{}", self.minor, self.patch)
    }
}

/// An interpreter and how it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    pub(crate) version: Version,
    /// Tells apart two of one version: pyenv's has none.
    pub(crate) origin: Option<String>,
    pub(crate) program: PathBuf,
}

impl Interpreter {
    /// The version and where it is from: `3.11.7`, `3.9.2-bullseye`.
    pub(crate) fn label(&self) -> String {
        match &self.origin {
            Some(origin) => format!("{}-{origin}", self.version),
            None => self.version.to_string(),
        }
    }
}

/// What `PITVIPER_PYTHONS` tells the end-to-end tests: `label=program` joined by `;`.
pub(crate) fn describe(interpreters: &[Interpreter]) -> String {
    let entry = |each: &Interpreter| format!("{}={}", each.label(), each.program.display());
    interpreters.iter().map(entry).collect::<Vec<_>>().join(";")
}

/// How many minor versions there are among them.
pub(crate) fn minors(interpreters: &[Interpreter]) -> usize {
    let minors: std::collections::BTreeSet<u32> =
        interpreters.iter().map(|each| each.version.minor).collect();
    minors.len()
}

/// pyenv's interpreters and the machine's own, oldest first.
pub(crate) fn discover() -> Result<Vec<Interpreter>> {
    let mut found = match pyenv_root() {
        Some(root) => pyenv(&root)?,
        None => Vec::new(),
    };
    for (directory, origin) in SYSTEM {
        found.extend(system(Path::new(directory), origin));
    }
    found.sort_by_key(|each| each.version);
    Ok(found)
}

/// The newest interpreter, the machine's own before pyenv's of the same version.
pub(crate) fn newest() -> Result<Interpreter> {
    let all = discover()?;
    let newest = all.into_iter().max_by_key(|each| (each.version, each.origin.is_some()));
    newest.context("no Python 3.8 or newer found; `cargo xtask setup demo` installs one")
}

fn pyenv_root() -> Option<PathBuf> {
    let set = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = env::home_dir().map(|home| home.join(".pyenv"));
    let asked = || {
        let answer = process::output(Command::new("pyenv").arg("root")).ok()?;
        Some(PathBuf::from(answer.trim()))
    };
    [set, home].into_iter().flatten().find(|root| root.is_dir()).or_else(asked)
}

fn pyenv(root: &Path) -> Result<Vec<Interpreter>> {
    let versions = root.join("versions");
    if !versions.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    let entries = fs::read_dir(&versions);
    for entry in entries.with_context(|| format!("failed to list {}", versions.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let program = |version: Version| {
        versions.join(version.to_string()).join(format!("bin/python3.{}", version.minor))
    };
    let newest = newest_of_each_minor(names.iter().map(String::as_str));
    let interpreters = newest.into_iter().map(|version| Interpreter {
        version,
        origin: None,
        program: program(version),
    });
    Ok(interpreters.filter(|each| version_of(&mut Command::new(&each.program)).is_some()).collect())
}

fn newest_of_each_minor<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Version> {
    let mut newest = BTreeMap::<u32, Version>::new();
    for version in names.filter_map(Version::parse) {
        if SUPPORTED.contains(&version.minor) {
            let kept = newest.entry(version.minor).or_insert(version);
            *kept = (*kept).max(version);
        }
    }
    newest.into_values().collect()
}

fn system(directory: &Path, origin: &str) -> Vec<Interpreter> {
    let candidates = SUPPORTED.map(|minor| directory.join(format!("python3.{minor}")));
    let interpreter = |program: PathBuf| {
        let version = version_of(&mut Command::new(&program))?;
        Some(Interpreter { version, origin: Some(origin.to_owned()), program })
    };
    candidates.filter_map(interpreter).collect()
}

/// The version that an interpreter reports of itself, and if it is a pre-release, which (`rc2`);
/// `None` when it does not run.
pub(crate) fn version_with_pre_release(command: &mut Command) -> Option<(Version, Option<String>)> {
    let report = "import platform, sys; release = '.'.join(map(str, sys.version_info[:3])); \
                  print(release, platform.python_version()[len(release):])";
    let said = process::output(command.args(["-c", report])).ok()?;
    let (release, pre_release) = said.trim_end_matches('\n').split_once(' ')?;
    let pre_release = (!pre_release.is_empty()).then(|| pre_release.to_owned());
    Some((Version::parse(release)?, pre_release))
}

/// The version of a release; `None` when it is a pre-release or does not run.
pub(crate) fn version_of(command: &mut Command) -> Option<Version> {
    let (version, pre_release) = version_with_pre_release(command)?;
    pre_release.is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_patch_of_each_supported_minor_is_kept() {
        let names = ["3.11.7", "3.8.18", "3.11.10", "2.7.18", "3.7.16", "3.13t-dev", "pypy3.10"];
        let kept: Vec<String> =
            newest_of_each_minor(names.into_iter()).iter().map(Version::to_string).collect();
        assert_eq!(kept, ["3.8.18", "3.11.10"]);
    }

    #[test]
    fn pre_releases_are_no_versions() {
        assert_eq!(Version::parse("3.15.0a7"), None);
        assert_eq!(Version::parse("3.13"), None);
        assert_eq!(Version::parse("3.13.0\n"), Some(Version { minor: 13, patch: 0 }));
    }

    #[test]
    fn entries_carry_label_and_program() {
        let own = Interpreter {
            version: Version { minor: 11, patch: 2 },
            origin: Some("system".to_owned()),
            program: "/usr/bin/python3.11".into(),
        };
        let pyenv = Interpreter { origin: None, ..own.clone() };
        assert_eq!(
            describe(&[own.clone(), pyenv.clone()]),
            "3.11.2-system=/usr/bin/python3.11;3.11.2=/usr/bin/python3.11"
        );
        assert_eq!(minors(&[own, pyenv]), 1);
    }

    #[test]
    fn every_interpreter_found_reports_the_version_it_is_filed_under() {
        for each in discover().unwrap() {
            assert_eq!(version_of(&mut Command::new(&each.program)), Some(each.version));
        }
    }
}
