//! What the test programs report, added up.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use crate::process;

/// The sum over all programs.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// The commands that did not end well, a build that failed among them.
    pub(super) broken: Vec<String>,
}

impl Tally {
    /// Runs a command and shows what it writes, counting results on the way.
    pub(super) fn run(&mut self, command: &mut Command) -> Result<()> {
        let name = process::display(command);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start `{name}`"))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line.with_context(|| format!("failed to read from `{name}`"))?;
                self.count(&line);
                println!("{line}");
            }
        }
        let status = child.wait().with_context(|| format!("failed to wait for `{name}`"))?;
        self.end(name, status);
        Ok(())
    }

    /// The same for one that has ended: it ran beside another, and both would have written at once.
    pub(super) fn ran(&mut self, name: String, written: &str, status: ExitStatus) {
        for line in written.lines() {
            self.count(line);
            println!("{line}");
        }
        self.end(name, status);
    }

    fn end(&mut self, name: String, status: ExitStatus) {
        if !status.success() {
            self.broken.push(format!("`{name}` ({status})"));
        }
    }

    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split(['.', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn results_add_up() {
        let mut tally = Tally::default();
        tally.count("running 3 tests");
        tally.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s");
        tally.count("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s");
        assert_eq!((tally.passed, tally.failed), (15, 2));
    }

    #[test]
    fn a_failing_command_is_remembered_and_its_results_kept() {
        let mut tally = Tally::default();
        let script = "echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 101";
        tally.run(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!((tally.passed, tally.failed), (1, 1));
        assert_eq!(tally.broken.len(), 1);
    }

    #[test]
    fn what_ran_beside_another_counts_the_same() {
        let mut tally = Tally::default();
        let written = "running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored";
        tally.ran("one".to_owned(), written, ExitStatus::default());
        tally.ran("two".to_owned(), "", ExitStatus::from_raw(9));
        assert_eq!((tally.passed, tally.failed), (1, 0));
        assert_eq!(tally.broken.len(), 1);
    }
}
