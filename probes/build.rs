//! Builds the BPF objects with clang and generates their typed skeletons.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use libbpf_cargo::SkeletonBuilder;

fn build(name: &str, architecture: &OsStr, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // The type information names the sources: not by where this checkout happens to be.
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let sources = format!("-ffile-prefix-map={here}=probes");
    SkeletonBuilder::new()
        .source(format!("src/{name}.bpf.c"))
        .obj(out.join(format!("{name}.bpf.o")))
        .clang_args([
            OsStr::new("-mcpu=v3"),
            OsStr::new("-Wall"),
            OsStr::new("-Wextra"),
            OsStr::new("-Werror"),
            // BPF_PROG of libbpf hands each program a context that few of them use.
            OsStr::new("-Wno-unused-parameter"),
            architecture,
            sources.as_ref(),
        ])
        .build_and_generate(out.join(format!("{name}.skel.rs")))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let architecture = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "-D__TARGET_ARCH_x86",
        "aarch64" => "-D__TARGET_ARCH_arm64",
        other => return Err(format!("no probes for {other}: x86_64 and aarch64 have them").into()),
    };
    println!("cargo:rerun-if-changed=src");
    build("pitviper", architecture.as_ref(), &out)?;
    build("empty", architecture.as_ref(), &out)
}
