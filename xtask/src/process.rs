//! Running programs: to their end, or in the background for as long as a value lives.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::interrupt;

/// How often a wait looks whether the user interrupted it.
const TICK: Duration = Duration::from_millis(50);

/// The command as it would be typed.
pub(crate) fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end with its output shown; an exit other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", display(command));
    }
    Ok(())
}

/// Runs a command to its end with its output shown.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("failed to start `{}`", display(command)))
}

/// What a command writes to standard output; an exit other than 0 is an error that
/// carries what it wrote to standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("failed to start `{}`", display(command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}: {}", display(command), output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is, looking also where an ordinary user's PATH does not: Debian keeps
/// `debootstrap` and `bpftool` in `/usr/sbin`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A child that does not outlive the value.
pub(crate) struct Background {
    child: Child,
    name: String,
}

impl Background {
    /// Starts the command. Its standard streams are as the command has them.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = display(command);
        let child = command.spawn().with_context(|| format!("failed to start `{name}`"))?;
        Ok(Self { child, name })
    }

    /// The child, to take its standard streams.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; `None` when `limit` passed or `stop` said so before it.
    pub(crate) fn wait(
        &mut self,
        limit: Duration,
        stop: impl Fn() -> bool,
    ) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait();
            let ended = ended.with_context(|| format!("failed to wait for `{}`", self.name))?;
            if ended.is_some() || stop() || Instant::now() >= deadline {
                return Ok(ended);
            }
            thread::sleep(TICK);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // What runs through sudo cannot be killed by an ordinary user; it watches a process
        // that is ended too, and ends with it.
        if self.child.kill().is_ok() {
            let _ = self.child.wait();
        }
    }
}

/// The lines of a stream, read by a thread of their own so that the writer never blocks
/// on a full pipe.
pub(crate) struct Lines {
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                // Nobody waits for lines any more: keep draining all the same.
                let _ = sender.send(line);
            }
        });
        Self { lines, seen: Vec::new() }
    }

    /// The next line; `None` once the stream has ended. Ends with an error when the time is up or
    /// the user interrupts.
    pub(crate) fn next(&mut self, until: Instant) -> Result<Option<String>> {
        loop {
            interrupt::check()?;
            match self.lines.recv_timeout(TICK) {
                Ok(line) => return Ok(Some(line)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(RecvTimeoutError::Timeout) => bail!("the time is up"),
            }
        }
    }

    /// The lines that have come, those passed over included.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        self.seen.extend(self.lines.try_iter());
        self.seen.clone()
    }

    /// The next line that begins with `prefix`. Ends with an error when the stream ends, the
    /// time is up or the user interrupts, and then shows the lines that did come.
    pub(crate) fn wait_for(&mut self, prefix: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            interrupt::check()?;
            match self.lines.recv_timeout(TICK) {
                Ok(line) if line.starts_with(prefix) => return Ok(line),
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("ended without a line `{prefix}…`; it wrote: {}", self.seen.join(" | "))
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => bail!(
                    "no line `{prefix}…` within {} s; it wrote: {}",
                    limit.as_secs(),
                    self.seen.join(" | ")
                ),
            }
        }
    }
}

/// A command whose three standard streams are pipes or nothing.
pub(crate) fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failing_command_names_itself_and_its_complaint() {
        let error = output(&mut shell("echo no such luck >&2; exit 3")).unwrap_err().to_string();
        assert!(error.contains("exit 3"), "{error}");
        assert!(error.contains("no such luck"), "{error}");
    }

    #[test]
    fn a_background_child_ends_with_its_value() {
        let child = Background::start(&mut shell("exec sleep 600")).unwrap();
        let process = PathBuf::from(format!("/proc/{}", child.pid()));
        assert!(process.exists());
        drop(child);
        assert!(!process.exists());
    }

    #[test]
    fn a_line_is_found_among_others() {
        let mut lines = Lines::of(&b"noise\nREADY 7\nmore\n"[..]);
        assert_eq!(lines.wait_for("READY", Duration::from_secs(10)).unwrap(), "READY 7");
    }

    #[test]
    fn a_stream_that_ends_early_shows_what_it_said() {
        let mut lines = Lines::of(&b"no permission\n"[..]);
        let error = lines.wait_for("READY", Duration::from_secs(10)).unwrap_err().to_string();
        assert!(error.contains("no permission"), "{error}");
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program-as-this").is_none());
    }
}
