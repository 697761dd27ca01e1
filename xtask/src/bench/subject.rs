//! The program that is measured: it waits until its tracer is ready, runs its loop and
//! reports. The protocol is described in `tests/workloads/bench/subject.py`.

use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process::{Background, Lines};

const START: Duration = Duration::from_secs(60);
/// strace slows a loop of half a second down a hundredfold at most.
const RUN: Duration = Duration::from_secs(300);

/// Nanoseconds an iteration.
pub(super) struct Taken {
    pub(super) elapsed: f64,
    /// Of the processor, the program's children included; not all programs tell.
    pub(super) processor: Option<f64>,
}

pub(super) struct Subject {
    process: Background,
    stdin: Option<ChildStdin>,
    stdout: Lines,
}

impl Subject {
    /// Starts the program and waits until it is ready to be attached to.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Background::start(command)?;
        let stdin = process.child().stdin.take();
        let stdout = process.child().stdout.take().context("the program has no output")?;
        let mut stdout = Lines::of(stdout);
        stdout.wait_for("READY", START)?;
        Ok(Self { process, stdin, stdout })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Runs the loop; nanoseconds per iteration by the program's own clock.
    pub(super) fn measure(&mut self) -> Result<f64> {
        self.begin()?;
        Ok(self.result()?.elapsed)
    }

    /// Has it begin its loop.
    pub(super) fn begin(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the program has no input")?;
        stdin.write_all(b"go\n").context("failed to start the loop")
    }

    /// What the loop took, once it has ended.
    pub(super) fn result(&mut self) -> Result<Taken> {
        let line = self.stdout.wait_for("NANOSECONDS ", RUN)?;
        let mut numbers = line.split_whitespace().skip(1).map(str::parse);
        let wrong = || format!("failed to read `{line}`");
        let elapsed = numbers.next().with_context(wrong)?.with_context(wrong)?;
        Ok(Taken { elapsed, processor: numbers.next().transpose().with_context(wrong)? })
    }

    /// Ends the program as it ends by itself, and with it whatever is attached to it.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.process.wait(START, || false)?.context("the program did not end")?;
        Ok(())
    }
}

/// One run with nothing attached.
pub(super) fn measure(command: &mut Command) -> Result<f64> {
    let mut subject = Subject::start(command)?;
    let time = subject.measure()?;
    subject.finish()?;
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_keep_the_protocol() {
        let python = crate::interpreters::newest().unwrap();
        for program in ["bench/open_close.py", "bench/compute.py"] {
            let mut command = Command::new(&python.program);
            command.arg("-B").arg(crate::workspace::workload(program)).arg("10");
            let mut subject = Subject::start(&mut command).unwrap();
            assert!(subject.measure().unwrap() > 0.0);
            subject.finish().unwrap();
        }
    }
}
