//! The processes that are watched, with what is worth a column of a table.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::{View, value};
use crate::detect::Severity;
use crate::event::ProcessId;
use crate::ledger::Process;

/// Bytes of a command line, which may have megabytes. The word that goes beyond is the last.
const COMMAND: usize = 2_048;

#[derive(Serialize)]
struct Processes {
    time: f64,
    processes: Vec<Row>,
}

/// What every answer says of a process.
#[derive(Serialize)]
pub(super) struct Row {
    pid: u32,
    parent: Option<u32>,
    service: String,
    python: String,
    executable: String,
    cmdline: Vec<String>,
    start_time: f64,
    state: &'static str,
    descriptors: u64,
    descriptor_limit: Option<u64>,
    resident_bytes: Option<u64>,
    threads: Option<u64>,
    cpu_seconds: Option<f64>,
    findings: u64,
    severity: Option<&'static str>,
}

/// Findings of a process: how many, and how bad the worst is.
pub(super) type Found = HashMap<ProcessId, (u64, Severity)>;

pub(super) fn found(view: &View<'_>) -> Found {
    let mut found = Found::new();
    for finding in view.board.iter() {
        let entry = found.entry(finding.process).or_insert((0, finding.severity));
        entry.0 += 1;
        entry.1 = entry.1.max(finding.severity);
    }
    found
}

/// Those that live, and with `ended` those that have ended and are remembered.
pub fn processes(view: &View<'_>, ended: bool) -> Value {
    let found = found(view);
    let known = view.ledger.processes();
    let shown = known.filter(|(_, process)| ended || process.ended_ns.is_none());
    let processes = shown.map(|(id, process)| Row::of(id, process, &found)).collect();
    value(Processes { time: view.time(), processes })
}

impl Row {
    pub(super) fn of(id: ProcessId, process: &Process, found: &Found) -> Self {
        let info = &process.info;
        let newest = process.memory.newest();
        let found = found.get(&id);
        Self {
            pid: info.pid,
            parent: info.parent,
            service: info.service.clone(),
            python: info.python.clone(),
            executable: info.executable.clone(),
            cmdline: command(&info.cmdline),
            start_time: info.start_time,
            state: if process.ended_ns.is_none() { "alive" } else { "ended" },
            descriptors: process.open(),
            descriptor_limit: info.descriptor_limit,
            resident_bytes: newest.map(|sample| sample.resident),
            threads: newest.map(|sample| sample.threads),
            cpu_seconds: newest.map(|sample| (sample.cpu_ns / 1_000_000) as f64 / 1e3),
            findings: found.map_or(0, |found| found.0),
            severity: found.map(|found| found.1.name()),
        }
    }
}

fn command(words: &[String]) -> Vec<String> {
    let mut room = Some(COMMAND);
    let fits = words.iter().take_while(|word| {
        let had = room;
        room = room.and_then(|left| left.checked_sub(word.len()));
        had.is_some()
    });
    fits.cloned().collect()
}

#[derive(Serialize)]
struct Life<'a> {
    change: &'static str,
    pid: u32,
    service: &'a str,
}

/// The event that a process is watched from now on.
pub fn came(process: &Process) -> Value {
    life("started", process.info.pid, &process.info.service)
}

/// The event that a process is not watched any more.
pub fn went(pid: u32, service: &str) -> Value {
    life("ended", pid, service)
}

fn life(change: &'static str, pid: u32, service: &str) -> Value {
    value(Life { change, pid, service })
}
