//! What processes do besides to descriptors: the acts of all their lines, summed.

use std::collections::BTreeMap;

use prometheus_client::registry::Unit;

use super::alive::Alive;
use super::family::{Family, PROCESS, Scrape, Series};
use crate::event::ProcessId;
use crate::export::activity::mapped_name;
use crate::ledger::Ledger;
use crate::source::{Act, Sums};

/// A counter of one sort of act.
struct Count {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    act: Act,
    value: fn(&Sums) -> u64,
}

fn count(name: &'static str, help: &'static str, act: Act, value: fn(&Sums) -> u64) -> Count {
    Count { name, help, unit: None, act, value }
}

fn bytes(name: &'static str, help: &'static str, act: Act, value: fn(&Sums) -> u64) -> Count {
    Count { unit: Some(Unit::Bytes), ..count(name, help, act, value) }
}

fn seconds(name: &'static str, help: &'static str, act: Act, value: fn(&Sums) -> u64) -> Count {
    Count { unit: Some(Unit::Seconds), ..count(name, help, act, value) }
}

fn counts() -> Vec<Count> {
    let mut all = processes();
    all.extend(connections());
    all.extend(files());
    all.extend(turns());
    all
}

fn processes() -> Vec<Count> {
    vec![
        count("spawns", "Processes that it made, or that these made", Act::Spawn, |s| s.count),
        count("execs", "Commands that processes which it made executed", Act::Exec, |s| s.count),
        count("children_ended", "Processes that it made and that ended", Act::Child, |s| s.count),
        count(
            "children_failed",
            "Children that ended with another status than 0",
            Act::Child,
            |s| s.failed,
        ),
        seconds("children_cpu", "CPU time of children that ended", Act::Child, |s| s.bytes),
        count("threads_started", "Threads that it started", Act::Thread, |s| s.count),
        count("threads_ended", "Threads it started that ended", Act::ThreadEnd, |s| s.count),
    ]
}

fn connections() -> Vec<Count> {
    let reset = "Connections that the other side ended before it had sent anything";
    vec![
        count("connects", "Attempts to connect", Act::Connect, |s| s.count),
        count("connects_failed", "Attempts to connect that failed", Act::Connect, |s| s.failed),
        seconds("connect", "Time until connections stood", Act::Connect, |s| s.ns),
        count("connections_ended", "Connections that ended", Act::Connection, |s| s.count),
        count("connections_rejected", reset, Act::Connection, |s| s.failed),
        bytes("connection", "Bytes of ended connections, both ways", Act::Connection, |s| s.bytes),
        seconds("connection", "Lives of connections that ended", Act::Connection, |s| s.ns),
    ]
}

fn files() -> Vec<Count> {
    let again = "Times that a file was read from its beginning, unchanged since it was read before";
    let again_bytes = "Bytes of files that were unchanged since they were read before";
    let listed = "Times that a directory was read through, unchanged since the time before";
    vec![
        count("file_opens", "Files opened", Act::Open, |s| s.count),
        count("file_reads", "Reads of regular files", Act::Read, |s| s.count),
        count("file_passes", "Times that a file was read from its start", Act::Read, |s| s.starts),
        count("file_rereads", again, Act::Read, |s| s.repeats),
        bytes("file_read", "Bytes read from regular files", Act::Read, |s| s.bytes),
        bytes("file_reread", again_bytes, Act::Read, |s| s.repeat_bytes),
        count("file_writes", "Writes to regular files", Act::Write, |s| s.count),
        bytes("file_written", "Bytes written to regular files", Act::Write, |s| s.bytes),
        count("file_syncs", "Calls of fsync, fdatasync, ftruncate", Act::Sync, |s| s.count),
        count("directory_listings", "Directories read through", Act::List, |s| s.count),
        count("directory_relistings", listed, Act::List, |s| s.repeats),
        count("stat_calls", "Calls of stat and its like", Act::Stat, |s| s.count),
        count("stat_calls_failed", "Calls of stat and its like that failed", Act::Stat, |s| {
            s.failed
        }),
    ]
}

fn turns() -> Vec<Count> {
    let stalls = "Times that an event loop stood still while something ran";
    let queued = "Connections that waited to be accepted while something ran";
    vec![
        count("event_loop_stalls", stalls, Act::Stall, |s| s.count),
        seconds("event_loop_stall", "Time that event loops stood still", Act::Stall, |s| s.ns),
        count("accept_waits", queued, Act::Queue, |s| s.count),
        seconds("accept_wait", "Time that connections waited to be accepted", Act::Queue, |s| s.ns),
        seconds("off_cpu", "Time off the CPU outside of calls", Act::OffCpu, |s| s.ns),
    ]
}

pub(super) fn register(scrape: &mut Scrape<'_>, ledger: &Ledger, alive: &Alive<'_>) {
    let sums = sums(ledger);
    for Count { name, help, unit, act, value } in counts() {
        let mut series = Series::default();
        let scale = if matches!(unit, Some(Unit::Seconds)) { 1e-9 } else { 1.0 };
        for (id, process) in alive.names() {
            // A counter that begins with its first event hides it from `increase`. But none is
            // claimed where no acts are summed at all, nor of what is only seen when asked for.
            match sums.get(&(id, act)) {
                Some(sums) => series.add(process.alone(), value(sums) as f64 * scale),
                None if !sums.is_empty() && act != Act::OffCpu => series.add(process.alone(), 0.0),
                None => {}
            }
        }
        let family = Family::new(name, help).of(PROCESS);
        let family = match unit {
            Some(unit) => family.unit(unit),
            None => family,
        };
        scrape.counter(family, series);
    }
    mappings(scrape, &sums, alive);
    children(scrape, ledger, alive);
}

/// Over all stacks. Not over lines: an act whose line is not known yet counts too.
fn sums(ledger: &Ledger) -> BTreeMap<(ProcessId, Act), Sums> {
    let mut sums = BTreeMap::<_, Sums>::new();
    for act in ledger.acts() {
        sums.entry((act.process, act.act)).or_default().add(&act.sums);
    }
    sums
}

fn mappings(scrape: &mut Scrape<'_>, sums: &BTreeMap<(ProcessId, Act), Sums>, alive: &Alive<'_>) {
    let (mut mapped, mut unmapped) = (Series::default(), Series::default());
    for ((process, act), sums) in sums {
        let (series, kind) = match act {
            Act::Map(kind) => (&mut mapped, kind),
            Act::Unmap(kind) => (&mut unmapped, kind),
            _ => continue,
        };
        if let Some(name) = alive.name(*process) {
            series.add(name.with(&[mapped_name(*kind)]), sums.bytes as f64);
        }
    }
    let family =
        |name, help| Family::new(name, help).of(&["pid", "service", "kind"]).unit(Unit::Bytes);
    scrape.counter(family("mapped", "Bytes mapped since the attach"), mapped);
    scrape.counter(family("unmapped", "Bytes unmapped since the attach"), unmapped);
}

fn children(scrape: &mut Scrape<'_>, ledger: &Ledger, alive: &Alive<'_>) {
    let mut series = Series::default();
    for child in ledger.children() {
        let Some(name) = alive.name(child.process) else { continue };
        let state = if child.ended_ns == 0 { "alive" } else { "zombie" };
        series.add(name.with(&[state]), 1.0);
    }
    let help = "Processes made since the attach that live, or have ended and nobody has reaped";
    scrape.gauge(Family::new("children", help).of(&["pid", "service", "state"]), series);
}
