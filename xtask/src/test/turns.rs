//! Which end-to-end tests run beside each other.
//!
//! Most of their time is waiting: for a leak of six a minute, for a scrape, for nothing to be found.
//! Those that measure time, or load the machine, have it to themselves.

use std::collections::VecDeque;
use std::io::Read as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::{io, thread};

use anyhow::{Context as _, Result};

use super::tally::Tally;
use crate::cargo::Executable;
use crate::process;

/// Tests that run beside those of the other rows. In a row they take turns: a host has one agent.
/// The longest are first, so that both sides end at about the same time.
const BESIDE: &[&[&str]] = &[
    &[
        "dashboards",
        "deployment",
        "web_page",
        "agent_command",
        "push",
        "agent_fleet",
        "web_security",
    ],
    &["native_frames"],
    &["fd_leak"],
    &["no_false_leak"],
    &["follow_children"],
    &["unseen_version"],
    &["unclosed_resource"],
    &["second_loader"],
    &["metrics"],
    &["bad_input"],
    &["flame_graph"],
    &["descriptor_table"],
    &["record_what"],
    &["trace_what"],
    &["subinterpreters"],
    &["embedded"],
    &["growing_memory"],
    &["places"],
    &["bundles"],
];
/// As many as a small machine has processors.
const AT_ONCE: usize = 2;

/// Runs all of `tests`, each by `command`.
pub(super) fn run(
    tests: Vec<Executable>,
    command: impl Fn(&Executable) -> Command + Sync,
    tally: &mut Tally,
) -> Result<()> {
    let (alone, rows) = split(tests);
    for test in alone {
        eprintln!("     Running {}", test.program.display());
        tally.run(&mut command(&test))?;
    }
    let rows = Mutex::new(rows);
    let tally = Mutex::new(tally);
    let side = || -> Result<()> {
        loop {
            let row = rows.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(row) = row else { return Ok(()) };
            for test in row {
                eprintln!("     Running {} beside another", test.program.display());
                let mut command = command(&test);
                let name = process::display(&command);
                let (written, status) =
                    output(&mut command).with_context(|| format!("failed to run `{name}`"))?;
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                println!("\n     Ended {}", test.program.display());
                tally.ran(name, &written, status);
            }
        }
    };
    thread::scope(|scope| {
        let sides: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(side)).collect();
        sides.into_iter().try_for_each(|side| match side.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Those that run alone, in their order, and the rows of the others that are there.
fn split(tests: Vec<Executable>) -> (Vec<Executable>, VecDeque<Vec<Executable>>) {
    let mut alone = tests;
    let mut take = |name: &&str| {
        let place = alone.iter().position(|test| test.is_called(name))?;
        Some(alone.remove(place))
    };
    let rows: Vec<Vec<_>> =
        BESIDE.iter().map(|row| row.iter().filter_map(&mut take).collect()).collect();
    (alone, rows.into_iter().filter(|row| !row.is_empty()).collect())
}

/// All that a command writes, its errors where they came.
fn output(command: &mut Command) -> Result<(String, ExitStatus)> {
    let (mut reader, writer) = io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // The command holds the other end of the pipe, too, and its end would never be seen.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut written = Vec::new();
    reader.read_to_end(&mut written)?;
    Ok((String::from_utf8_lossy(&written).into_owned(), child.wait()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(names: &[&str]) -> Vec<Executable> {
        let test = |name: &&str| Executable {
            program: format!("/t/{name}-0a1b").into(),
            package: "/w/tests".into(),
            is_test: true,
        };
        names.iter().map(test).collect()
    }

    #[test]
    fn a_test_that_no_row_names_runs_alone() {
        let (alone, rows) = split(tests(&["fd_leak", "precision", "push", "new", "dashboards"]));
        assert_eq!(alone, tests(&["precision", "new"]));
        assert_eq!(rows, [tests(&["dashboards", "push"]), tests(&["fd_leak"])]);
    }

    #[test]
    fn every_name_in_a_row_is_a_tests() {
        let folder = crate::workspace::root().join("tests/tests");
        for name in BESIDE.iter().flat_map(|row| *row) {
            assert!(folder.join(format!("{name}.rs")).exists(), "{name}");
        }
    }

    #[test]
    fn both_streams_are_kept_and_the_status() {
        let mut command = Command::new("sh");
        let (written, status) = output(command.args(["-c", "echo a; echo b >&2; exit 3"])).unwrap();
        assert_eq!((written.as_str(), status.code()), ("a\nb\n", Some(3)));
    }

    #[test]
    fn all_are_run_once_and_all_failures_told() {
        let mut tally = Tally::default();
        let command = |test: &Executable| {
            let mut command = Command::new("sh");
            let script = "echo 'test result: ok. 1 passed; 0 failed'; test $0 != /t/push-0a1b";
            command.args(["-c", script]).arg(&test.program);
            command
        };
        run(tests(&["fd_leak", "precision", "push", "metrics"]), command, &mut tally).unwrap();
        assert_eq!((tally.passed, tally.broken.len()), (4, 1));
    }
}
