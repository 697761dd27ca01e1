//! How the agent itself is doing: what it saw, what it lost, what it costs.

use prometheus_client::registry::Unit;

use super::Health;
use super::family::{Family, Scrape, Series};
use crate::detect::Board;
use crate::export::WallClock;
use crate::ledger::Ledger;

pub(super) fn build(scrape: &mut Scrape<'_>) {
    let mut series = Series::default();
    series.add(vec![env!("CARGO_PKG_VERSION").to_owned()], 1.0);
    scrape.info(Family::new("build", "Version of pitviper").of(&["version"]), series);
}

pub(super) fn flows(scrape: &mut Scrape<'_>, ledger: &Ledger) {
    let mut emitted = Series::default();
    let mut received = Series::default();
    let mut dropped = Series::default();
    for (kind, flow) in ledger.flows() {
        let kind = (*kind).to_owned();
        emitted.add(vec![kind.clone()], flow.emitted as f64);
        received.add(vec![kind.clone()], flow.received as f64);
        for (cause, lost) in &flow.dropped {
            dropped.add(vec![kind.clone(), (*cause).to_owned()], *lost as f64);
        }
    }
    let family = |name, help| Family::new(name, help).of(&["kind"]);
    scrape.counter(family("events_emitted", "Events that happened in traced processes"), emitted);
    scrape.counter(family("events_received", "Events that reached the agent"), received);
    let help = "Events that did not reach the agent";
    scrape.counter(Family::new("events_dropped", help).of(&["kind", "cause"]), dropped);
    let outcomes = ledger.outcomes();
    let walks = Series::counts([
        ("complete", outcomes.complete),
        ("truncated", outcomes.truncated),
        ("unreadable", outcomes.unreadable),
        ("no_thread_state", outcomes.no_thread_state),
    ]);
    let help = "Walks of Python stacks by their outcome";
    scrape.counter(Family::new("stack_walks", help).of(&["outcome"]), walks);
}

pub(super) fn state(
    scrape: &mut Scrape<'_>,
    ledger: &Ledger,
    board: &Board,
    processes: usize,
    clock: WallClock,
) {
    let help = "Processes that are watched";
    scrape.gauge(Family::new("processes", help), Series::one(processes as f64));
    let accounts = ledger.accounts().count() as f64;
    let help = "Pairs of a line and a kind of descriptor in the ledger";
    scrape.gauge(Family::new("accounts", help), Series::one(accounts));
    let conducts = ledger.conducts().count() as f64;
    let help = "Pairs of a line and a sort of act in the ledger";
    scrape.gauge(Family::new("conducts", help), Series::one(conducts));
    let overflow = ledger.overflow();
    let over = Series::counts([
        ("processes", overflow.processes),
        ("accounts", overflow.accounts),
        ("stacks", overflow.stacks),
        ("unclosed", overflow.unclosed),
        ("acts", ledger.acts_left_out()),
        ("stale_snapshots", overflow.stale_snapshots),
        ("findings", board.left_out()),
    ]);
    let help = "Records beyond a bound of the agent";
    scrape.counter(Family::new("overflow", help).of(&["bound"]), over);
    let looked = Series::one(clock.unix_seconds(ledger.time_ns()));
    let help = "Unix time of the newest look at the probes";
    scrape.gauge(Family::new("last_look_timestamp", help).unit(Unit::Seconds), looked);
}

pub(super) fn left_out(scrape: &mut Scrape<'_>, health: &Health) {
    let mut series = Series::default();
    for (reason, count) in &health.left_out {
        series.add(vec![(*reason).to_owned()], *count as f64);
    }
    let help = "Python processes of the host that are not watched, by the reason (agent only)";
    scrape.gauge(Family::new("processes_left_out", help).of(&["reason"]), series);
}

pub(super) fn cost(scrape: &mut Scrape<'_>, health: &Health) {
    let cpu = Family::new("agent_cpu", "CPU time of the agent").unit(Unit::Seconds);
    scrape.counter(cpu, Series::known(health.cpu_seconds));
    let memory = Family::new("agent_resident_memory", "Memory that the agent holds");
    let resident = health.resident_bytes.map(|bytes| bytes as f64);
    scrape.gauge(memory.unit(Unit::Bytes), Series::known(resident));
    let help = "Time that it took to make the scrape before this one";
    let making = Family::new("scrape_duration", help).unit(Unit::Seconds);
    scrape.gauge(making, Series::known(health.scrape_seconds));
    let (mut time, mut runs) = (Series::default(), Series::default());
    for (program, run) in &health.programs {
        time.add(vec![program.clone()], run.seconds);
        runs.add(vec![program.clone()], run.count as f64);
    }
    let by_program = &["program"];
    let help = "Time that a probe has run, where the kernel measures it (kernel.bpf_stats_enabled)";
    scrape.counter(Family::new("bpf_run", help).of(by_program).unit(Unit::Seconds), time);
    let help = "Times that a probe has run, where the kernel counts them";
    scrape.counter(Family::new("bpf_runs", help).of(by_program), runs);
    let (mut entries, mut capacity) = (Series::default(), Series::default());
    for (map, (used, size)) in &health.maps {
        entries.add(vec![(*map).to_owned()], *used as f64);
        capacity.add(vec![(*map).to_owned()], *size as f64);
    }
    let help = "Entries of a kernel map, counted every 10 s";
    scrape.gauge(Family::new("map_entries", help).of(&["map"]), entries);
    let help = "Entries that a kernel map has room for";
    scrape.gauge(Family::new("map_capacity", help).of(&["map"]), capacity);
    let help = "Connections to the agent's web server by how they ended";
    let connections = health.connections.map(Series::counts).unwrap_or_default();
    scrape.counter(Family::new("web_connections", help).of(&["outcome"]), connections);
}
