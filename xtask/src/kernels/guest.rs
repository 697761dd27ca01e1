//! One guest: booted, read, ended.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::initrd::LEAK_LINE;
use crate::process::{Background, Lines};

/// Without hardware to run guests on, a kernel takes half a minute to boot and a verifier ten times
/// as long as outside.
const PATIENCE: Duration = Duration::from_secs(400);

/// What a guest told.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    /// The exit code of `pitviper doctor`.
    pub(super) doctor: String,
    pub(super) finding: String,
    pub(super) lost: u64,
}

/// The finding that is to be there.
const EXPECTED: &str = "fd-leak confirmed";

impl Seen {
    pub(super) fn is_right(&self) -> bool {
        self.doctor == "0" && self.finding.starts_with(EXPECTED) && self.lost == 0
    }
}

/// Boots the kernel with that processor and file system, and reads its console until it has told
/// all; what it said is left in `log`.
pub(super) fn run(image: &Path, processor: &str, initrd: &Path, log: &Path) -> Result<Seen> {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg", "-cpu", processor, "-smp", "2", "-m", "1024"])
        .args(["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut guest = Background::start(&mut command)?;
    let console = guest.child().stdout.take().context("the guest has no console")?;
    let mut console = Lines::of(console);
    let until = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    let seen = loop {
        match console.next(until) {
            Ok(Some(line)) => all.push(line.trim_end_matches('\r').to_owned()),
            Ok(None) => break Err(anyhow::anyhow!("the guest ended before it had told all")),
            Err(error) => break Err(error),
        }
        if let Some(seen) = told(&all).transpose() {
            break seen;
        }
    };
    fs::write(log, all.join("\n")).context("failed to write the guest's output")?;
    seen.with_context(|| format!("its console is in {}", log.display()))
}

/// What the lines tell, once they tell all.
fn told(lines: &[String]) -> Result<Option<Seen>> {
    let said = |what: &str| lines.iter().find_map(|line| line.strip_prefix(what));
    let Some(report) = said("guest: report ") else { return Ok(None) };
    let Some(doctor) = said("guest: doctor ") else { bail!("the guest did not ask the doctor") };
    if report.is_empty() {
        return Ok(Some(Seen { doctor: doctor.into(), finding: "no report".into(), lost: 0 }));
    }
    let report: Value = serde_json::from_str(report).context("the report is not JSON")?;
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let findings = report["findings"].as_array().context("the report has no findings")?;
    let at_leak = |finding: &&Value| {
        finding["kind"] == "fd-leak" && finding["site"]["line"].as_u64() == Some(LEAK_LINE)
    };
    let finding = match findings.iter().find(at_leak) {
        Some(finding) => format!("{} {}", text(&finding["kind"]), text(&finding["confidence"])),
        None => "none at its line".into(),
    };
    let drops = report["ledger"]["dropped"].as_object().context("the report has no drops")?;
    let lost = drops.values().filter_map(Value::as_u64).sum();
    Ok(Some(Seen { doctor: doctor.into(), finding, lost }))
}
