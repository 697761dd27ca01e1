//! `unclosed-resource`: a file or socket that the collector closed, not the program.
//!
//! CPython closes it as soon as nothing refers to it any more, so it is no leak. It is closed late all
//! the same, without its errors being seen, and not at all on an interpreter that collects later.

use std::collections::BTreeMap;

use crate::ledger::{Ledger, Owner, SECOND_NS, UnclosedAccount, UnclosedKey};

use super::board::Verdicts;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::thresholds::{Thresholds, UnclosedResourceThresholds};
use super::{advice, wording};

/// One finding a line and type.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &Thresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let thresholds = &thresholds.unclosed_resource;
    for (key, account) in ledger.unclosed() {
        verdicts.findings.push(finding(key, account, ledger, thresholds, now_ns));
    }
}

fn finding(
    key: &UnclosedKey,
    account: &UnclosedAccount,
    ledger: &Ledger,
    thresholds: &UnclosedResourceThresholds,
    now_ns: u64,
) -> Finding {
    let stack = ledger.stack(key.process, account.stack);
    let (per_minute, window_ns) = rate(account, ledger, thresholds, now_ns);
    Finding {
        kind: Kind::UnclosedResource,
        severity: severity(per_minute, thresholds),
        confidence: confidence(account, thresholds),
        process: key.process,
        site: key.site.clone(),
        origin: stack.and_then(|stack| stack.frames.first()).cloned(),
        stack: stack.map(|stack| stack.frames.clone()).unwrap_or_default(),
        evidence: evidence(key, account, per_minute, window_ns),
        summary: summary(key, account, per_minute),
        advice: advice::unclosed(&key.type_name).to_owned(),
        first_ns: account.first_ns,
        last_ns: account.last_ns,
    }
}

/// How many a minute over the last minute, or over what has been seen of it.
fn rate(
    account: &UnclosedAccount,
    ledger: &Ledger,
    thresholds: &UnclosedResourceThresholds,
    now_ns: u64,
) -> (f64, u64) {
    let watched_ns = now_ns.saturating_sub(ledger.first_ns().unwrap_or(now_ns));
    let window_ns = watched_ns.clamp(thresholds.least_window_ns, thresholds.window_ns);
    let then = account.history().at(now_ns.saturating_sub(window_ns));
    let count = account.count as f64 - then.map_or(0.0, |then| then.opened);
    (count.max(0.0) * 60.0 * SECOND_NS as f64 / window_ns as f64, window_ns)
}

/// What the kernel side saw is a fact, however often. Whether it is worth an alarm is another
/// question where every line on the stack is somebody else's.
fn confidence(account: &UnclosedAccount, thresholds: &UnclosedResourceThresholds) -> Confidence {
    if account.owner == Owner::Own || account.count >= thresholds.foreign_count {
        Confidence::Confirmed
    } else {
        Confidence::Suspected
    }
}

fn severity(per_minute: f64, thresholds: &UnclosedResourceThresholds) -> Severity {
    match per_minute {
        rate if rate >= thresholds.high_per_minute => Severity::High,
        rate if rate >= thresholds.medium_per_minute => Severity::Medium,
        _ => Severity::Low,
    }
}

fn evidence(
    key: &UnclosedKey,
    account: &UnclosedAccount,
    per_minute: f64,
    window_ns: u64,
) -> BTreeMap<&'static str, Evidence> {
    let mut evidence = BTreeMap::from([
        ("type", Evidence::Text(key.type_name.clone())),
        ("count", Evidence::Count(account.count)),
        ("per_minute", Evidence::Measure(wording::rounded(per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(window_ns))),
    ]);
    if let Some(life_ns) = account.mean_life_ns() {
        let ms = wording::rounded(life_ns as f64 / 1e6);
        evidence.insert("mean_open_ms", Evidence::Measure(ms));
    }
    if let Some(frame) = account.mostly_dropped_at() {
        evidence.insert("dropped_at", Evidence::Place(frame.clone()));
    }
    evidence
}

fn summary(key: &UnclosedKey, account: &UnclosedAccount, per_minute: f64) -> String {
    let opened = if account.opened_known { "opened here" } else { "dropped here" };
    let mut text = format!(
        "{} × {} {opened} and never closed by the program, {}/min",
        wording::count(account.count),
        key.type_name,
        wording::rate(per_minute),
    );
    if let Some(life_ns) = account.mean_life_ns() {
        text.push_str(&format!(", open for {} in the mean", short(life_ns)));
    }
    if let Some(frame) =
        account.mostly_dropped_at().filter(|frame| Some(*frame) != key.site.as_ref())
    {
        text.push_str(&format!(", dropped at {}", wording::place(frame)));
    }
    text.push_str(". The collector closed it when the last reference went, so this is not a leak.");
    text
}

fn short(ns: u64) -> String {
    match ns as f64 / 1e6 {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ => wording::duration(ns),
    }
}
