//! `cargo xtask setup`: installs what is missing, having said what and why.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum as _;

mod needs;

pub(crate) use needs::Set;

use crate::privilege::Privilege;
use crate::process;

/// Options of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// For which purposes [default: all]
    sets: Vec<Set>,
    /// Only say what is missing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let sets = if options.sets.is_empty() { Set::value_variants() } else { &options.sets };
    if options.dry_run {
        let missing = needs::missing(sets, needs::is_present);
        say(&missing);
        if missing.is_empty() {
            println!("Nothing is missing.");
        }
        return Ok(());
    }
    ensure(sets)?;
    println!("Everything is there.");
    Ok(())
}

/// Installs what the sets need and the machine lacks. Silent when nothing is missing.
pub(crate) fn ensure(sets: &[Set]) -> Result<()> {
    let missing = needs::missing(sets, needs::is_present);
    if missing.is_empty() {
        return Ok(());
    }
    say(&missing);
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if process::find_program("apt-get").is_none() {
        bail!(
            "this machine has no apt-get; install what Debian calls {}, then run this again",
            packages.join(" ")
        );
    }
    install(&packages)?;

    let still = needs::missing(sets, needs::is_present);
    if let Some(need) = still.first() {
        bail!("{:?} is still not found after installing {}", need.probe, need.package);
    }
    Ok(())
}

/// Installs Debian packages by name, those that are not there. `why` completes "needed to …".
pub(crate) fn ensure_packages(packages: &[&str], why: &str) -> Result<()> {
    let mut missing: Vec<&str> = packages.to_vec();
    missing.retain(|package| process::find_program(package).is_none() && !is_installed(package));
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Missing: {}, needed to {why}.", missing.join(", "));
    if process::find_program("apt-get").is_none() {
        bail!("this machine has no apt-get; install {}, then run this again", missing.join(" "));
    }
    install(&missing)
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    let status = process::output(query.args(["-W", "-f", "${db:Status-Status}", package]));
    status.is_ok_and(|status| status == "installed")
}

fn say(missing: &[&needs::Need]) {
    for need in missing {
        eprintln!(
            "Missing: {} (package {}), needed to {}.",
            name(need.probe),
            need.package,
            need.why
        );
    }
}

fn name(probe: needs::Probe) -> String {
    match probe {
        needs::Probe::Program(name) => name.to_owned(),
        needs::Probe::Header(name) => format!("<{name}>"),
        needs::Probe::Module(name) => format!("Python's module {name}"),
        needs::Probe::File(path) => path.to_owned(),
    }
}

fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get update && apt-get install {}", packages.join(" "));
    let privilege = Privilege::obtain("install packages", &by_hand)?;
    eprintln!("Installing: {}", packages.join(" "));
    // A machine that was just set up has no package lists; one that has been up for long
    // has lists that name versions the mirror no longer holds.
    if has_package_lists() && process::status(&mut apt_install(privilege, packages))?.success() {
        return Ok(());
    }
    process::run(privilege.command("apt-get").args(["update", "-q"]))?;
    process::run(&mut apt_install(privilege, packages))
}

fn apt_install(privilege: Privilege, packages: &[&str]) -> Command {
    let frontend = ("DEBIAN_FRONTEND", "noninteractive".as_ref());
    let mut command = privilege.command_with([frontend], "apt-get");
    command.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    command
}

fn has_package_lists() -> bool {
    let Ok(lists) = fs::read_dir("/var/lib/apt/lists") else { return false };
    lists.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}
