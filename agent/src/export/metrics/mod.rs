//! Prometheus metrics: `pitviper_*`, in base units, with bounded labels.
//!
//! The registry is made anew from the ledger for each exposition: series of processes that ended are
//! simply not there any more, and nothing can be left over. Pids and types of resources come from the
//! target, so only so many get a label of their own; the rest is summed up as `~other`.

mod series;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{WallClock, visible};
use crate::detect::{Board, Finding};
use crate::event::ProcessId;
use crate::ledger::{Ledger, Process};
use series::Series;

pub use text::Exposition;

/// Processes with a label of their own.
const PIDS: usize = 256;

/// Types of unclosed resources with a label of their own.
const TYPES: usize = 32;

/// The label of what did not get its own.
const OTHER: &str = "~other";

/// How the agent itself is doing, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Seconds of CPU that it has used.
    pub cpu_seconds: Option<f64>,
    /// Bytes of memory that it holds.
    pub resident_bytes: Option<u64>,
    /// Seconds that its probes have run in the kernel.
    pub bpf_run_seconds: Option<f64>,
    /// Entries and capacity of each kernel map, by name.
    pub maps: BTreeMap<&'static str, (u64, u64)>,
}

/// Everything there is to scrape, in both formats.
///
/// # Errors
/// When the encoder fails, which a string to write to gives no reason for.
pub fn exposition(
    ledger: &Ledger,
    board: &Board,
    health: &Health,
    clock: WallClock,
) -> Result<Exposition, fmt::Error> {
    let mut registry = Registry::with_prefix("pitviper");
    let info = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Version of pitviper", info);
    let alive = Alive::of(ledger);
    descriptors(&mut registry, &alive);
    unclosed(&mut registry, ledger, &alive);
    findings(&mut registry, &board.findings(), &alive);
    flows(&mut registry, ledger);
    agent(&mut registry, ledger, board, &alive, clock);
    own_cost(&mut registry, health);
    Exposition::encode(&registry)
}

/// Processes that live, with the label of each.
struct Alive<'a> {
    processes: Vec<(String, &'a Process)>,
    labels: BTreeMap<ProcessId, String>,
}

impl<'a> Alive<'a> {
    fn of(ledger: &'a Ledger) -> Self {
        let alive = ledger.processes().filter(|(_, process)| process.ended_ns.is_none());
        let mut processes = Vec::new();
        let mut labels = BTreeMap::new();
        // In the order in which they came: a process keeps its label.
        for (index, (id, process)) in alive.enumerate() {
            let label = if index < PIDS { process.info.pid.to_string() } else { OTHER.to_owned() };
            labels.insert(id, label.clone());
            processes.push((label, process));
        }
        Self { processes, labels }
    }
}

fn descriptors(registry: &mut Registry, alive: &Alive<'_>) {
    let mut open = Series::default();
    let mut limit = Series::default();
    let mut states = Series::default();
    let mut origins = Series::default();
    let mut drift = Series::default();
    let mut opened = Series::default();
    let mut closed = Series::default();
    for (pid, process) in &alive.processes {
        let of_pid = || vec![("pid", pid.clone())];
        let with = |name, value: &str| vec![("pid", pid.clone()), (name, value.to_owned())];
        open.add(of_pid(), process.open() as f64);
        if let Some(soft) = process.info.descriptor_limit {
            limit.add(of_pid(), soft as f64);
        }
        if let Some(check) = process.table {
            drift.add(of_pid(), check.tracked as f64 - check.actual as f64);
        }
        for (origin, count) in &process.by_origin {
            origins.add(with("origin", origin_name(*origin)), *count as f64);
        }
        for (kind, totals) in &process.by_kind {
            for (state, count) in [("used", totals.used), ("idle", totals.idle)] {
                let mut labels = with("kind", kind.name());
                labels.push(("state", state.to_owned()));
                states.add(labels, count as f64);
            }
            opened.add(with("kind", kind.name()), totals.opened as f64);
            closed.add(with("kind", kind.name()), totals.closed as f64);
        }
    }
    open.gauge(registry, "descriptors_open", "Descriptors open in the process");
    limit.gauge(registry, "descriptors_limit", "Soft limit on descriptors of the process");
    let help = "Open descriptors by kind and by state: idle is untouched for a minute";
    states.gauge(registry, "descriptors", help);
    let help = "Open descriptors by the way in which they got into the ledger";
    origins.gauge(registry, "descriptors_by_origin", help);
    let help = "Descriptors in the ledger less those in the process's table, when last compared";
    drift.gauge(registry, "descriptors_drift", help);
    let help =
        "Descriptors opened since the attach; those closed within a second are of kind other";
    opened.counter(registry, "descriptors_opened", help);
    let help = "Descriptors opened since the attach that were closed";
    closed.counter(registry, "descriptors_closed", help);
}

fn origin_name(origin: crate::source::DescriptorOrigin) -> &'static str {
    use crate::source::DescriptorOrigin;
    match origin {
        DescriptorOrigin::Traced => "traced",
        DescriptorOrigin::BeforeAttach => "before_attach",
        DescriptorOrigin::Inherited => "inherited",
        DescriptorOrigin::Found => "found",
    }
}

fn unclosed(registry: &mut Registry, ledger: &Ledger, alive: &Alive<'_>) {
    let mut types: Vec<(u64, &str)> =
        ledger.unclosed().map(|(key, account)| (account.first_ns, &*key.type_name)).collect();
    // The first that came keep their label for good.
    types.sort_unstable();
    let mut named = BTreeSet::new();
    for (_, name) in types {
        if named.len() < TYPES {
            named.insert(name);
        }
    }
    let mut series = Series::default();
    for (key, account) in ledger.unclosed() {
        let Some(pid) = alive.labels.get(&key.process) else { continue };
        let known = named.contains(&*key.type_name);
        let name = if known { visible(&key.type_name, 80) } else { OTHER.to_owned() };
        series.add(vec![("pid", pid.clone()), ("type", name)], account.count as f64);
    }
    let help = "Resources that the collector closed, not the program";
    series.counter(registry, "unclosed_resources", help);
}

fn findings(registry: &mut Registry, findings: &[Finding], alive: &Alive<'_>) {
    let mut series = Series::default();
    for finding in findings {
        let Some(pid) = alive.labels.get(&finding.process) else { continue };
        let labels = vec![
            ("pid", pid.clone()),
            ("kind", finding.kind.name().to_owned()),
            ("severity", finding.severity.name().to_owned()),
            ("confidence", finding.confidence.name().to_owned()),
        ];
        series.add(labels, 1.0);
    }
    series.gauge(registry, "findings", "Findings about processes that live");
}

fn flows(registry: &mut Registry, ledger: &Ledger) {
    let mut emitted = Series::default();
    let mut received = Series::default();
    let mut dropped = Series::default();
    for (kind, flow) in ledger.flows() {
        let labels = || vec![("kind", (*kind).to_owned())];
        emitted.add(labels(), flow.emitted as f64);
        received.add(labels(), flow.received as f64);
        for (cause, lost) in &flow.dropped {
            let mut labels = labels();
            labels.push(("cause", (*cause).to_owned()));
            dropped.add(labels, *lost as f64);
        }
    }
    emitted.counter(registry, "events_emitted", "Events that happened in traced processes");
    received.counter(registry, "events_received", "Events that reached the agent");
    dropped.counter(registry, "events_dropped", "Events that did not reach the agent");
    let outcomes = ledger.outcomes();
    let walks = Series::counts(
        "outcome",
        [
            ("complete", outcomes.complete),
            ("truncated", outcomes.truncated),
            ("unreadable", outcomes.unreadable),
            ("no_thread_state", outcomes.no_thread_state),
        ],
    );
    walks.counter(registry, "stack_walks", "Walks of Python stacks by their outcome");
}

fn agent(
    registry: &mut Registry,
    ledger: &Ledger,
    board: &Board,
    alive: &Alive<'_>,
    clock: WallClock,
) {
    let processes = Series::one(alive.processes.len() as f64);
    processes.gauge(registry, "processes", "Processes that are watched");
    let accounts = Series::one(ledger.accounts().count() as f64);
    let help = "Pairs of a line and a kind of descriptor in the ledger";
    accounts.gauge(registry, "accounts", help);
    let overflow = ledger.overflow();
    let over = Series::counts(
        "bound",
        [
            ("processes", overflow.processes),
            ("accounts", overflow.accounts),
            ("stacks", overflow.stacks),
            ("unclosed", overflow.unclosed),
            ("stale_snapshots", overflow.stale_snapshots),
            ("findings", board.left_out()),
        ],
    );
    over.counter(registry, "overflow", "Records beyond a bound of the agent");
    let looked = Series::one(clock.unix_seconds(ledger.time_ns()));
    let help = "Unix time of the newest look at the probes";
    looked.gauge_in(registry, "last_look_timestamp", help, Unit::Seconds);
}

fn own_cost(registry: &mut Registry, health: &Health) {
    for (name, help, seconds) in [
        ("agent_cpu", "CPU time of the agent", health.cpu_seconds),
        ("bpf_run", "Time that the probes have run", health.bpf_run_seconds),
    ] {
        if let Some(seconds) = seconds {
            Series::one(seconds).counter_in(registry, name, help, Unit::Seconds);
        }
    }
    if let Some(bytes) = health.resident_bytes {
        let help = "Memory that the agent holds";
        Series::one(bytes as f64).gauge_in(registry, "agent_resident_memory", help, Unit::Bytes);
    }
    let mut entries = Series::default();
    let mut capacity = Series::default();
    for (map, (used, size)) in &health.maps {
        entries.add(vec![("map", (*map).to_owned())], *used as f64);
        capacity.add(vec![("map", (*map).to_owned())], *size as f64);
    }
    entries.gauge(registry, "map_entries", "Entries of a kernel map");
    capacity.gauge(registry, "map_capacity", "Entries that a kernel map has room for");
}

#[cfg(test)]
mod tests;
