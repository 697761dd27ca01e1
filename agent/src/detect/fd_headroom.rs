//! `fd-headroom`: a process that is near its limit on descriptors, or will be soon.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Account, Ledger, Process};

use super::board::Verdicts;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::growth::{Growth, WINDOWS_S};
use super::thresholds::{FdHeadroomThresholds, Thresholds};
use super::wording;

/// One finding a process.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &Thresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for (id, process) in ledger.processes() {
        let Some(limit) = process.info.descriptor_limit.filter(|limit| *limit > 0) else {
            continue;
        };
        if process.ended_ns.is_some() {
            continue;
        }
        let leaks = verdicts.findings.iter().any(|finding| {
            finding.kind == Kind::FdLeak
                && finding.process == id
                && finding.confidence == Confidence::Confirmed
        });
        let Some(state) = State::of(process, limit, leaks, thresholds, now_ns) else { continue };
        verdicts.findings.push(finding(id, process, &state, ledger, thresholds, now_ns));
    }
}

/// How it stands with a process that has to be told about.
struct State {
    used: u64,
    limit: u64,
    growth: Option<Growth>,
    left_ns: Option<u64>,
    severity: Severity,
    confidence: Confidence,
}

impl State {
    fn of(
        process: &Process,
        limit: u64,
        leaks: bool,
        thresholds: &Thresholds,
        now_ns: u64,
    ) -> Option<Self> {
        let headroom = &thresholds.fd_headroom;
        let used = process.below_limit;
        let growth = steady_growth(process, thresholds, now_ns);
        let left_ns = growth.and_then(|growth| {
            super::time_to_fill_ns(limit.saturating_sub(used), growth.per_minute())
        });
        let told_ns = left_ns.filter(|left| *left < headroom.told_ns);
        let share = used as f64 / limit as f64;
        let severity = if share >= headroom.critical_share {
            Severity::Critical
        } else if share >= headroom.high_share || told_ns? < headroom.high_ns {
            Severity::High
        } else {
            Severity::Medium
        };
        let long = growth.is_some_and(|growth| growth.window_ns >= headroom.confirmed_span_ns);
        let confidence = if share >= headroom.high_share || leaks || long {
            Confidence::Confirmed
        } else {
            Confidence::Suspected
        };
        Some(Self { used, limit, growth, left_ns: told_ns, severity, confidence })
    }
}

/// Over the longest window in which the whole process grew steadily.
fn steady_growth(process: &Process, thresholds: &Thresholds, now_ns: u64) -> Option<Growth> {
    let history = process.history();
    // What was open before the first look is not growth.
    let first_ns = history.first_ns()?;
    let least_s = thresholds.fd_headroom.span_ns / crate::ledger::SECOND_NS;
    WINDOWS_S
        .iter()
        .rev()
        .filter(|window_s| **window_s >= least_s)
        .filter_map(|window_s| Growth::over(history, now_ns, *window_s))
        .filter(|growth| growth.since_ns >= first_ns)
        .find(|growth| growth.is_steady(&thresholds.growth))
}

/// The account that explains most of the growth, if one does.
fn fastest<'a>(
    ledger: &'a Ledger,
    id: ProcessId,
    growth: &Growth,
    thresholds: &FdHeadroomThresholds,
    now_ns: u64,
) -> Option<&'a Account> {
    let window_s = growth.window_ns / crate::ledger::SECOND_NS;
    let net = |account: &Account| {
        Growth::over(account.history(), now_ns, window_s).map_or(0.0, |growth| growth.net)
    };
    let accounts = ledger.accounts().filter(|account| account.process == id);
    accounts
        .map(|account| (net(account), account))
        .filter(|(net, _)| *net >= growth.net * thresholds.explained_share)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, account)| account)
}

/// The account that holds most, where the growth names none.
fn largest(ledger: &Ledger, id: ProcessId, used: u64, share: f64) -> Option<&Account> {
    let accounts = ledger.accounts().filter(|account| account.process == id && !account.overflow);
    accounts
        .filter(|account| account.living().len() as f64 >= used as f64 * share)
        .max_by_key(|account| account.living().len())
}

fn finding(
    id: ProcessId,
    process: &Process,
    state: &State,
    ledger: &Ledger,
    thresholds: &Thresholds,
    now_ns: u64,
) -> Finding {
    let share = thresholds.fd_headroom.explained_share;
    let account = state
        .growth
        .and_then(|growth| fastest(ledger, id, &growth, &thresholds.fd_headroom, now_ns))
        .or_else(|| largest(ledger, id, state.used, share));
    let stack = account.and_then(Account::largest_stack).and_then(|stack| ledger.stack(id, stack));
    Finding {
        kind: Kind::FdHeadroom,
        severity: state.severity,
        confidence: state.confidence,
        process: id,
        site: account.and_then(|account| account.site.clone()),
        origin: stack.and_then(|stack| stack.frames.first()).cloned(),
        stack: stack.map(|stack| stack.frames.clone()).unwrap_or_default(),
        native: account.zip(stack).and_then(|(account, stack)| {
            stack.natives.of_descriptors(|call| account.kind.may_come_of(call))
        }),
        evidence: evidence(process, state, account),
        summary: summary(state, account),
        advice: advice(account),
        first_ns: now_ns,
        last_ns: now_ns,
    }
}

fn evidence(
    process: &Process,
    state: &State,
    account: Option<&Account>,
) -> BTreeMap<&'static str, Evidence> {
    let mut evidence = BTreeMap::from([
        ("limit", Evidence::Count(state.limit)),
        ("used", Evidence::Count(state.used)),
        ("before_attach", Evidence::Count(process.before_attach())),
    ]);
    if let Some(growth) = state.growth {
        evidence.insert("per_minute", Evidence::Measure(wording::rounded(growth.per_minute())));
        evidence.insert("window_seconds", Evidence::Measure(wording::seconds(growth.window_ns)));
    }
    if let Some(left_ns) = state.left_ns {
        evidence.insert("seconds_to_limit", Evidence::Measure(wording::seconds(left_ns)));
    }
    if let Some(account) = account {
        evidence.insert("alive", Evidence::Count(account.living().len() as u64));
    }
    evidence
}

fn summary(state: &State, account: Option<&Account>) -> String {
    let mut text = format!(
        "{} of {} descriptors in use ({:.0} %)",
        wording::count(state.used),
        wording::count(state.limit),
        state.used as f64 * 100.0 / state.limit as f64
    );
    if let Some(growth) = state.growth {
        text.push_str(&format!(
            ", +{}/min over {}",
            wording::rate(growth.per_minute()),
            wording::duration(growth.window_ns)
        ));
    }
    if let Some(left_ns) = state.left_ns {
        text.push_str(&format!(", exhausted in about {}", wording::duration(left_ns)));
    }
    if let Some(account) = account {
        text.push_str(&format!(
            "; {} of them are {} from this line",
            wording::count(account.living().len() as u64),
            account.kind.plural()
        ));
    }
    text.push('.');
    text
}

fn advice(account: Option<&Account>) -> String {
    match account {
        Some(account) => {
            let accepted = account.living().iter().any(|living| living.accepted);
            super::advice::close(account.kind, accepted).to_owned()
        }
        None => "Find what holds them (`ls -l /proc/PID/fd`), or raise the soft limit \
                 (`ulimit -n`, `LimitNOFILE=`) if the load needs that many."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{FILE, SOCKET, Script, frame};
    use super::*;

    /// Exercise shares of the limit around each border.
    #[test]
    fn near_the_limit() {
        for (used, expected) in [
            (79, None),
            (80, Some(Severity::High)),
            (94, Some(Severity::High)),
            (95, Some(Severity::Critical)),
            (100, Some(Severity::Critical)),
        ] {
            let mut script = Script::default();
            script.limit = Some(100);
            for _ in 0..used {
                script.found(0o100_644);
            }
            let story = script.play(5);
            let found = story.of(Kind::FdHeadroom);
            assert_eq!(found.first().map(|finding| finding.severity), expected, "{used} of 100");
            assert!(found.iter().all(|finding| finding.confidence == Confidence::Confirmed));
        }
    }

    /// Exercise a limit that was lowered below numbers that are in use: they take nothing from it.
    #[test]
    fn numbers_above_the_limit_do_not_count() {
        let mut script = Script::default();
        // The first number that a script gives out is 3.
        script.limit = Some(53);
        for _ in 0..100 {
            script.found(0o100_644);
        }
        let story = script.play(5);
        let finding = story.of(Kind::FdHeadroom)[0];
        assert_eq!(finding.evidence["used"], Evidence::Count(50));
        assert_eq!(finding.severity, Severity::High);
    }

    /// Exercise growth that meets the limit soon: told with the line that grows.
    #[test]
    fn growth_is_foretold() {
        let (mut script, line) = Script::of_one_line();
        script.limit = Some(1_024);
        for _ in 0..20 {
            script.found(0o140_777);
        }
        script.leak(line, FILE, 0.0, 60.0, 120.0);
        let story = script.play(60);
        let finding = story.of(Kind::FdHeadroom)[0];
        assert_eq!(finding.severity, Severity::High);
        assert_eq!(finding.confidence, Confidence::Confirmed, "the leak is confirmed");
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        let Evidence::Measure(left) = finding.evidence["seconds_to_limit"] else {
            panic!("no time")
        };
        assert!((400.0..=500.0).contains(&left), "{left}");
        assert_eq!(finding.evidence["before_attach"], Evidence::Count(20));
        let at = story.confirmed_at(Kind::FdHeadroom).expect("confirmed");
        assert!((30.0..=40.0).contains(&at), "{at}");
    }

    /// Exercise a limit that is far away, and none at all.
    #[test]
    fn a_distant_limit_is_no_news() {
        for limit in [Some(1_048_576), None] {
            let (mut script, line) = Script::of_one_line();
            script.limit = limit;
            script.leak(line, FILE, 0.0, 60.0, 120.0);
            assert!(script.play(60).of(Kind::FdHeadroom).is_empty());
        }
    }

    /// Exercise a pool that fills over 10 s and stays: nothing, even where the limit is low.
    #[test]
    fn a_filling_pool_is_no_news() {
        let (mut script, line) = Script::of_one_line();
        script.limit = Some(256);
        script.leak(line, SOCKET, 0.0, 10.0, 300.0);
        assert!(script.play(90).of(Kind::FdHeadroom).is_empty());
    }

    /// Exercise a load that rises for 40 s, its connections in use: suspected, then withdrawn.
    #[test]
    fn rising_load_is_only_suspected() {
        let (mut script, line) = Script::of_one_line();
        script.limit = Some(1_024);
        for n in 0..120 {
            let born = f64::from(n) / 3.0;
            let key = script.open(born, line, SOCKET);
            for second in 0..150 {
                script.touch(born + f64::from(second), key);
            }
        }
        let story = script.play(150);
        assert_eq!(story.confirmed_at(Kind::FdHeadroom), None);
        assert!(story.of(Kind::FdHeadroom).is_empty());
    }

    /// Exercise two lines that share the growth: none of them is named.
    #[test]
    fn no_line_is_named_that_does_not_explain_it() {
        let mut script = Script::default();
        script.limit = Some(1_024);
        for line in 0..3 {
            let line = script.line(line);
            script.leak(line, FILE, 0.0, 60.0, 60.0);
        }
        let story = script.play(60);
        assert_eq!(story.of(Kind::FdHeadroom)[0].site, None);
    }
}
