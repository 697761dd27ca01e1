//! The program under test, killed when it goes out of scope.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::wait_for;
use crate::lines::Lines;
use crate::report::Report;

/// What standard error says once the first event would have its stack.
pub const ATTACHED: &str = "pitviper: attached to";

/// How long loading and attaching may take with several agents at once on two processors.
const ATTACH: Duration = Duration::from_secs(30);
/// How long a report may take after the interrupt.
const REPORT: Duration = Duration::from_secs(30);

/// A running `pitviper`.
pub struct Agent {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// How a run of `pitviper` ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Lines of standard output.
    pub stdout: Vec<String>,
    /// Lines of standard error.
    pub stderr: Vec<String>,
}

impl Ended {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The one JSON document that `--json` prints.
    ///
    /// # Errors
    /// When standard output is anything else.
    pub fn report(&self) -> Result<Report> {
        Report::parse(&self.stdout.join("\n"))
            .with_context(|| format!("{}\n{}", self.status, self.stderr.join("\n")))
    }
}

/// The path of the program: `PITVIPER_BIN`, or the workspace's release build.
///
/// # Errors
/// When it is not there.
pub fn program() -> Result<PathBuf> {
    let path = match env::var_os("PITVIPER_BIN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/pitviper"),
    };
    ensure!(path.exists(), "no program at {path:?}: build it (cargo build --release)");
    Ok(path)
}

impl Agent {
    /// Starts `pitviper` and waits until it has attached.
    ///
    /// # Errors
    /// When it does not start, ends, or does not attach within 30 s.
    pub fn attach<A: AsRef<OsStr>>(args: &[A]) -> Result<Agent> {
        let mut agent = Agent::start(args)?;
        agent.wait_attached()?;
        Ok(agent)
    }

    /// Starts `pitviper` without waiting.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start<A: AsRef<OsStr>>(args: &[A]) -> Result<Agent> {
        let mut command = Command::new(program()?);
        command.args(args);
        Agent::start_command(command)
    }

    /// Starts a command that becomes `pitviper` (it changes user or mounts first).
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_command(mut command: Command) -> Result<Agent> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
        let stdout = Lines::of(child.stdout.take().context("no standard output")?);
        let stderr = Lines::of(child.stderr.take().context("no standard error")?);
        Ok(Agent { child, stdout, stderr })
    }

    /// Starts `pitviper agent`, of which a host has one, and waits until it is ready; while another one
    /// runs it tries again.
    ///
    /// # Errors
    /// When it is not ready within 60 s, or ends for another reason.
    pub fn follow_host(command: impl Fn() -> Result<Command>) -> Result<Agent> {
        let limit = Duration::from_secs(60);
        let began = Instant::now();
        loop {
            let mut agent = Agent::start_command(command()?)?;
            let ready = agent.told_where("ready", limit, |line| line.contains("agent is ready"));
            let Err(error) = ready else { return Ok(agent) };
            let ended = agent.ended(limit)?;
            let runs = ended.stderr.iter().any(|line| line.contains("already runs"));
            if !runs || began.elapsed() > limit {
                return Err(error.context(format!("{:?}", ended.stderr)));
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line that says that it is attached.
    ///
    /// # Errors
    /// When the line does not come within 30 s.
    pub fn wait_attached(&mut self) -> Result<()> {
        self.stderr.next_where(ATTACHED, ATTACH, |line| line.starts_with(ATTACHED))?;
        Ok(())
    }

    /// The next line of standard output that `wanted` accepts.
    ///
    /// # Errors
    /// When it does not come within `limit`; the message has what was printed.
    pub fn line_where(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let result = self.stdout.next_where(what, limit, wanted);
        result.map_err(|error| error.context(self.stderr.tail()))
    }

    /// The next line of standard error that `wanted` accepts.
    ///
    /// # Errors
    /// When it does not come within `limit`.
    pub fn told_where(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        self.stderr.next_where(what, limit, wanted)
    }

    /// The next line of standard output; `None` at its end.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn line(&mut self, limit: Duration) -> Result<Option<String>> {
        self.stdout.next(limit)
    }

    /// Interrupts it as Ctrl-C does, and waits for its end.
    ///
    /// # Errors
    /// When it does not end within 30 s.
    pub fn stop(self) -> Result<Ended> {
        self.signal(Signal::INT)?;
        self.ended(REPORT)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id() as i32).context("no process id")?;
        kill_process(pid, signal).context("failed to signal pitviper")
    }

    /// Waits for its own end.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn ended(mut self, limit: Duration) -> Result<Ended> {
        let status = match wait_for("pitviper's end", limit, || Ok(self.child.try_wait()?)) {
            Ok(status) => status,
            Err(error) => return Err(error.context(self.stderr.tail())),
        };
        let drained = Duration::from_secs(5);
        let stdout = self.stdout.all(drained)?.to_vec();
        let stderr = self.stderr.all(drained)?.to_vec();
        Ok(Ended { status, stdout, stderr })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
