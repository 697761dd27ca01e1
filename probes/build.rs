//! Builds the BPF object with clang and generates its typed skeleton.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use libbpf_cargo::SkeletonBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let architecture = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => return Err(format!("no probes for {other}: x86_64 and aarch64 have them").into()),
    };
    println!("cargo:rerun-if-changed=src");
    SkeletonBuilder::new()
        .source("src/pitviper.bpf.c")
        .obj(out.join("pitviper.bpf.o"))
        .clang_args([
            OsStr::new("-mcpu=v3"),
            OsStr::new("-Wall"),
            OsStr::new("-Wextra"),
            OsStr::new("-Werror"),
            // BPF_PROG of libbpf hands each program a context that few of them use.
            OsStr::new("-Wno-unused-parameter"),
            OsStr::new(&format!("-D__TARGET_ARCH_{architecture}")),
        ])
        .build_and_generate(out.join("pitviper.skel.rs"))?;
    Ok(())
}
