//! A trace of more than descriptors: each call and each child, at its line, with what it did.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter;
use pitviper_tests::requirements::met;
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::Trace;
use serde_json::Value;

/// What `acts.py` does of each sort.
const COUNT: usize = 20;

/// Traces `what` while the program does `doing`.
fn trace(turn: usize, doing: &str, what: &[&str]) -> Result<Trace> {
    let folder = tempfile::tempdir()?;
    let arguments = [doing.as_ref(), folder.path().as_os_str()];
    let mut target = Target::start(&interpreter::pick(turn)?, "acts.py", &arguments)?;
    let pid = target.pid().to_string();
    let agent = Agent::attach(&[&["trace", &pid, "--json", "--what"], what].concat())?;
    target.tell("go")?;
    target.expect_within("DONE", Duration::from_secs(60))?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    Trace::parse(&ended.stdout)
}

/// The events at the marked line that `wanted` accepts.
fn at(trace: &Trace, marker: &str, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    let site = marked("acts.py", marker)?;
    let events = trace.events.iter().filter(|event| site.is(&event["site"]) && wanted(event));
    Ok(events.cloned().collect())
}

#[test]
fn children_are_born_run_and_end() -> Result<()> {
    if !met("trace_what")? {
        return Ok(());
    }
    let trace = trace(0, "spawns", &["spawns"])?;
    for event in ["born", "exec", "exit"] {
        let seen = at(&trace, "spawns", |e| e["event"] == event)?;
        ensure!(seen.len() == COUNT, "{} of {COUNT} {event}: {:?}", seen.len(), seen.first());
        for child in &seen {
            let words = child["command"].as_array().map_or(0, Vec::len);
            ensure!(event == "born" || words == 4, "not its arguments: {child}");
            let ended = event != "exit" || child["status"] == 0 && child["duration_ns"].is_u64();
            ensure!(ended, "not its end: {child}");
        }
    }
    let waited = trace.events.iter().filter(|event| event["call"] == "wait4").count();
    ensure!(waited == COUNT, "{waited} waits of {COUNT}");
    Ok(())
}

#[test]
fn calls_of_a_family_have_result_duration_and_line() -> Result<()> {
    if !met("trace_what")? {
        return Ok(());
    }
    for (turn, (doing, what, call, result)) in [
        ("read", "files", "pread64", Some(1 << 20)),
        ("written", "files", "pwrite64", Some(1 << 20)),
        ("connections", "connections", "connect", Some(0)),
        ("mapped", "memory", "mmap", None),
        ("blocking", "blocking", "", None),
    ]
    .into_iter()
    .enumerate()
    {
        let trace = trace(turn, doing, &[what])?;
        // Which call a sleep is depends on the version.
        let named = |event: &Value| call.is_empty() || event["call"] == call;
        let seen = at(&trace, doing, named)?;
        ensure!(seen.len() == COUNT, "{doing}: {} of {COUNT}: {:?}", seen.len(), seen.first());
        for event in &seen {
            let families = event["families"].as_array().context("no families")?;
            ensure!(families.contains(&what.into()), "not of {what}: {event}");
            ensure!(event["duration_ns"].is_u64() && event["event"] == "call", "{event}");
            ensure!(result.is_none_or(|result| event["result"] == result), "{event}");
        }
    }
    Ok(())
}

#[test]
fn only_what_is_slow() -> Result<()> {
    if !met("trace_what")? {
        return Ok(());
    }
    let trace = trace(0, "blocking", &["all", "--slow", "40"])?;
    ensure!(at(&trace, "blocking", |_| true)?.len() == COUNT, "{:?}", trace.events);
    let slow = |event: &Value| event["duration_ns"].as_u64().is_some_and(|ns| ns >= 40_000_000);
    ensure!(trace.events.iter().all(slow), "a quick one among {:?}", trace.events);
    Ok(())
}
