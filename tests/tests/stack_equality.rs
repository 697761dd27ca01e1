//! Every stack that pitviper walks in the kernel is the one that CPython has itself.
//!
//! The target (`workloads/every_kind_of_frame.py`) keeps its own record of the stack at each
//! descriptor call, from the first call after the attach on; every traced call is held against it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::Ledger;
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::site::{Site, marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::trace::Trace;
use serde_json::Value;

/// Calls that the target records, a version.
const CALLS: usize = 12_000;
/// Events that must have been compared, a version.
const COMPARED: usize = 10_000;
/// A workload whose code is hot, and how often it opens a file.
const HOT: &str = "hot_code.py";
const HOT_CALLS: usize = 10_000;
/// Stacks up to this deep must be whole.
const PROMISED_DEPTH: usize = 128;
/// Share of the stacks that must be whole.
const COMPLETE: f64 = 0.999;
/// The workload calls this often from deeper than any walk promises.
const DEEP_CALLS: usize = 10;

#[test]
fn every_captured_stack_equals_the_interpreters_own() -> Result<()> {
    if !met("stack_equality")? {
        return Ok(());
    }
    interpreter::on_every(available_parallelism()?.get(), stacks_are_equal)
}

fn stacks_are_equal(python: &Interpreter) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let calls = CALLS.to_string();
    let args = [folder.path().as_os_str(), calls.as_ref()];
    let mut target = Target::start(python, "every_kind_of_frame.py", &args)?;
    let agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
    target.tell("go")?;
    target.expect_within("DONE", Duration::from_secs(180))?;
    let trace = Trace::parse(&agent.stop()?.stdout)?;
    target.tell("write")?;
    target.expect("WRITTEN")?;

    let record = folder.path().with_extension("json");
    let truth = Truth::read(&record)?;
    fs::remove_file(&record)?;
    let folder = format!("{}/", folder.path().display());
    let comparison = Comparison::of(&truth, &trace, &folder);
    tell(&format!("{}: {}", python.label, comparison.outline()));
    comparison.check(&trace)
}

/// Code that runs often is specialised, and compiled by the interpreters that do: its lines stay
/// right.
#[test]
fn hot_code_has_its_lines() -> Result<()> {
    if !met("stack_equality")? {
        return Ok(());
    }
    interpreter::on_every(available_parallelism()?.get(), |python| {
        let mut command = python.command();
        command.arg(workload(HOT)).arg(HOT_CALLS.to_string()).env("PYTHON_JIT", "1");
        let mut target = Target::start_command(command)?;
        let agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
        target.tell("go")?;
        let how = target.expect_within("DONE", Duration::from_secs(60))?;
        let trace = Trace::parse(&agent.stop()?.stdout)?;
        let (opens, closes) = (marked(HOT, "opens")?, marked(HOT, "closes")?);
        let outer = ["sells", "generates", "runs", "begins"].map(|marker| marked(HOT, marker));
        let outer: Vec<Site> = outer.into_iter().collect::<Result<_>>()?;
        let mut compared = 0;
        for event in &trace.events {
            let inner = match event["event"].as_str() {
                Some("open") if event["path"] == "/dev/null" => &opens,
                Some("close") => &closes,
                _ => continue,
            };
            let stack = event["stack"].as_array().map_or(&[][..], Vec::as_slice);
            let own = std::iter::once(inner).chain(&outer);
            // The outermost is the module.
            let is_right = stack.len() == outer.len() + 2
                && own.zip(stack).all(|(site, frame)| site.is(frame));
            ensure!(is_right, "{event}");
            compared += 1;
        }
        tell(&format!("{}: {compared} calls of {how} code compared", python.label));
        ensure!(compared >= 2 * HOT_CALLS, "{compared} of {}: {}", 2 * HOT_CALLS, trace.ledger);
        Ledger(&trace.ledger).check_sums()
    })
}

/// The interpreter's own record: for each key of a call, the stacks in their order.
struct Truth {
    calls: HashMap<Key, Vec<usize>>,
    stacks: Vec<Vec<Value>>,
    first: Key,
}

/// What a call is known by on both sides: its kind, with its path or else its thread.
type Key = (String, String);

impl Truth {
    fn read(path: &Path) -> Result<Truth> {
        let record: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        let mut calls: HashMap<Key, Vec<usize>> = HashMap::new();
        let mut first = None;
        for call in record["calls"].as_array().context("no calls")? {
            let key = (text(&call[0][0]), text(&call[0][1]));
            let stack = call[1].as_u64().context("no stack")? as usize;
            first.get_or_insert_with(|| key.clone());
            let stacks = calls.entry(key.clone()).or_default();
            stacks.push(stack);
            if key.0 == "pipe" {
                // One call, two descriptors, two lines.
                stacks.push(stack);
            }
        }
        let stacks = record["stacks"].as_array().context("no stacks")?.iter();
        let stacks = stacks.map(|stack| stack.as_array().cloned().unwrap_or_default()).collect();
        Ok(Truth { calls, stacks, first: first.context("the record is empty")? })
    }
}

#[derive(Default)]
struct Comparison {
    compared: usize,
    complete: usize,
    deep: usize,
    /// Whole stacks missing, by their status.
    incomplete: HashMap<String, usize>,
    wrong: Vec<String>,
    /// Calls of which one side has more than the other.
    uneven: Vec<String>,
    first_is_complete: bool,
}

impl Comparison {
    fn of(truth: &Truth, trace: &Trace, folder: &str) -> Comparison {
        let traced = by_key(&trace.events, folder);
        let mut comparison = Comparison::default();
        comparison.wrong.extend(trace.events.iter().filter(|event| is_foreign(event)).map(
            |event| format!("a close that an {} tells of has a stack: {event}", event["call"]),
        ));
        for (key, stacks) in &truth.calls {
            let events = traced.get(key).map_or(&[][..], Vec::as_slice);
            if events.len() > stacks.len() || (events.len() < stacks.len() && key.0 != "close") {
                let (own, seen) = (stacks.len(), events.len());
                comparison.uneven.push(format!("{key:?}: {own} recorded, {seen} traced"));
            } else if events.len() < stacks.len() {
                // Another thread had the number again before the close was told: the call that
                // took it tells of the close, and knows no stack of it.
                comparison.compared += 1;
                *comparison.incomplete.entry("told by the next owner".to_owned()).or_default() += 1;
            }
            for (&stack, event) in stacks.iter().zip(events) {
                let complete = comparison.add(&truth.stacks[stack], event);
                comparison.first_is_complete |= complete && *key == truth.first;
            }
        }
        comparison
    }

    /// Compares one call; whether its stack is whole and right.
    fn add(&mut self, own: &[Value], event: &Value) -> bool {
        self.compared += 1;
        let seen = event["stack"].as_array().map_or(&[][..], Vec::as_slice);
        let status = text(&event["stack_status"]);
        let complete = status == "complete";
        let right = seen.iter().zip(own).all(|(frame, own)| same(frame, own))
            && if complete { seen.len() == own.len() } else { seen.len() <= own.len() };
        if !right {
            self.wrong.push(difference(own, seen, event));
        } else if complete {
            self.complete += 1;
        } else if own.len() > PROMISED_DEPTH && seen.len() >= PROMISED_DEPTH {
            self.deep += 1;
        } else {
            *self.incomplete.entry(status).or_default() += 1;
        }
        right && complete
    }

    fn outline(&self) -> String {
        format!(
            "{} calls compared, {} stacks whole, {} too deep, {} wrong, incomplete {:?}, {} uneven",
            self.compared,
            self.complete,
            self.deep,
            self.wrong.len(),
            self.incomplete,
            self.uneven.len()
        )
    }

    fn check(&self, trace: &Trace) -> Result<()> {
        let outline = self.outline();
        ensure!(
            self.wrong.is_empty(),
            "{outline}:\n{}",
            self.wrong[..self.wrong.len().min(3)].join("\n")
        );
        ensure!(
            self.uneven.is_empty(),
            "{outline}:\n{}\n{}",
            self.uneven[..self.uneven.len().min(10)].join("\n"),
            trace.ledger
        );
        ensure!(self.compared >= COMPARED, "{outline}: too few to tell");
        ensure!(self.deep <= 2 * DEEP_CALLS, "{outline}: more cut than there are deep stacks");
        let share = self.complete as f64 / (self.compared - self.deep) as f64;
        ensure!(share >= COMPLETE, "{outline}: {share:.5} whole\n{}", trace.ledger);
        ensure!(self.first_is_complete, "the first call after the attach has no whole stack");
        Ledger(&trace.ledger).check_sums()
    }
}

/// The traced calls that the record can know, each kind and path (or thread) in its order.
fn by_key<'a>(events: &'a [Value], folder: &str) -> HashMap<Key, Vec<&'a Value>> {
    let mut found: HashMap<Key, Vec<&Value>> = HashMap::new();
    // Within a thread the order of calls is certain; between threads a number may be given anew
    // before its close is told.
    let mut opened: HashMap<(String, String), String> = HashMap::new();
    for event in events {
        let (tid, fd) = (text(&event["tid"]), text(&event["fd"]));
        let path = event["path"].as_str().filter(|path| path.starts_with(folder));
        let kind = match (event["event"].as_str(), event["call"].as_str()) {
            (Some("close"), call) => {
                let path = opened.remove(&(tid, fd));
                if let (Some("close"), Some(path)) = (call, path) {
                    found.entry(("close".into(), path)).or_default().push(event);
                }
                continue;
            }
            (Some("open" | "fail"), Some("open" | "openat")) => match path {
                Some(path) => {
                    opened.insert((tid, fd), path.to_owned());
                    found.entry(("open".into(), path.to_owned())).or_default().push(event);
                    continue;
                }
                None => continue,
            },
            (Some("open"), Some("pipe" | "pipe2")) => "pipe",
            // `os.scandir` duplicates a folder's descriptor, of which the record does not know.
            (Some("open"), Some("dup" | "dup2" | "dup3" | "fcntl")) if event["kind"] == "pipe" => {
                "dup"
            }
            (Some("open"), Some("socket")) => "socket",
            (Some("open"), Some("eventfd" | "eventfd2")) => "eventfd",
            _ => continue,
        };
        found.entry((kind.into(), tid)).or_default().push(event);
    }
    found
}

/// A close that is told by the call that got the number next, with that call's stack: the stack is
/// not that of the close.
fn is_foreign(event: &Value) -> bool {
    let closes = ["close", "close_range", "dup2", "dup3"];
    event["event"] == "close"
        && !event["call"].as_str().is_some_and(|call| closes.contains(&call))
        && event["stack"].as_array().is_some_and(|stack| !stack.is_empty())
}

fn same(frame: &Value, own: &Value) -> bool {
    frame["file"] == own[0] && frame["function"] == own[1] && frame["line"] == own[2]
}

/// What a wrong stack looks like, from the first frame that differs on.
fn difference(own: &[Value], seen: &[Value], event: &Value) -> String {
    let equal = seen.iter().zip(own).take_while(|(frame, own)| same(frame, own)).count();
    let first = |stack: &[Value]| -> Vec<String> {
        stack[equal..].iter().take(2).map(Value::to_string).collect()
    };
    format!(
        "{} of {} (fd {}), {}: {equal} frames equal of {} own and {} seen\n  own  {:?}\n  seen {:?}",
        event["event"],
        event["call"],
        event["fd"],
        event["stack_status"],
        own.len(),
        seen.len(),
        first(own),
        first(seen)
    )
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
