//! The sources of CPython that Debian's mirrors have: that of a release's package, or a file that is
//! known by its checksum.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::{self, Apt};

/// The source of one feature release.
pub(super) struct Source {
    /// The minor version of Python 3.
    pub(super) minor: u32,
    /// The Debian release whose package it is.
    release: &'static str,
    /// For when the mirror lacks that: releases that move on leave files behind, and some mirrors
    /// keep the old ones and do not have the new ones yet.
    otherwise: Option<Archive>,
}

struct Archive {
    /// Its path below the mirror's address.
    path: &'static str,
    sha256: &'static str,
}

/// Of a release that does not move.
pub(super) const V3_13: Source = Source { minor: 13, release: "trixie", otherwise: None };

pub(super) const V3_14: Source = Source {
    minor: 14,
    release: "sid",
    otherwise: Some(Archive {
        path: "pool/main/p/python3.14/python3.14_3.14.7.orig.tar.xz",
        sha256: "3b48dac8fb59f62eaa67ac83c1eb12bda1b7a08406dd286e252c11a66be27f81",
    }),
};

pub(super) const V3_15: Source = Source {
    minor: 15,
    release: "sid",
    otherwise: Some(Archive {
        path: "pool/main/p/python3.15/python3.15_3.15.0~rc2.orig.tar.xz",
        sha256: "8d93af5eaaaea5adfd41bd786a7ba3f03f2ad1ab57c6a65e0b963deab91d5ad7",
    }),
};

impl Source {
    /// The archive, which is fetched once into a folder beside those of other sources.
    pub(super) fn archive(&self, folder: &Path) -> Result<PathBuf> {
        const ENDING: &str = ".orig.tar.xz";
        let Self { minor, release, otherwise } = self;
        let package = format!("python3.{minor}");
        let folder = folder.join("apt").join(&package);
        if let Some(archive) = apt::fetched(&folder, ENDING) {
            return Ok(archive);
        }
        eprintln!("Fetching the source of {package} of Debian {release} (once).");
        let apt = Apt::of(folder.clone(), "deb-src", &[release])?;
        let fetched =
            apt.say("apt-get", &["source", "-qq", "--download-only", "--tar-only", &package]);
        match (fetched, otherwise) {
            (Ok(_), _) => {}
            (Err(error), None) => return Err(error),
            (Err(error), Some(Archive { path, sha256 })) => {
                eprintln!("The mirror lacks it ({error:#}); fetching {path} instead.");
                apt.file(path, sha256)?;
            }
        }
        apt::fetched(&folder, ENDING).context("apt fetched no source")
    }
}
