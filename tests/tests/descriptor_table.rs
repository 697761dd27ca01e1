//! A ledger kept from the traced calls alone equals `/proc/PID/fd` after every way in which a
//! descriptor can come or go; and so does the agent's own ledger.

use std::collections::BTreeSet;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::process::{descriptor_targets, descriptors};
use pitviper_tests::report::Ledger;
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::target::Target;
use pitviper_tests::trace::{Trace, parse_line};
use serde_json::Value;

/// How long events may be on their way.
const ARRIVAL: Duration = Duration::from_secs(3);

#[test]
fn trace_tells_of_every_descriptor() -> Result<()> {
    if !met("descriptor_table")? {
        return Ok(());
    }
    interpreter::on_every(available_parallelism()?.get(), |python| {
        let folder = tempfile::tempdir()?;
        let mut target = Target::start(python, "descriptor_table.py", &[folder.path()])?;
        let agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
        let mut followed = Followed {
            pid: target.pid(),
            open: descriptors(target.pid())?,
            agent,
            foreign: Vec::new(),
        };
        let mut wrong = Vec::new();
        for_each_step(python, &mut target, |step| {
            let open = step.open.clone();
            if let Err(error) = followed.catch_up(&open) {
                wrong.push(format!("{}: {error:#}", step.name));
                // Later steps are judged on their own.
                followed.open = open;
            }
            Ok(())
        })?;
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        ensure!(followed.foreign.is_empty(), "events of children: {:?}", followed.foreign);
        let trace = Trace::parse(&followed.agent.stop()?.stdout)?;
        check_failures(&trace)?;
        check_ledger(&Ledger(&trace.ledger), target.pid())
    })
}

#[test]
fn the_agents_ledger_has_no_drift() -> Result<()> {
    if !met("descriptor_table")? {
        return Ok(());
    }
    interpreter::on_every(available_parallelism()?.get(), |python| {
        let folder = tempfile::tempdir()?;
        let mut target = Target::start(python, "descriptor_table.py", &[folder.path()])?;
        let before = descriptors(target.pid())?.len() as i64;
        let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
        for_each_step(python, &mut target, |_| Ok(()))?;
        let ended = agent.stop()?;
        let report = ended.report()?;
        check_ledger(&report.ledger(), target.pid())?;
        let told = report.ledger().count("/descriptors/before_attach")?;
        ensure!(told <= before, "{told} from before the attach, there were {before}");
        Ok(())
    })
}

/// What the target says after a step.
struct Step {
    name: String,
    open: BTreeSet<i64>,
}

fn for_each_step(
    python: &Interpreter,
    target: &mut Target,
    mut check: impl FnMut(&Step) -> Result<()>,
) -> Result<()> {
    let mut unavailable = Vec::new();
    for count in 0.. {
        target.tell("next")?;
        let line = target.expect("")?;
        if line == "END" {
            ensure!(count > 70, "only {count} steps");
            break;
        }
        let step = line.strip_prefix("STEP").with_context(|| format!("not a step: {line:?}"))?;
        let step: Value = serde_json::from_str(step)?;
        let name = step["name"].as_str().context("a step without name")?.to_owned();
        if let Some(why) = step["unavailable"].as_str() {
            unavailable.push(format!("{name} ({why})"));
        }
        let open = step["open"].as_array().context("a step without list")?;
        check(&Step { name, open: open.iter().filter_map(Value::as_i64).collect() })?;
    }
    if !unavailable.is_empty() {
        tell(&format!("{}: not to be had here: {}", python.label, unavailable.join(", ")));
    }
    Ok(())
}

/// The descriptors of a process as the trace alone tells of them.
struct Followed {
    pid: u32,
    open: BTreeSet<i64>,
    agent: Agent,
    foreign: Vec<String>,
}

impl Followed {
    /// Reads events until the ledger is `own`.
    fn catch_up(&mut self, own: &BTreeSet<i64>) -> Result<()> {
        let deadline = Instant::now() + ARRIVAL;
        let mut recent = Vec::new();
        while self.open != *own {
            let Ok(line) = self.agent.line(deadline.saturating_duration_since(Instant::now()))
            else {
                let missing: Vec<_> = own.difference(&self.open).collect();
                let extra: Vec<_> = self.open.difference(own).collect();
                let last = recent.len().saturating_sub(20);
                bail!(
                    "open and not traced {missing:?}, closed and not traced {extra:?}; now {:?}; \
                     events {}",
                    descriptor_targets(self.pid),
                    recent[last..].join(" ")
                );
            };
            let event = parse_line(&line.context("the trace ended")?)?;
            if event["pid"] != self.pid {
                self.foreign.push(event.to_string());
                continue;
            }
            recent.push(format!("{}:{}:{}", event["event"], event["call"], event["fd"]));
            match (event["event"].as_str(), event["fd"].as_i64()) {
                (Some("open"), Some(fd)) => {
                    self.open.insert(fd);
                }
                (Some("close"), Some(fd)) => {
                    self.open.remove(&fd);
                }
                (Some("fail"), _) => {}
                _ => bail!("an event that says nothing: {event}"),
            }
        }
        Ok(())
    }
}

/// Calls that failed are traced with their error and change nothing.
fn check_failures(trace: &Trace) -> Result<()> {
    for (call, error) in [
        ("openat", "ENOENT"),
        ("openat", "EEXIST"),
        ("openat", "EMFILE"),
        ("pipe2", "EMFILE"),
        ("socketpair", "EMFILE"),
        ("socket", "EAFNOSUPPORT"),
        ("dup2", "EBADF"),
        ("dup3", "EINVAL"),
        ("close", "EBADF"),
        ("accept4", "EAGAIN"),
        ("pipe2", "EFAULT"),
    ] {
        let found = trace.events.iter().any(|event| {
            event["event"] == "fail" && event["call"] == call && event["error"] == error
        });
        ensure!(found, "no failed {call} with {error} in the trace");
    }
    let missing = trace.events.iter().find(|event| event["error"] == "ENOENT");
    let path = missing.and_then(|event| event["path"].as_str());
    ensure!(missing.is_some_and(|event| event["fd"].is_null()), "a failed open has a descriptor");
    ensure!(path.is_some_and(|path| path.starts_with('/')), "a failed open has no path: {path:?}");
    Ok(())
}

fn check_ledger(ledger: &Ledger<'_>, pid: u32) -> Result<()> {
    ledger.check_sums()?;
    let open = descriptors(pid)?;
    let tracked = ledger.count("/descriptors/tracked")?;
    let actual = ledger.count("/descriptors/actual")?;
    let drift = ledger.count("/descriptors/drift")?;
    ensure!(
        tracked == open.len() as i64 && actual == tracked && drift == 0,
        "{tracked} tracked, {actual} actual, {drift} drift; open are {:?}",
        descriptor_targets(pid)
    );
    Ok(())
}
