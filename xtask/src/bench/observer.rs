//! A tracer that is attached to a running process, or at least loaded, while something
//! else is measured.

use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::privilege::Privilege;
use crate::process::{Background, Lines};

const ATTACH: Duration = Duration::from_secs(60);

/// Root's rights, which every tracer of a process that is already running needs.
pub(super) fn privilege() -> Result<Privilege> {
    Privilege::obtain("attach tracers to running processes", "cargo xtask bench")
}

pub(super) struct Observer {
    process: Background,
    /// Closing it ends the observers that have no target.
    stdin: Option<ChildStdin>,
    _output: Lines,
}

/// The stream on which an observer says that it is ready.
enum Stream {
    Output,
    Errors,
}

impl Observer {
    /// `pitviper attach`, armed. It ends with its target.
    pub(super) fn pitviper(privilege: Privilege, program: &Path, pid: u32) -> Result<Self> {
        let mut command = privilege.command(program);
        command.args(["attach", &pid.to_string()]);
        Self::start(&mut command, &Stream::Errors, "pitviper: attached to")
    }

    /// The same, with nothing but descriptors watched.
    pub(super) fn descriptors(privilege: Privilege, program: &Path, pid: u32) -> Result<Self> {
        let mut command = privilege.command(program);
        command.args(["attach", &pid.to_string(), "--descriptors-only"]);
        Self::start(&mut command, &Stream::Errors, "pitviper: attached to")
    }

    /// An empty pair of programs on the two system-call tracepoints: the least that any
    /// tracer of system calls costs everyone else. It ends with [`Self::finish`].
    pub(super) fn empty_pair(privilege: Privilege, program: &Path) -> Result<Self> {
        let mut command = privilege.command(program);
        command.arg("bench-empty-pair");
        Self::start(&mut command, &Stream::Errors, "pitviper: attached to")
    }

    /// `py-spy record` at its default of 100 samples a second. It ends with its target.
    pub(super) fn py_spy(privilege: Privilege, program: &Path, pid: u32) -> Result<Self> {
        let mut command = privilege.command(program);
        command.args(["record", "--duration", "3600", "--rate", "100", "--format", "raw"]);
        command.args(["--output", "/dev/null", "--pid", &pid.to_string()]);
        Self::start(&mut command, &Stream::Output, "py-spy> Sampling process")
    }

    fn start(command: &mut Command, says: &Stream, ready: &str) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match says {
            Stream::Output => command.stdout(Stdio::piped()),
            Stream::Errors => command.stderr(Stdio::piped()),
        };
        let mut process = Background::start(command)?;
        let stdin = process.child().stdin.take();
        let child = process.child();
        let mut output = match says {
            Stream::Output => Lines::of(child.stdout.take().context("no output to read")?),
            Stream::Errors => Lines::of(child.stderr.take().context("no output to read")?),
        };
        output.wait_for(ready, ATTACH)?;
        Ok(Self { process, stdin, _output: output })
    }

    /// CPU seconds that it has used, and its resident bytes.
    pub(super) fn usage(&self) -> Result<(f64, u64)> {
        let pid = self.process.pid();
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
        };
        let stat = read("stat")?;
        // The second field is the program's name and may hold anything but its own end.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: f64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
        let status = read("status")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|size| size.trim().trim_end_matches(" kB").parse::<u64>().ok());
        // 100 ticks a second, whatever the kernel's own clock does (USER_HZ).
        Ok((ticks / 100.0, kib.unwrap_or(0) * 1024))
    }

    /// Waits for its end, once its target has ended.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.process.wait(ATTACH, || false)?.context("the observer did not end")?;
        Ok(())
    }
}
