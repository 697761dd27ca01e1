//! A workload alone, and with pitviper attached to it, in turn.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::observer::{self, Observer};
use super::rounds::{Case, Series, interleave};
use super::subject::{Subject, measure};
use crate::cargo;

/// Both cases, `rounds` times. `program` runs `workload` with `amount` as its argument; `watched`
/// measures it while the agent is attached.
pub(super) fn with_and_without(
    rounds: usize,
    program: &Path,
    workload: &Path,
    amount: u64,
    mut watched: impl FnMut(&Observer, &mut Subject) -> Result<f64>,
) -> Result<Vec<Series>> {
    let privilege = observer::privilege()?;
    let pitviper = cargo::build_pitviper()?;
    let command = || {
        let mut command = Command::new(program);
        command.arg("-B").arg(workload).arg(amount.to_string());
        command
    };
    let attached = || {
        let mut subject = Subject::start(&mut command())?;
        let observer = Observer::pitviper(privilege, &pitviper, subject.pid())?;
        let time = watched(&observer, &mut subject)?;
        subject.finish()?;
        observer.finish()?;
        Ok(time)
    };
    let cases = vec![
        Case { name: "alone", run: Box::new(|| measure(&mut command())) },
        Case { name: "pitviper attach", run: Box::new(attached) },
    ];
    interleave(rounds, cases)
}
