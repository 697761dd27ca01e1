//! Descriptors: open, opened, closed, left to the collector, and how many there is room for.

use std::collections::BTreeSet;

use prometheus_client::registry::Unit;

use super::OTHER;
use super::alive::Alive;
use super::family::{Family, PROCESS, Scrape, Series};
use crate::detect::{Evidence, Finding, Kind};
use crate::export::visible;
use crate::ledger::Ledger;
use crate::source::DescriptorOrigin;

pub(super) fn register(scrape: &mut Scrape<'_>, alive: &Alive<'_>) {
    let mut open = Series::default();
    let mut limit = Series::default();
    let mut states = Series::default();
    let mut origins = Series::default();
    let mut drift = Series::default();
    let mut opened = Series::default();
    let mut closed = Series::default();
    for (name, process) in &alive.processes {
        open.add(name.alone(), process.open() as f64);
        if let Some(soft) = process.info.descriptor_limit {
            limit.add(name.alone(), soft as f64);
        }
        if let Some(check) = process.table {
            drift.add(name.alone(), check.tracked as f64 - check.actual as f64);
        }
        for (origin, count) in &process.by_origin {
            origins.add(name.with(&[origin_name(*origin)]), *count as f64);
        }
        for (kind, totals) in &process.by_kind {
            for (state, count) in [("used", totals.used), ("idle", totals.idle)] {
                states.add(name.with(&[kind.name(), state]), count as f64);
            }
            opened.add(name.with(&[kind.name()]), totals.opened as f64);
            closed.add(name.with(&[kind.name()]), totals.closed as f64);
        }
    }
    let by_kind = &["pid", "service", "kind"];
    let help = "Descriptors open in the process";
    scrape.gauge(Family::new("descriptors_open", help).of(PROCESS), open);
    let help = "Soft limit on descriptors of the process";
    scrape.gauge(Family::new("descriptors_limit", help).of(PROCESS), limit);
    let help = "Open descriptors by kind and by state: idle is untouched for a minute";
    let family = Family::new("descriptors", help).of(&["pid", "service", "kind", "state"]);
    scrape.gauge(family, states);
    let help = "Open descriptors by the way in which they got into the ledger";
    let family = Family::new("descriptors_by_origin", help).of(&["pid", "service", "origin"]);
    scrape.gauge(family, origins);
    let help = "Descriptors in the ledger less those in the process's table, when last compared";
    scrape.gauge(Family::new("descriptors_drift", help).of(PROCESS), drift);
    let help =
        "Descriptors opened since the attach; those closed within a second are of kind other";
    scrape.counter(Family::new("descriptors_opened", help).of(by_kind), opened);
    let help = "Descriptors opened since the attach that were closed";
    scrape.counter(Family::new("descriptors_closed", help).of(by_kind), closed);
}

fn origin_name(origin: DescriptorOrigin) -> &'static str {
    match origin {
        DescriptorOrigin::Traced => "traced",
        DescriptorOrigin::BeforeAttach => "before_attach",
        DescriptorOrigin::Inherited => "inherited",
        DescriptorOrigin::Found => "found",
    }
}

/// When the limit is reached, for processes that `fd-headroom` tells it of.
pub(super) fn headroom(scrape: &mut Scrape<'_>, findings: &[Finding], alive: &Alive<'_>) {
    let mut left = Series::default();
    for finding in findings.iter().filter(|finding| finding.kind == Kind::FdHeadroom) {
        let Some(name) = alive.name(finding.process) else { continue };
        // The sum of several processes' times would mean nothing.
        if name.is_other() {
            continue;
        }
        if let Some(Evidence::Measure(seconds)) = finding.evidence.get("seconds_to_limit") {
            left.add(name.alone(), *seconds);
        }
    }
    let help = "Time until the process reaches its limit on descriptors, where it grows steadily";
    let family = Family::new("descriptors_exhaustion", help).of(PROCESS).unit(Unit::Seconds);
    scrape.gauge(family, left);
}

/// Implicit closes; returns how many types have no label of their own.
pub(super) fn unclosed(scrape: &mut Scrape<'_>, ledger: &Ledger, alive: &Alive<'_>) -> u64 {
    let mut types: Vec<(u64, &str)> =
        ledger.unclosed().map(|(key, account)| (account.first_ns, &*key.type_name)).collect();
    types.sort_unstable();
    let (mut named, mut folded) = (BTreeSet::new(), BTreeSet::new());
    for (_, name) in types {
        let known = scrape.continuity.names_type(name);
        if known { &mut named } else { &mut folded }.insert(name);
    }
    let mut series = Series::default();
    for (key, account) in ledger.unclosed() {
        let Some(name) = alive.name(key.process) else { continue };
        let known = named.contains(&*key.type_name);
        let type_name = if known { visible(&key.type_name, 80) } else { OTHER.to_owned() };
        series.add(name.with(&[&type_name]), account.count as f64);
    }
    let help = "Resources that the program left to the collector";
    let family = Family::new("unclosed_resources", help).of(&["pid", "service", "type"]);
    scrape.counter(family, series);
    folded.len() as u64
}
