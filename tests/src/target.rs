//! A Python process to attach to, killed when it goes out of scope.
//!
//! The programs speak a line protocol (`workloads/handshake.py`): they print `READY`, act when told
//! `go`, and print what they did. So nothing happens before the agent is attached unless the test
//! wants it to.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::deadline::wait_for;
use crate::interpreter::Interpreter;
use crate::lines::Lines;
use crate::site::workload;

/// How long an interpreter may take to start on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A running Python program.
pub struct Target {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

impl Target {
    /// Starts a program of `workloads/` and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start or does not say `READY`.
    pub fn start<A: AsRef<OsStr>>(python: &Interpreter, name: &str, args: &[A]) -> Result<Target> {
        let mut command = python.command();
        command.arg(workload(name)).args(args);
        Target::start_command(command)
    }

    /// The same without arguments.
    ///
    /// # Errors
    /// As [`Target::start`].
    pub fn start_plain(python: &Interpreter, name: &str) -> Result<Target> {
        Target::start::<&str>(python, name, &[])
    }

    /// Starts a command that speaks the protocol and waits until it is ready.
    ///
    /// # Errors
    /// As [`Target::start`].
    pub fn start_command(command: Command) -> Result<Target> {
        Target::start_command_within(command, START)
    }

    /// As [`Target::start_command`], for a program that prepares much before it is ready.
    ///
    /// # Errors
    /// As [`Target::start`].
    pub fn start_command_within(mut command: Command, limit: Duration) -> Result<Target> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that its children go with it.
        command.process_group(0);
        let mut child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = Lines::of(child.stdout.take().context("no standard output")?);
        let stderr = Lines::of(child.stderr.take().context("no standard error")?);
        let mut target = Target { child, stdin, stdout, stderr };
        target.expect_within("READY", limit)?;
        Ok(target)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a line.
    ///
    /// # Errors
    /// When it is gone.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("the target's input is closed")?;
        writeln!(stdin, "{line}").with_context(|| format!("failed to tell the target {line:?}"))
    }

    /// Waits for a line that starts with `word` and gives what follows it.
    ///
    /// # Errors
    /// When the line does not come within 60 s; the message has the target's own errors.
    pub fn expect(&mut self, word: &str) -> Result<String> {
        self.expect_within(word, Duration::from_secs(60))
    }

    /// As [`Target::expect`], with a deadline.
    ///
    /// # Errors
    /// When the line does not come in time.
    pub fn expect_within(&mut self, word: &str, limit: Duration) -> Result<String> {
        let line = match self.stdout.next_where(word, limit, |line| line.starts_with(word)) {
            Ok(line) => line,
            Err(error) => return Err(error.context(self.stderr.tail())),
        };
        Ok(line[word.len()..].trim().to_owned())
    }

    /// What followed `word` in a line that it has printed already, before it was ready or after.
    ///
    /// # Errors
    /// When there is no such line.
    pub fn said(&self, word: &str) -> Result<String> {
        let line = self.stdout.past().iter().find(|line| line.starts_with(word));
        let line = line.with_context(|| format!("the target did not say {word}"))?;
        Ok(line[word.len()..].trim().to_owned())
    }

    /// Whether it has not ended.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Closes its input, at which it ends.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Closes its input and waits for its end.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.close_input();
        wait_for("the target's end", limit, || Ok(self.child.try_wait()?))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            // Fails only when all of the group is gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
