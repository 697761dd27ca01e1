//! How the agent itself is doing.

use serde_json::{Value, json};

use super::{View, seconds_between, value};

/// Flows of events, losses by cause, tables, and what the agent costs.
pub fn health(view: &View<'_>) -> Value {
    let ledger = view.ledger;
    // No process has this number: the sums are those of all.
    let totals = ledger.totals(crate::event::ProcessId(0));
    let outcomes = ledger.outcomes();
    let overflow = ledger.overflow();
    let flows: serde_json::Map<String, Value> = totals
        .flows
        .iter()
        .map(|(kind, flow)| {
            let (emitted, received) = (flow.emitted, flow.received);
            let flow = json!({ "emitted": emitted, "received": received, "dropped": flow.dropped });
            ((*kind).to_owned(), flow)
        })
        .collect();
    let table =
        |(entries, capacity): &(u64, u64)| json!({ "entries": entries, "capacity": capacity });
    let maps: serde_json::Map<String, Value> =
        view.health.maps.iter().map(|(name, fill)| ((*name).to_owned(), table(fill))).collect();
    let programs: serde_json::Map<String, Value> = view
        .health
        .programs
        .iter()
        .map(|(name, run)| (name.clone(), json!({ "runs": run.count, "seconds": run.seconds })))
        .collect();
    let alive = ledger.processes().filter(|(_, process)| process.ended_ns.is_none()).count();
    let since_ns = ledger.first_ns().unwrap_or(ledger.time_ns());
    value(json!({
        "time": view.time(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": seconds_between(since_ns, ledger.time_ns()),
        "processes": alive,
        "events": {
            "emitted": totals.emitted(),
            "received": totals.received(),
            "dropped": totals.dropped(),
            "by_kind": flows,
        },
        "stacks": {
            "complete": outcomes.complete,
            "truncated": outcomes.truncated,
            "unreadable": outcomes.unreadable,
            "no_thread_state": outcomes.no_thread_state,
        },
        "maps": maps,
        "programs": programs,
        "overflow": {
            "processes": overflow.processes,
            "accounts": overflow.accounts,
            "stacks": overflow.stacks,
            "unclosed": overflow.unclosed,
            "acts": ledger.acts_left_out(),
            "stale_snapshots": overflow.stale_snapshots,
            "findings": view.board.left_out(),
        },
        "cpu_seconds": view.health.cpu_seconds,
        "resident_bytes": view.health.resident_bytes,
        "scrape_seconds": view.health.scrape_seconds,
    }))
}
