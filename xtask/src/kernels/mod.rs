//! `cargo xtask kernels`: pitviper on other kernels than this machine's, each booted in QEMU with a
//! Python program that leaks. The verifiers of older kernels refuse what newer ones take, and the
//! other way round, and no test on one kernel shows it.

use anyhow::{Result, bail};

use crate::setup::{self, Set};
use crate::{cargo, interrupt, workspace};

mod archive;
mod guest;
mod initrd;

use archive::Kernel;
use guest::Seen;

/// Options of `cargo xtask kernels`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only kernels whose version, or whose Debian release, begins with this [default: all of the
    /// table]
    #[arg(value_name = "VERSION")]
    only: Option<String>,
}

/// Debian's kernels, the oldest first: its release, how the versions begin that are taken, of which
/// the newest is booted (empty: any), and QEMU's processor.
///
/// As QEMU 7.2 emulates the instruction that compares and swaps sixteen bytes, Linux 6.12 dies of a
/// double fault in its allocator every second time; without it, 7.3 has no memory for what eBPF
/// programs allocate.
const KERNELS: [(&str, &str, &str); 4] = [
    ("bookworm", "6.1.", "max"),
    ("trixie", "6.12.", "max,cx16=off"),
    ("trixie-backports", "6.16.", "max"),
    ("trixie-backports", "", "max"),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let only = options.only.as_deref().unwrap_or_default();
    let mut chosen = KERNELS.to_vec();
    chosen.retain(|(release, version, _)| version.starts_with(only) || release.starts_with(only));
    if chosen.is_empty() {
        bail!("the table has no kernel that begins with that: {KERNELS:?}");
    }
    setup::ensure(&[Set::Build, Set::Kernels, Set::Test])?;
    let program = cargo::build_pitviper()?;
    let folder = workspace::target().join("kernels");
    let initrd = initrd::write(&folder, &program)?;
    let mut bad = Vec::new();
    println!("{:<34} {:>6}  {:<28} events lost", "Linux", "doctor", "finding");
    for (release, version, processor) in chosen {
        let Kernel { version, image } = archive::kernel(&folder, release, version)?;
        eprintln!("Booting Linux {version} in QEMU (a minute or two).");
        let console = folder.join(format!("console-{version}.log"));
        match guest::run(&image, processor, &initrd, &console) {
            Ok(seen) => {
                let Seen { doctor, finding, lost } = &seen;
                println!("{version:<34} {doctor:>6}  {finding:<28} {lost}");
                if !seen.is_right() {
                    bad.push(version);
                }
            }
            Err(error) => {
                interrupt::check()?;
                println!("{version:<34} {error:#}");
                bad.push(version);
            }
        }
    }
    if !bad.is_empty() {
        let folder = folder.display();
        bail!("not right on Linux {}; what the guests said is in {folder}", bad.join(", "));
    }
    Ok(())
}
