//! The target never notices: it is never stopped, and when the agent is killed nothing stays
//! attached and the target ends with the right result.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::process::thread_states;
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::target::Target;
use rustix::process::Signal;
use serde_json::Value;

const ROUNDS: &str = "1500";
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_killed_agent_leaves_nothing_behind() -> Result<()> {
    if !met("target_unharmed")? {
        return Ok(());
    }
    if Command::new("bpftool").arg("version").output().is_err() {
        return skip("target_unharmed", "bpftool is not installed");
    }
    interpreter::on_every(1, |python| {
        let expected = result_of(python, |target| target.tell("go"))?;
        let killed = result_of(python, |target| watch(target, Signal::KILL))?;
        ensure!(killed == expected, "the result changed: {killed} is not {expected}");
        let ended = result_of(python, |target| watch(target, Signal::INT))?;
        ensure!(ended == expected, "the result changed: {ended} is not {expected}");
        Ok(())
    })
}

/// Starts the computation, lets `watch` see it through its first half, and gives its result.
fn result_of(python: &Interpreter, watch: impl Fn(&mut Target) -> Result<()>) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let args = [folder.path().as_os_str(), ROUNDS.as_ref()];
    let mut target = Target::start(python, "computation.py", &args)?;
    let pid = target.pid();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let states = scope.spawn(|| states_until(&over, pid));
        let result = watch(&mut target).and_then(|()| target.expect_within("DONE", LIMIT));
        over.store(true, Ordering::Relaxed);
        let states = states.join().ok().context("the sampler failed")??;
        ensure!(!states.contains(&'T') && !states.contains(&'t'), "stopped: {states:?}");
        result
    })
}

/// Attaches, ends the agent by `signal` when the target is half through, and checks that every
/// program and link of the agent is gone from the kernel.
fn watch(target: &mut Target, signal: Signal) -> Result<()> {
    let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
    target.tell("go")?;
    target.expect_within("HALF", LIMIT)?;
    let held = held_by(agent.pid())?;
    ensure!(held.len() > 1 && held.is_subset(&all()?), "not known to bpftool: {held:?}");
    agent.signal(signal)?;
    let ended = agent.ended(LIMIT)?;
    ensure!(ended.code().is_some() == (signal == Signal::INT), "ended with {}", ended.status);
    wait_for("the end of the agent's programs and links", Duration::from_secs(10), || {
        let left: Vec<_> = held.intersection(&all()?).cloned().collect();
        Ok(left.is_empty().then_some(()))
    })
}

/// Every scheduler state that a thread of the target was seen in.
fn states_until(over: &AtomicBool, pid: u32) -> Result<BTreeSet<char>> {
    let mut seen = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        seen.extend(thread_states(pid)?);
        // The pace of a sampler, not a wait.
        thread::sleep(Duration::from_millis(1));
    }
    Ok(seen)
}

/// A BPF program or link: what it is, and its id.
type Object = (&'static str, u64);

/// The programs and links that descriptors of `pid` refer to.
fn held_by(pid: u32) -> Result<BTreeSet<Object>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed between the listing and the read.
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        for line in text.lines() {
            for kind in KINDS {
                let id = line.strip_prefix(kind).and_then(|rest| rest.strip_prefix("_id:"));
                if let Some(id) = id {
                    found.insert((kind, id.trim().parse()?));
                }
            }
        }
    }
    Ok(found)
}

const KINDS: [&str; 2] = ["prog", "link"];

/// All programs and links of the kernel.
fn all() -> Result<BTreeSet<Object>> {
    let mut found = BTreeSet::new();
    for kind in KINDS {
        let output = Command::new("bpftool").args([kind, "show", "--json"]).output()?;
        let listed: Value = serde_json::from_slice(&output.stdout)?;
        for object in listed.as_array().context("bpftool lists nothing")? {
            found.insert((kind, object["id"].as_u64().context("an object without id")?));
        }
    }
    Ok(found)
}
