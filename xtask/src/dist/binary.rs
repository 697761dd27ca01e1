//! The program that is released: static, so that it runs on any distribution, in an empty container
//! and in a virtual environment, whatever libc is there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cargo;
use crate::{process, workspace};

/// Builds it.
pub(super) fn build(epoch: u64) -> Result<PathBuf> {
    eprintln!("Building pitviper (static).");
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let arguments = ["build", "--package", "pitviper", "--release", "--features", "static"];
    let mut command = cargo::command();
    command
        .args(arguments)
        // Named, so that the flags are the program's and not those of build scripts.
        .args(["--target", &target])
        // Variables and no profile: one would build the build scripts again, too.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\u{1f}"))
        .env("LIBBPF_SYS_LIBRARY_PATH", static_libraries()?)
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    cargo::one_executable(command)
}

/// Static, and without this machine's paths: those show in messages of panics.
fn flags() -> Result<Vec<String>> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
    };
    let registry = cargo_home.join("registry/src");
    let shortened =
        |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    Ok(vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        shortened(workspace::root(), "pitviper"),
        shortened(&registry, "registry"),
    ])
}

/// The directory in which the C compiler has libelf and zlib: rustc does not look there by itself.
fn static_libraries() -> Result<String> {
    let found = process::output(Command::new("cc").arg("-print-file-name=libelf.a"))?;
    match Path::new(found.trim()).parent() {
        // Without one, the compiler gives the bare name back.
        Some(folder) if folder.is_absolute() => Ok(folder.display().to_string()),
        _ => bail!("there is no static libelf (libelf.a); Debian's libelf-dev has one"),
    }
}

/// Refuses what would not run elsewhere.
pub(super) fn check(program: &Path) -> Result<()> {
    let bytes =
        std::fs::read(program).with_context(|| format!("failed to read {}", program.display()))?;
    if !is_static(&bytes) {
        bail!("{} is no static program: it asks for a dynamic linker", program.display());
    }
    process::run(Command::new(program).arg("--version"))
}

/// Whether an ELF file of 64 bits, little-endian, asks for no interpreter (`PT_INTERP`).
fn is_static(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, width: usize| -> Option<usize> {
        let bytes = elf.get(at..at.checked_add(width)?)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let headers = || {
        // e_phoff, e_phentsize and e_phnum of elf(5).
        let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|i| number(start + i * size, 4)).collect::<Option<Vec<_>>>()
    };
    elf.starts_with(b"\x7fELF\x02\x01")
        && headers().is_some_and(|types| !types.contains(&(PT_INTERP as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_dynamic_and_text_is_no_program() {
        let own = std::fs::read(env::current_exe().unwrap()).unwrap();
        assert!(!is_static(&own));
        assert!(!is_static(b"#!/bin/sh"));
        assert!(!is_static(b"\x7fELF\x02\x01"));
    }
}
