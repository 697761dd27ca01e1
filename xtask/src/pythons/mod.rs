//! `cargo xtask pythons`: every interpreter that can be had, each with the stacks that pitviper
//! walks in it held against its own, and what the walk costs, as a table in the README. What is found
//! in a program has to be the same on each.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bench::OpenCloseInKernel;
use crate::interpreters::{self, Interpreter};
use crate::privilege::Privilege;
use crate::setup::{self, Set};
use crate::{cargo, roots, workspace};

mod source;
mod source_build;
mod table;

/// What has to hold on every interpreter: tests, and which part of each.
const TESTS: [(&str, &str); 5] = [
    ("stack_equality", ""),
    ("fd_leak", "same_leak"),
    ("growing_memory", ""),
    ("unclosed_resource", ""),
    ("subinterpreters", ""),
];

/// Rounds of the cost, of which the median is shown.
const ROUNDS: usize = 5;

/// Options of `cargo xtask pythons`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only those whose label contains this; the README stays as it is
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Fetch and build, and list what there is
    #[arg(long)]
    list: bool,
}

/// What was seen of one interpreter.
struct Row {
    label: String,
    build: String,
    /// As the test says it: calls compared, stacks whole, …
    outline: Outline,
    /// Nanoseconds in the kernel for an open and a close, 16 frames deep.
    cost: f64,
}

/// How the stacks of one interpreter compared.
#[derive(Debug, PartialEq)]
struct Outline {
    compared: u64,
    whole: u64,
    too_deep: u64,
    wrong: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Test, Set::Bench, Set::Roots, Set::Pythons])?;
    let privilege = Privilege::obtain("load eBPF programs", "cargo xtask pythons")?;
    let mut all = interpreters::discover()?;
    all.extend(roots::complete(&[])?);
    all.extend(source_build::all()?);
    all.sort_by_key(|each| each.version);
    if let Some(text) = &options.only {
        all.retain(|each| each.label().contains(text.as_str()));
    }
    for each in &all {
        println!("  {:<24} {}", each.label(), each.program.display());
    }
    if all.is_empty() {
        bail!("no interpreter has such a label");
    }
    if options.list {
        return Ok(());
    }
    let outlines = compare(privilege, &all)?;
    let mut costs = OpenCloseInKernel::prepare(privilege)?;
    let mut rows = Vec::new();
    for (each, outline) in all.iter().zip(outlines) {
        eprintln!("{}: what a walk costs", each.label());
        let outline = outline.with_context(|| format!("{} was not compared", each.label()))?;
        let build = source_build::description(each)?;
        rows.push(Row { label: each.label(), build, outline, cost: costs.of(each, ROUNDS)? });
    }
    print!("\n{}", table::text(&rows));
    if options.only.is_none() {
        table::write(&workspace::root().join("README.md"), &rows)?;
    }
    let wrong: Vec<&str> =
        rows.iter().filter(|row| row.outline.wrong > 0).map(|row| row.label.as_str()).collect();
    if !wrong.is_empty() {
        bail!("stacks are wrong in {}", wrong.join(", "));
    }
    Ok(())
}

/// Runs the tests of [`TESTS`]; what the first, which compares each stack of each interpreter with its
/// own, said of each.
fn compare(privilege: Privilege, all: &[Interpreter]) -> Result<Vec<Option<Outline>>> {
    let program = cargo::build_pitviper()?;
    let mut build = cargo::command();
    build.args(["test", "--package", "pitviper-tests", "--no-run"]);
    build.args(TESTS.iter().flat_map(|(test, _)| ["--test", test]));
    let tests = cargo::executables(build)?;
    let pythons = interpreters::describe(all);
    let variables = [("PITVIPER_BIN", program.as_os_str()), ("PITVIPER_PYTHONS", pythons.as_ref())];
    let mut outlines = None;
    for (name, filter) in TESTS {
        let test = tests.iter().find(|built| built.is_test && built.is_called(name));
        let test = test.with_context(|| format!("cargo built no test {name}"))?;
        let mut command: Command = privilege.command_with(variables, &test.program);
        command.current_dir(&test.package).args(["--nocapture", "--test-threads=1", filter]);
        let output = command.output().context("failed to start the test")?;
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        print!("{text}");
        if !output.status.success() {
            bail!("the test {name} failed: {}", output.status);
        }
        outlines.get_or_insert_with(|| {
            all.iter().map(|each| outline(&text, &each.label())).collect::<Vec<_>>()
        });
    }
    outlines.context("there are no tests")
}

/// What the test said of this interpreter.
fn outline(text: &str, label: &str) -> Option<Outline> {
    let mut said = text.lines().filter_map(|line| line.strip_prefix(label)?.strip_prefix(": "));
    said.find_map(|line| {
        let number = |unit: &str| {
            let part = line.split(", ").find_map(|part| part.strip_suffix(unit))?;
            part.parse().ok()
        };
        Some(Outline {
            compared: number(" calls compared")?,
            whole: number(" stacks whole")?,
            too_deep: number(" too deep")?,
            wrong: number(" wrong")?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_test_says_is_understood() {
        let text = "noise\n3.15.2-sid: 20000 calls of compiled code compared\n\
                    3.15.2-sid: 16287 calls compared, 16267 stacks whole, 20 too deep, \
                    0 wrong, incomplete {}, 0 uneven\n";
        let seen = Outline { compared: 16287, whole: 16267, too_deep: 20, wrong: 0 };
        assert_eq!(outline(text, "3.15.2-sid"), Some(seen));
        assert_eq!(outline(text, "3.15.2"), None);
    }
}
