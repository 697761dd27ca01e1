//! `cargo xtask demo`: pitviper attached to a Python service that leaks, from nothing.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::privilege::Privilege;
use crate::process::{Background, Lines};
use crate::setup::{self, Set};
use crate::{cargo, http, interpreters, interrupt, workspace};

const SERVICE: &str = "tests/workloads/demo/report_service.py";

/// pitviper's exit code when it found something.
const FINDINGS: i32 = 1;
const NOT_PERMITTED: i32 = 3;

/// How long a program gets to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an interrupted pitviper gets to sum up.
const SUMMARY: Duration = Duration::from_secs(5);

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seconds to watch
    #[arg(long, default_value_t = 25)]
    seconds: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Demo])?;
    let program = cargo::build_pitviper()?;
    let by_hand = format!("{} attach PID", program.display());
    let privilege = Privilege::obtain("attach to a process with eBPF", &by_hand)?;

    interrupt::catch();
    let pictures = workspace::target().join("demo");
    empty(&pictures)?;
    let service = Service::start()?;
    let address = http::free_address()?;
    eprintln!("Attaching to process {} for {} s.", service.pid(), options.seconds);
    eprintln!("Meanwhile: http://{address}/metrics\n");

    let metrics = fetch_later(address, Duration::from_secs(options.seconds / 2));
    let mut attach = privilege.command(&program);
    attach.args(["attach", &service.pid().to_string()]);
    attach.args(["--duration", &format!("{}s", options.seconds), "--listen", &address.to_string()]);
    attach.arg("--svg").arg(&pictures);
    let code = watch(&mut attach, options.seconds)?;
    interrupt::check()?;

    match code {
        Some(FINDINGS) => {}
        Some(NOT_PERMITTED) => bail!(
            "pitviper may not or cannot attach here; `sudo {} doctor` says why",
            program.display()
        ),
        Some(code) => bail!("pitviper ended with {code}; 1 was expected: the service leaks"),
        None => bail!("pitviper was ended by a signal"),
    }
    let metrics = metrics.recv().context("the metrics were not fetched")?;
    show_metrics(&metrics?);
    show_pictures(&pictures)?;
    println!("The lines that leak on purpose in {SERVICE}, to compare:");
    let source = workspace::root().join(SERVICE);
    let source = fs::read_to_string(&source)
        .with_context(|| format!("failed to read {}", source.display()))?;
    for (number, line) in planted(&source) {
        println!("  {number:>3}  {line}");
    }
    Ok(())
}

/// The lines that the service's own comments mark as leaking, by number.
fn planted(source: &str) -> Vec<(usize, &str)> {
    let marked = source.lines().enumerate().filter(|(_, line)| line.contains("# leaks:"));
    marked.map(|(index, line)| (index + 1, line.trim())).collect()
}

/// The leaking service. It also ends when this process ends in any way, because that
/// closes its standard input.
struct Service {
    process: Background,
    _stdin: Option<ChildStdin>,
    _stdout: Lines,
}

impl Service {
    fn start() -> Result<Self> {
        let python = interpreters::newest()?;
        eprintln!("Starting {SERVICE} with Python {}.", python.version);
        let mut command = Command::new(python.program);
        command.arg("-B").arg(workspace::root().join(SERVICE));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own: the terminal's Ctrl-C is for pitviper, which then sums up.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = Background::start(&mut command)?;
        let stdin = process.child().stdin.take();
        let stdout = process.child().stdout.take().context("the service has no output")?;
        let mut stdout = Lines::of(stdout);
        stdout.wait_for("READY", PATIENCE).context("the service did not start")?;
        Ok(Self { process, _stdin: stdin, _stdout: stdout })
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Runs pitviper to its end with its output shown; its exit code.
fn watch(attach: &mut Command, seconds: u64) -> Result<Option<i32>> {
    let mut pitviper = Background::start(attach)?;
    let limit = Duration::from_secs(seconds) + PATIENCE;
    let mut status = pitviper.wait(limit, interrupt::happened)?;
    if status.is_none() && interrupt::happened() {
        // Ctrl-C went to it too: let it write its summary.
        status = pitviper.wait(SUMMARY, || false)?;
    }
    let Some(status) = status else {
        interrupt::check()?;
        bail!("pitviper did not end within {} s of its time", PATIENCE.as_secs());
    };
    Ok(status.code())
}

fn fetch_later(address: SocketAddr, delay: Duration) -> mpsc::Receiver<Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        thread::sleep(delay);
        // The receiver is gone when the demo ended early.
        let _ = sender.send(http::fetch(address, "/metrics"));
    });
    receiver
}

fn show_metrics(body: &str) {
    println!("\nFrom /metrics, half-way:");
    for line in telling(body, 6) {
        println!("  {line}");
    }
}

/// The samples that say most: the findings and the descriptors, then whatever comes first.
fn telling(metrics: &str, count: usize) -> Vec<&str> {
    let mut samples: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("pitviper_")).collect();
    samples.sort_by_key(|line| {
        (!line.starts_with("pitviper_findings"), !line.starts_with("pitviper_descriptors"))
    });
    samples.truncate(count);
    samples
}

/// Makes the folder, without the pictures of an earlier run.
fn empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    for picture in svgs(folder)? {
        fs::remove_file(&picture)
            .with_context(|| format!("failed to remove {}", picture.display()))?;
    }
    Ok(())
}

fn show_pictures(folder: &Path) -> Result<()> {
    let pictures = svgs(folder)?;
    if pictures.is_empty() {
        bail!("pitviper wrote no picture into {}", folder.display());
    }
    println!("\nOpen in a browser:");
    for picture in pictures {
        println!("  {}", picture.display());
    }
    println!();
    Ok(())
}

fn svgs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("failed to list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("svg")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_before_other_samples() {
        let body = "# TYPE pitviper_opens counter\npitviper_opens_total 3\ngo_threads 1\n\
            pitviper_findings{kind=\"fd-leak\"} 1\n";
        assert_eq!(
            telling(body, 6),
            ["pitviper_findings{kind=\"fd-leak\"} 1", "pitviper_opens_total 3"]
        );
        assert_eq!(telling(body, 1).len(), 1);
    }

    #[test]
    fn the_service_marks_its_three_leaks() {
        let source = fs::read_to_string(workspace::root().join(SERVICE)).unwrap();
        let calls = ["json.load(open(", "open(path", "create_connection("];
        let planted = planted(&source);
        assert_eq!(planted.len(), calls.len());
        for ((_, line), call) in planted.iter().zip(calls) {
            assert!(line.contains(call), "{line}");
        }
    }

    #[test]
    fn the_service_leaks_and_ends_with_its_input() {
        let mut service = Service::start().unwrap();
        let descriptors = format!("/proc/{}/fd", service.pid());
        let count = || fs::read_dir(&descriptors).unwrap().count();
        let before = count();
        let deadline = std::time::Instant::now() + PATIENCE;
        while count() < before + 4 {
            assert!(std::time::Instant::now() < deadline, "no descriptor was leaked");
            thread::sleep(Duration::from_millis(20));
        }
        service._stdin = None;
        let status = service.process.wait(PATIENCE, || false).unwrap();
        assert!(status.is_some_and(|status| status.success()));
    }
}
