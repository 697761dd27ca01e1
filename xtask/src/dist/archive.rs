//! `pitviper-VERSION-linux-MACHINE.tar.gz`: the program with all that goes with it, for any system.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Release, stage};
use crate::{process, workspace};

pub(super) fn make(release: &Release) -> Result<PathBuf> {
    let name = format!("pitviper-{}-linux-{}", release.version, release.machine);
    let stage = stage::folder("archive")?;
    let inside = stage.join(&name);
    stage::copy(&release.program, &inside.join("pitviper"), 0o755)?;
    stage::manual(release, &inside.join("man/man1"))?;
    for (shell, file) in stage::COMPLETIONS {
        let script = stage::printed(release, &["completions", shell])?;
        stage::write(&inside.join("completions").join(file), script, 0o644)?;
    }
    let root = workspace::root();
    for licence in stage::LICENCES {
        stage::copy(&root.join(licence), &inside.join(licence), 0o644)?;
    }
    for (from, to) in [
        ("README.md", "README.md"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("docs/deployment.md", "deployment.md"),
        ("deploy/systemd/pitviper.service", "systemd/pitviper.service"),
        ("deploy/systemd/before-linux-6.10.conf", "systemd/before-linux-6.10.conf"),
    ] {
        stage::copy(&root.join(from), &inside.join(to), 0o644)?;
    }
    let config = stage::printed(release, &["agent", "--print-config"])?;
    stage::write(&inside.join("agent.toml"), config, 0o644)?;

    let made = release.output.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mode=go=rX,u+rw,a-s", "--use-compress-program=gzip --no-name --best"])
        .arg(format!("--mtime=@{}", release.epoch))
        .arg("--file")
        .arg(&made)
        .arg("--directory")
        .arg(&stage)
        .arg(&name);
    process::run(&mut tar)?;
    Ok(made)
}
