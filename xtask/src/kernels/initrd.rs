//! The guest's only file system: busybox, the program, a Python and its standard library, and the
//! program that leaks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{interpreters, process};

/// What the guest does: it tells by lines on its console what it sees.
const INIT: &str = r#"#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tracefs tracing /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t devtmpfs dev /dev
pitviper doctor
echo "guest: doctor $?"
"$(cat /python)" /leak.py &
program=$!
sleep 5
pitviper attach --json=document --duration 25s $program > /tmp/report
echo "guest: attach $?"
echo "guest: report $(tr -d '\n' < /tmp/report)"
echo o > /proc/sysrq-trigger
sleep 60
"#;

/// Opens a file of each sort once and keeps it, closes another, starts a program, twenty times a
/// second.
const LEAK: &str = r#"import subprocess, time

kept = []


def leaky(path):
    kept.append(open(path))


while True:
    leaky("/python")
    with open("/python") as file:
        file.read()
    subprocess.run(["/bin/true"])
    time.sleep(0.05)
"#;

/// The line of the leak in it.
pub(super) const LEAK_LINE: u64 = 7;

/// Programs of busybox that the guest calls.
const APPLETS: [&str; 8] = ["sh", "mount", "sleep", "cat", "echo", "tr", "true", "uname"];

/// Writes the archive; its path.
pub(super) fn write(folder: &Path, program: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).context("failed to remove an earlier root")?;
    }
    for name in ["bin", "proc", "sys", "run", "tmp", "dev"] {
        fs::create_dir_all(root.join(name)).context("failed to make the guest's root")?;
    }
    let busybox = process::find_program("busybox").context("busybox is gone")?;
    copy(&busybox, &root.join("bin/busybox"))?;
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))
            .with_context(|| format!("failed to make a link for {applet}"))?;
    }
    // Without its symbols and line tables, which fill the guest's memory.
    process::run(Command::new("strip").arg("-o").arg(root.join("bin/pitviper")).arg(program))?;
    libraries(program, &root)?;
    python(&root)?;
    fs::write(root.join("leak.py"), LEAK).context("failed to write the guest's program")?;
    fs::write(root.join("init"), INIT).context("failed to write the guest's init")?;
    process::run(Command::new("chmod").arg("755").arg(root.join("init")))?;
    let archive = folder.join("initrd");
    let mut pack = Command::new("sh");
    pack.current_dir(&root).args(["-c", "find . | cpio --quiet -o -H newc | gzip -1 > \"$0\""]);
    process::run(pack.arg(&archive))?;
    Ok(archive)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).context("failed to make a folder for the guest")?;
    }
    fs::copy(from, to).with_context(|| format!("failed to copy {}", from.display()))?;
    Ok(())
}

/// The shared libraries of a program, each where it is here.
fn libraries(program: &Path, root: &Path) -> Result<()> {
    let said = process::output(Command::new("ldd").arg(program))?;
    let is_path = |word: &&str| word.starts_with('/');
    for library in said.split_whitespace().filter(is_path) {
        copy(Path::new(library), &root.join(library.trim_start_matches('/')))?;
    }
    Ok(())
}

/// The newest of this machine's interpreters, with its standard library where it is here.
fn python(root: &Path) -> Result<()> {
    let all = interpreters::discover()?;
    let newest =
        all.iter().max_by_key(|each| each.version).context("this machine has no Python")?;
    let asks = "import sys, sysconfig; print(sys.executable); \
                print(sysconfig.get_path('stdlib')); print(sysconfig.get_config_var('LIBDIR'))";
    let said = process::output(Command::new(&newest.program).args(["-c", asks]))?;
    let mut lines = said.lines();
    let executable = fs::canonicalize(lines.next().context("the interpreter is nowhere")?)?;
    let library = Path::new(lines.next().context("the interpreter has no library")?);
    let place = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    copy(&executable, &place(&executable))?;
    libraries(&executable, root)?;
    fs::create_dir_all(place(library)).context("failed to make a folder for the guest")?;
    let mut pack = Command::new("sh");
    pack.current_dir(library).args([
        "-c",
        "tar c --exclude=test --exclude=site-packages --exclude=dist-packages --exclude=idlelib \
         --exclude=__pycache__ --exclude='config-*' --exclude=ensurepip . | tar x -C \"$0\"",
    ]);
    process::run(pack.arg(place(library)))?;
    fs::write(root.join("python"), executable.as_os_str().as_encoded_bytes())
        .context("failed to write the interpreter's path")
}
