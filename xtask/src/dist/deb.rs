//! The Debian package: the program, the agent's unit and its configuration, manual pages and
//! completions. Built by dpkg-deb from the files in `deploy/debian`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Release, stage};
use crate::{process, workspace};

/// Where each shell of Debian looks.
const COMPLETION_FOLDERS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions"),
    ("zsh", "usr/share/zsh/vendor-completions"),
    ("fish", "usr/share/fish/vendor_completions.d"),
];

const CONFIG: &str = "etc/pitviper/agent.toml";

pub(super) fn make(release: &Release) -> Result<PathBuf> {
    let root = stage::folder("deb")?;
    let architecture = process::output(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    files(release, &root)?;
    documents(release, &root)?;
    control(release, &root, architecture)?;

    let name = format!("pitviper_{}-1_{architecture}.deb", release.version);
    let made = release.output.join(name);
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--root-owner-group", "--uniform-compression", "-Zxz", "--build"])
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .arg(&root)
        .arg(&made);
    // It says what it does on standard output, which is for what was made.
    process::output(&mut build)?;
    Ok(made)
}

fn files(release: &Release, root: &Path) -> Result<()> {
    stage::copy(&release.program, &root.join("usr/bin/pitviper"), 0o755)?;
    let unit = workspace::root().join("deploy/systemd/pitviper.service");
    stage::copy(&unit, &root.join("usr/lib/systemd/system/pitviper.service"), 0o644)?;
    let config = stage::printed(release, &["agent", "--print-config"])?;
    stage::write(&root.join(CONFIG), config, 0o644)?;
    for page in stage::manual(release, &root.join("usr/share/man/man1"))? {
        compress(&page)?;
    }
    for ((shell, file), (_, folder)) in stage::COMPLETIONS.iter().zip(COMPLETION_FOLDERS) {
        let script = stage::printed(release, &["completions", shell])?;
        stage::write(&root.join(folder).join(file), script, 0o644)?;
    }
    Ok(())
}

fn documents(release: &Release, root: &Path) -> Result<()> {
    let source = workspace::root();
    let read = |path: &str| {
        fs::read_to_string(source.join(path)).with_context(|| format!("failed to read {path}"))
    };
    let documents = root.join("usr/share/doc/pitviper");
    let licence: String = read("LICENSE-MIT")?.lines().map(paragraph_line).collect();
    let copyright = read("deploy/debian/copyright")?.replace("@LICENSE-MIT@\n", &licence);
    stage::write(&documents.join("copyright"), copyright, 0o644)?;
    stage::copy(&source.join("NOTICE"), &documents.join("NOTICE"), 0o644)?;
    let before = source.join("deploy/systemd/before-linux-6.10.conf");
    stage::copy(&before, &documents.join("examples/before-linux-6.10.conf"), 0o644)?;
    stage::copy(&source.join("docs/deployment.md"), &documents.join("deployment.md"), 0o644)?;
    for (name, text) in [("changelog", read("CHANGELOG.md")?), ("changelog.Debian", log(release)?)]
    {
        let path = documents.join(name);
        stage::write(&path, text, 0o644)?;
        compress(&path)?;
    }
    let overrides = source.join("deploy/debian/lintian-overrides");
    stage::copy(&overrides, &root.join("usr/share/lintian/overrides/pitviper"), 0o644)
}

/// A line of a text that stands in a control file's field.
fn paragraph_line(line: &str) -> String {
    if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") }
}

/// The package's own history is the project's.
fn log(release: &Release) -> Result<String> {
    let mut date = Command::new("date");
    date.env("LC_ALL", "C")
        .args(["--utc", "--rfc-email"])
        .arg(format!("--date=@{}", release.epoch));
    let (version, date) = (&release.version, process::output(&mut date)?);
    Ok(format!(
        "pitviper ({version}-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n \
         -- The pitviper authors <pitviper@packages.invalid>  {}\n",
        date.trim()
    ))
}

fn control(release: &Release, root: &Path, architecture: &str) -> Result<()> {
    let source = workspace::root().join("deploy/debian");
    let inside = root.join("DEBIAN");
    let kibibytes = size(root)?.div_ceil(1024);
    let control = fs::read_to_string(source.join("control")).context("failed to read control")?;
    let control = control
        .replace("@VERSION@", &format!("{}-1", release.version))
        .replace("@ARCHITECTURE@", architecture)
        .replace("@SIZE@", &kibibytes.to_string());
    stage::write(&inside.join("md5sums"), sums(root)?, 0o644)?;
    stage::write(&inside.join("control"), control, 0o644)?;
    stage::write(&inside.join("conffiles"), format!("/{CONFIG}\n"), 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        stage::copy(&source.join(script), &inside.join(script), 0o755)?;
    }
    // The directories' modes are this program's umask's.
    process::run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(root))
}

/// The sums by which `dpkg --verify` checks what is installed.
fn sums(root: &Path) -> Result<String> {
    let mut command = Command::new("sh");
    command
        .current_dir(root)
        .env("LC_ALL", "C")
        .args(["-c", "find etc usr -type f -print0 | sort -z | xargs -0 md5sum"]);
    process::output(&mut command)
}

/// Bytes of all files below a directory.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).context("failed to list the package's files")? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}

fn compress(file: &Path) -> Result<()> {
    process::run(Command::new("gzip").args(["--no-name", "--best", "--force"]).arg(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_of_a_paragraph_has_a_dot() {
        let text: String = "MIT\n\nHereby".lines().map(paragraph_line).collect();
        assert_eq!(text, " MIT\n .\n Hereby\n");
    }
}
