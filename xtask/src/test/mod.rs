//! `cargo xtask test`: the unit tests, then the end-to-end tests as root against every
//! interpreter at hand.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use self::tally::Tally;
use crate::cargo::Executable;
use crate::interpreters::{self, Interpreter, SUPPORTED};
use crate::privilege::Privilege;
use crate::setup::{self, Set};
use crate::{cargo, dist, roots, workspace};

mod tally;
mod turns;

/// Fewer minor versions than this are no test of the reading of interpreters; continuous
/// integration wants each one.
const ENOUGH_MINORS: usize = 5;

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out the end-to-end tests, which need root
    #[arg(long)]
    unit: bool,
    /// Leave out the unit tests
    #[arg(long, conflicts_with = "unit")]
    end_to_end: bool,
    /// Also run the interpreters of other Debian releases whose minor version is there already
    #[arg(long)]
    all_roots: bool,
    /// Run only the end-to-end tests whose name contains this
    filter: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Test])?;
    let mut tally = Tally::default();
    // In one go: packages built apart get other features of what they depend on, and all of that
    // is built again.
    let mut build = cargo::command();
    build.args(["test", "--workspace", "--no-run"]);
    if options.unit {
        build.args(["--exclude", "pitviper-tests"]);
    }
    let (end_to_end, unit) = cargo::executables(build)?
        .into_iter()
        .filter(|built| built.is_test)
        .partition(|test| test.package == workspace::root().join("tests"));
    if !options.end_to_end {
        unit_tests(unit, &mut tally)?;
    }
    let interpreters =
        if options.unit { Vec::new() } else { end_to_end_tests(end_to_end, options, &mut tally)? };
    if !interpreters.is_empty() {
        let labels: Vec<String> = interpreters.iter().map(Interpreter::label).collect();
        println!("\nPython versions: {}", labels.join(", "));
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if !tally.broken.is_empty() {
        bail!("failed: {}", tally.broken.join(", "));
    }
    Ok(())
}

fn unit_tests(tests: Vec<Executable>, tally: &mut Tally) -> Result<()> {
    for test in tests {
        eprintln!("     Running {}", test.program.display());
        tally.run(Command::new(test.program).current_dir(test.package))?;
    }
    // Those in the documentation, which cargo builds as it runs them.
    tally.run(cargo::command().args(["test", "--workspace", "--doc", "--no-fail-fast"]))
}

fn end_to_end_tests(
    tests: Vec<Executable>,
    options: &Options,
    tally: &mut Tally,
) -> Result<Vec<Interpreter>> {
    let privilege = Privilege::obtain(
        "load eBPF programs in the end-to-end tests",
        "cargo xtask test    (`cargo xtask test --unit` needs no root)",
    )
    .context("the end-to-end tests were not run")?;
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        bail!(
            "the end-to-end tests were not run: this kernel has no BTF (/sys/kernel/btf/vmlinux)"
        );
    }
    let interpreters = choose_interpreters(options)?;
    // Whoever picks tests waits for a release only if they need it: they make it themselves then.
    let (program, released) = match options.filter {
        None => {
            let made = dist::make()?;
            (made.program, Some(made.folder))
        }
        Some(_) => (cargo::build_pitviper()?, None),
    };

    let pythons = interpreters::describe(&interpreters);
    let before = tally.passed + tally.failed;
    let command = |test: &Executable| {
        let mut variables: Vec<(&str, &OsStr)> = vec![
            ("PITVIPER_BIN", program.as_os_str()),
            ("PITVIPER_PYTHONS", OsStr::new(&pythons)),
            ("RUST_BACKTRACE", OsStr::new("1")),
        ];
        variables.extend(released.as_deref().map(|folder| ("PITVIPER_DIST", folder.as_os_str())));
        let mut command = privilege.command_with(variables, &test.program);
        command.current_dir(&test.package).args(&options.filter);
        command
    };
    turns::run(tests, command, tally)?;
    if tally.passed + tally.failed == before {
        bail!("no end-to-end test ran");
    }
    Ok(interpreters)
}

fn choose_interpreters(options: &Options) -> Result<Vec<Interpreter>> {
    let mut interpreters = interpreters::discover()?;
    // The machine's own stay in front: tests that need an interpreter which can make virtual
    // environments take the first.
    if options.all_roots {
        interpreters.extend(roots::complete(&[])?);
    } else {
        interpreters.extend(roots::complete(&interpreters)?);
    }
    println!("Interpreters:");
    for each in &interpreters {
        println!("  {:<18} {}", each.label(), each.program.display());
    }
    let minors = interpreters::minors(&interpreters);
    if minors == 0 {
        bail!("no interpreter to test with");
    }
    let enough = if workspace::in_ci() { SUPPORTED.count() } else { ENOUGH_MINORS };
    if minors < enough {
        let shortage = format!("only {minors} minor versions of Python, {enough} are wanted");
        if workspace::in_ci() {
            bail!("{shortage}");
        }
        eprintln!("Note: {shortage}; the tests run with these.");
    }
    Ok(interpreters)
}
