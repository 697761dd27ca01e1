//! `fd-leak`: a line whose open descriptors keep growing, and nobody comes back to them.

mod judge;
#[cfg(test)]
mod scenarios;

use std::collections::BTreeMap;

use crate::ledger::{Account, Ledger, Process};

use super::board::{FindingKey, Verdicts};
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::thresholds::{FdLeakThresholds, Thresholds};
use super::{advice, wording};
use judge::{Doubt, Judgement};

/// Judges every account.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &Thresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for account in ledger.accounts() {
        if let Some(judgement) = judge::judge(account, ledger, thresholds, now_ns) {
            verdicts.findings.push(finding(account, &judgement, ledger, thresholds, now_ns));
        } else if let Some(why) = judge::refute(account, &thresholds.fd_leak, now_ns) {
            let key = FindingKey {
                kind: Kind::FdLeak,
                process: account.process,
                site: account.site.clone(),
                about: account.kind.name().to_owned(),
            };
            verdicts.refuted.push((key, why));
        }
    }
}

fn finding(
    account: &Account,
    judgement: &Judgement,
    ledger: &Ledger,
    thresholds: &Thresholds,
    now_ns: u64,
) -> Finding {
    let process = ledger.process(account.process);
    let per_minute = judgement.growth.per_minute();
    let left_ns = process.and_then(|process| time_left_ns(process, per_minute));
    let stack = account.largest_stack().and_then(|id| ledger.stack(account.process, id));
    let accepted = account.living().iter().any(|living| living.accepted);
    Finding {
        kind: Kind::FdLeak,
        severity: severity(left_ns, per_minute, &thresholds.fd_leak),
        confidence: if judgement.doubts.is_empty() {
            Confidence::Confirmed
        } else {
            Confidence::Suspected
        },
        process: account.process,
        site: account.site.clone(),
        origin: stack.and_then(|stack| stack.frames.first()).cloned(),
        stack: stack.map(|stack| stack.frames.clone()).unwrap_or_default(),
        native: stack
            .and_then(|stack| stack.natives.of_descriptors(|call| account.kind.may_come_of(call))),
        evidence: evidence(account, judgement, process, left_ns, now_ns),
        summary: summary(account, judgement, process, left_ns, now_ns),
        advice: advice::close(account.kind, accepted).to_owned(),
        first_ns: now_ns,
        last_ns: now_ns,
    }
}

/// Nanoseconds until the process meets its limit at this rate; `None` without a limit.
fn time_left_ns(process: &Process, per_minute: f64) -> Option<u64> {
    let limit = process.info.descriptor_limit?;
    let left = limit.saturating_sub(process.below_limit);
    super::time_to_fill_ns(left, per_minute)
}

/// The audits' bands: by the time that is left, and never below what the rate alone is worth.
fn severity(left_ns: Option<u64>, per_minute: f64, thresholds: &FdLeakThresholds) -> Severity {
    let by_time = match left_ns {
        Some(left) if left < thresholds.critical_ns => Severity::Critical,
        Some(left) if left < thresholds.high_ns => Severity::High,
        Some(left) if left < thresholds.medium_ns => Severity::Medium,
        _ => Severity::Low,
    };
    let by_rate =
        Severity::by_bands(per_minute, thresholds.medium_per_minute, thresholds.high_per_minute);
    by_time.max(by_rate)
}

fn oldest_ns(account: &Account, now_ns: u64) -> u64 {
    account.living().first().map_or(0, |oldest| now_ns.saturating_sub(oldest.born_ns))
}

/// How long the descriptor in the middle has been untouched.
fn median_idle_ns(account: &Account, now_ns: u64) -> u64 {
    let mut idle: Vec<u64> =
        account.living().iter().map(|living| now_ns.saturating_sub(living.used_ns)).collect();
    let middle = idle.len() / 2;
    if idle.is_empty() { 0 } else { *idle.select_nth_unstable(middle).1 }
}

fn evidence(
    account: &Account,
    judgement: &Judgement,
    process: Option<&Process>,
    left_ns: Option<u64>,
    now_ns: u64,
) -> BTreeMap<&'static str, Evidence> {
    let growth = &judgement.growth;
    let alive = account.living().len() as u64;
    let mut evidence = BTreeMap::from([
        ("descriptor_kind", Evidence::Text(account.kind.name().to_owned())),
        ("alive", Evidence::Count(alive)),
        // The counters may lag behind the list by what was opened while it was read.
        ("opened", Evidence::Count(account.opened.max(alive))),
        ("closed", Evidence::Count(account.closed)),
        ("per_minute", Evidence::Measure(wording::rounded(growth.per_minute()))),
        ("window_seconds", Evidence::Measure(wording::seconds(growth.window_ns))),
        ("oldest_seconds", Evidence::Measure(wording::seconds(oldest_ns(account, now_ns)))),
        ("idle_seconds", Evidence::Measure(wording::seconds(median_idle_ns(account, now_ns)))),
        ("stacks", Evidence::Count(u64::from(account.stacks))),
    ]);
    if let Some(process) = process {
        evidence.insert("process_open", Evidence::Count(process.open()));
        evidence.insert("before_attach", Evidence::Count(process.before_attach()));
        if let Some(limit) = process.info.descriptor_limit {
            evidence.insert("limit", Evidence::Count(limit));
        }
    }
    if let Some(left_ns) = left_ns {
        evidence.insert("seconds_to_limit", Evidence::Measure(wording::seconds(left_ns)));
    }
    for doubt in &judgement.doubts {
        if let Doubt::Lost(lost) = doubt {
            evidence.insert("lost_events", Evidence::Count(*lost));
        }
    }
    evidence
}

fn summary(
    account: &Account,
    judgement: &Judgement,
    process: Option<&Process>,
    left_ns: Option<u64>,
    now_ns: u64,
) -> String {
    let growth = &judgement.growth;
    let mut text = format!(
        "{} {} alive, +{}/min over {}, oldest {}",
        wording::count(account.living().len() as u64),
        account.kind.plural(),
        wording::rate(growth.per_minute()),
        wording::duration(growth.window_ns),
        wording::duration(oldest_ns(account, now_ns)),
    );
    if let (Some(left_ns), Some(limit)) = (left_ns, process.and_then(|p| p.info.descriptor_limit)) {
        text.push_str(&format!(
            ", limit {}: exhausted in about {}",
            wording::count(limit),
            wording::duration(left_ns)
        ));
    }
    text.push('.');
    for doubt in &judgement.doubts {
        text.push(' ');
        text.push_str(&sentence(*doubt));
    }
    text
}

/// A doubt in words that stay true when a later look confirms the leak.
fn sentence(doubt: Doubt) -> String {
    match doubt {
        Doubt::Young => "A pool that fills could still look like this.".to_owned(),
        Doubt::InUse => {
            "Some of them are still in use: they may be a pool or a cache that grows.".to_owned()
        }
        Doubt::ClosedLate { age_ns } => format!(
            "Others from this line were closed at an age of about {}, so these may be too.",
            wording::duration(age_ns)
        ),
        Doubt::ConnectionsEnd => {
            "They are accepted connections, and some of them do end: load may be rising.".to_owned()
        }
        Doubt::Lost(lost) => format!(
            "{} events were lost meanwhile, so that closes may be missing.",
            wording::count(lost)
        ),
        Doubt::IoUring => {
            "The process uses io_uring, which closes descriptors without a call that can be seen."
                .to_owned()
        }
        Doubt::Mixed => "More lines than the ledger holds are booked together here.".to_owned(),
    }
}
