//! One process: what it is, what it holds, and how that moved.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::processes::{Row, found};
use super::{View, seconds_between, value};
use crate::ledger::Process;
use crate::source::DescriptorOrigin;

/// Points of a history.
const POINTS: u64 = 60;

/// How far back a history goes: ten minutes.
const SPAN_NS: u64 = 600 * crate::ledger::SECOND_NS;

#[derive(Serialize)]
struct Detail {
    time: f64,
    process: Row,
    watched_seconds: f64,
    working_directory: Option<String>,
    anonymous_bytes: Option<u64>,
    io_uring: bool,
    descriptors: Descriptors,
    history: History,
}

#[derive(Serialize)]
struct Descriptors {
    open: u64,
    opened: u64,
    closed: u64,
    drift: Option<i64>,
    by_kind: BTreeMap<&'static str, Kind>,
    by_origin: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Kind {
    used: u64,
    idle: u64,
    opened: u64,
    closed: u64,
}

/// Pairs of seconds before now (negative) and a figure.
#[derive(Serialize)]
struct History {
    descriptors: Vec<(f64, u64)>,
    resident_bytes: Vec<(f64, u64)>,
}

/// The process of that pid; `None` when there was none.
pub fn process(view: &View<'_>, pid: u32) -> Option<Value> {
    let (id, process) = view.process(pid)?;
    let now_ns = view.ledger.time_ns();
    let since_ns = process.history().first_ns().unwrap_or(now_ns);
    let info = &process.info;
    Some(value(Detail {
        time: view.time(),
        process: Row::of(id, process, &found(view)),
        watched_seconds: seconds_between(since_ns, process.ended_ns.unwrap_or(now_ns)),
        working_directory: info.working_directory.as_ref().map(|d| d.display().to_string()),
        anonymous_bytes: process.memory.newest().map(|sample| sample.anonymous),
        io_uring: process.io_uring,
        descriptors: held(process, view.ledger.totals(id).descriptors.drift()),
        history: history(process, now_ns),
    }))
}

fn held(process: &Process, drift: Option<i64>) -> Descriptors {
    let by_kind: BTreeMap<_, _> = process
        .by_kind
        .iter()
        .map(|(kind, sums)| {
            let (used, idle) = (sums.used, sums.idle);
            (kind.name(), Kind { used, idle, opened: sums.opened, closed: sums.closed })
        })
        .collect();
    Descriptors {
        open: process.open(),
        opened: by_kind.values().map(|kind| kind.opened).sum(),
        closed: by_kind.values().map(|kind| kind.closed).sum(),
        drift,
        by_kind,
        by_origin: process.by_origin.iter().map(|(o, count)| (origin_name(*o), *count)).collect(),
    }
}

fn origin_name(origin: DescriptorOrigin) -> &'static str {
    match origin {
        DescriptorOrigin::Traced => "traced",
        DescriptorOrigin::BeforeAttach => "before_attach",
        DescriptorOrigin::Inherited => "inherited",
        DescriptorOrigin::Found => "found",
    }
}

fn history(process: &Process, now_ns: u64) -> History {
    let since_ns = process.history().first_ns().unwrap_or(now_ns);
    let from_ns = now_ns.saturating_sub(SPAN_NS).max(since_ns);
    let before = |time_ns| -seconds_between(time_ns, now_ns);
    let moment = |point| from_ns + (now_ns.saturating_sub(from_ns)) / POINTS * point;
    let alive = |time_ns| process.history().at(time_ns).map(|sample| sample.alive as u64);
    let points = (0..=POINTS).map(moment);
    let descriptors = points.filter_map(|time_ns| Some((before(time_ns), alive(time_ns)?)));
    let samples: Vec<_> = process.memory.last(SPAN_NS).collect();
    let step = samples.len().div_ceil(POINTS as usize).max(1);
    let resident = samples.iter().rev().step_by(step).rev();
    History {
        descriptors: descriptors.collect(),
        resident_bytes: resident.map(|s| (before(s.time_ns), s.resident)).collect(),
    }
}
