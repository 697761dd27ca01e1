//! One program of an audited system, watched by pitviper for its row's time.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::verdict::{Finding, take_in};
use super::{Job, Variant};
use crate::privilege::Privilege;
use crate::process::{Background, Lines};

/// What pitviper says once the next event would have its stack.
const ATTACHED: &str = "pitviper: attached to";

/// How long a program gets to start or to sum up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a program gets to end by itself once its input is closed.
const ENDING: Duration = Duration::from_secs(10);

/// pitviper's exit codes after a watch: nothing found, something found.
const WATCHED: [Option<i32>; 2] = [Some(0), Some(1)];

/// What watches, and where the programs are.
pub(super) struct Watched<'a> {
    pub(super) program: &'a Path,
    pub(super) privilege: Privilege,
    pub(super) workloads: &'a Path,
}

impl Watched<'_> {
    /// Runs one job; what pitviper found in the end.
    pub(super) fn run(&self, job: &Job<'_>) -> Result<Vec<Finding>> {
        let mut workload = Workload::start(self.workloads, job)?;
        let mut attach = self.privilege.command(self.program);
        attach.args(["attach", &workload.pid().to_string()]);
        attach.args(["--duration", &format!("{}s", job.row.seconds)]);
        // The lines tell when a finding was confirmed. Only the document leaves out what was
        // suspected and came to nothing.
        let by_line = job.variant == Variant::Audited && !job.row.findings.is_empty();
        attach.arg(if by_line { "--json=lines" } else { "--json" }).args(&job.row.profiler);
        attach.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut pitviper = Background::start(&mut attach)?;
        let mut said = Lines::of(pitviper.child().stdout.take().context("no standard output")?);
        let mut errors = Lines::of(pitviper.child().stderr.take().context("no standard error")?);
        errors.wait_for(ATTACHED, PATIENCE).context("pitviper did not attach")?;

        workload.go()?;
        let began = Instant::now();
        let until = began + Duration::from_secs(job.row.seconds) + PATIENCE;
        let mut findings = Vec::new();
        while let Some(line) = said.next(until).context("pitviper did not end in time")? {
            let value: Value = serde_json::from_str(&line)
                .with_context(|| format!("pitviper wrote no JSON: {line:.200}"))?;
            let single = [value.clone()];
            let several = if by_line { Some(&single[..]) } else { documents_findings(&value) };
            for finding in several.context("no findings in the document")? {
                let finding = Finding::parse(finding)
                    .with_context(|| format!("not a finding: {finding:.200}"))?;
                take_in(&mut findings, finding, began.elapsed().as_secs_f64());
            }
        }
        let status = pitviper.wait(PATIENCE, || false)?;
        let code = status.context("pitviper did not end")?.code();
        if !WATCHED.contains(&code) {
            bail!("pitviper ended with {code:?}: {}", errors.rest().join(" | "));
        }
        workload.check()?;
        if !by_line {
            findings.iter_mut().for_each(|finding| finding.confirmed_after = None);
        }
        Ok(findings)
    }
}

fn documents_findings(document: &Value) -> Option<&[Value]> {
    Some(document.get("findings")?.as_array()?.as_slice())
}

/// A running program. It ends with its input; its whole process group goes with the value.
struct Workload {
    process: Background,
    stdin: Option<ChildStdin>,
    errors: Lines,
}

impl Workload {
    fn start(folder: &Path, job: &Job<'_>) -> Result<Self> {
        let mut command = Command::new(job.python);
        command.args(["-m", &job.system.name, &job.row.id, "--handshake"]).current_dir(folder);
        if job.variant == Variant::Fixed {
            command.arg("--fixed");
        }
        // The programs' folder is the project's own: nothing is to be written there.
        command.env("PYTHONDONTWRITEBYTECODE", "1").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Background::start(&mut command)?;
        let stdin = process.child().stdin.take();
        let mut said = Lines::of(process.child().stdout.take().context("no standard output")?);
        let errors = Lines::of(process.child().stderr.take().context("no standard error")?);
        let mut workload = Self { process, stdin, errors };
        if let Err(error) = said.wait_for("READY", PATIENCE) {
            let last = workload.errors.rest().pop().unwrap_or_default();
            return Err(error.context(format!("the program did not start: {last}")));
        }
        Ok(workload)
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn go(&mut self) -> Result<()> {
        let stdin = self.stdin.as_mut().context("no standard input")?;
        stdin.write_all(b"go\n").context("the program ended before it was told to go")
    }

    /// An error when it ended while it was watched.
    fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.wait(Duration::ZERO, || false)? {
            let last = self.errors.rest().pop().unwrap_or_default();
            bail!("the program ended while it was watched: {status}: {last}");
        }
        Ok(())
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stdin = None;
        // It removes its files; what it cannot end by itself is ended below.
        let _ = self.process.wait(ENDING, || false);
        if let Ok(group) = libc::pid_t::try_from(self.process.pid()) {
            // SAFETY: a signal to a process group that this process has made; when nobody is left
            // in it, nothing happens.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
    }
}
