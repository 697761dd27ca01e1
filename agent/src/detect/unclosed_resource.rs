//! `unclosed-resource`: a file or socket that the collector closed, not the program.
//!
//! CPython closes it as soon as nothing refers to it any more, so it is no leak. It is closed late all
//! the same, without its errors being seen, and not at all on an interpreter that collects later.
//!
//! Finalisers in Python (of asyncio's loops and transports, of `Popen`, of temporary directories) warn
//! of the same. Where a descriptor was closed by the finaliser, its opening line is told; else the
//! line at which the finaliser ran, and no more is claimed.

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
    // What is left when a program ends was held on purpose, or is told as a leak.
    for (key, account) in ledger.unclosed().filter(|(_, account)| account.count > 0) {
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
        native: stack.and_then(|stack| stack.natives.of_descriptors(|_| true)),
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
    Severity::by_bands(per_minute, thresholds.medium_per_minute, thresholds.high_per_minute)
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
    if account.by_python {
        evidence.insert("warned_by", Evidence::Text("Python code".to_owned()));
    }
    if let Some(life_ns) = account.mean_life_ns() {
        let ms = wording::rounded(life_ns as f64 / 1e6);
        evidence.insert("mean_open_ms", Evidence::Measure(ms));
    }
    if account.at_exit > 0 {
        evidence.insert("at_exit", Evidence::Count(account.at_exit));
    }
    if let Some(frame) = account.mostly_dropped_at() {
        evidence.insert("dropped_at", Evidence::Place(frame.clone()));
    }
    evidence
}

fn summary(key: &UnclosedKey, account: &UnclosedAccount, per_minute: f64) -> String {
    let what = match (account.opened_known, account.by_python) {
        (true, _) => "opened here and never closed by the program",
        (false, false) => "dropped here and never closed by the program",
        (false, true) => "not closed by the program, as its finaliser warned here",
    };
    let mut text = format!(
        "{} × {} {what}, {}/min",
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
    text.push_str(match (account.opened_known, account.by_python) {
        (_, false) => {
            ". The collector closed it when the last reference went: late, but not leaked."
        }
        (true, true) => ". Its finaliser closed it: late, but not leaked.",
        (false, true) => ". No descriptor is known that was closed with it.",
    });
    text
}

fn short(ns: u64) -> String {
    match ns as f64 / 1e6 {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ => wording::duration(ns),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::python::Frame;

    const STDLIB: &str = "/usr/lib/python3.11/json/__init__.py";
    const PACKAGE: &str = "/usr/lib/python3/dist-packages/pip/locations.py";

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::UnclosedResource)
    }

    /// Exercise one in the user's own code: confirmed at once, low, at the line that opened it.
    #[test]
    fn one_in_own_code_is_enough() {
        let mut script = Script::default();
        let opened = script.line(10);
        let dropped = script.stack(&[(STDLIB, 293), ("/srv/app.py", 12)]);
        script.unclosed(3.0, opened, dropped);
        let story = script.play(5);
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert_eq!(finding.evidence["dropped_at"], Evidence::Place(frame("/srv/app.py", 12)));
        assert_eq!(finding.evidence["mean_open_ms"], Evidence::Measure(2.5));
        assert_eq!((finding.severity, finding.confidence), (Severity::Low, Confidence::Confirmed));
        assert!(finding.summary.contains("not leaked"), "{}", finding.summary);
        assert!(finding.advice.contains("with open"), "{}", finding.advice);
        assert_eq!(story.changes(Kind::UnclosedResource).len(), 1, "told once");
    }

    /// Exercise an open that was not seen: the line that dropped it stands in.
    #[test]
    fn the_dropping_line_stands_in() {
        let mut script = Script::default();
        let dropped = script.line(12);
        script.unclosed(3.0, 0, dropped);
        let story = script.play(5);
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 12)));
        assert!(!finding.evidence.contains_key("mean_open_ms"));
        assert!(finding.summary.contains("dropped here"), "{}", finding.summary);
    }

    /// Exercise finalisers in Python: with a descriptor that they closed, and without one.
    #[test]
    fn a_finaliser_in_python_claims_no_more_than_it_shows() {
        let del = ("/usr/lib/python3.11/asyncio/base_events.py", 692);
        for (tied, line, said) in [(true, 10, "finaliser closed it"), (false, 12, "No descriptor")]
        {
            let mut script = Script::default();
            let opened = if tied { script.line(10) } else { 0 };
            let dropped = script.stack(&[del, ("/srv/app.py", 12)]);
            script.warned_by_python(3.0, opened, dropped);
            let story = script.play(5);
            let finding = found(&story)[0];
            assert_eq!(finding.site, Some(frame("/srv/app.py", line)));
            assert_eq!(finding.evidence["warned_by"], Evidence::Text("Python code".to_owned()));
            assert!(finding.summary.contains(said), "{}", finding.summary);
        }
    }

    fn function(name: &str, file: &str, line: u32) -> Frame {
        Frame::new(file, name, None, line)
    }

    /// Exercise finalisers in own code, which are not what is at fault, and those that an
    /// interpreter calls as it ends.
    #[test]
    fn a_finaliser_is_told_at_the_line_that_dropped_it() {
        let library = "/usr/lib/python3.11/tempfile.py";
        let mut script = Script::default();
        let own = function("__del__", "/srv/app.py", 5);
        let dropped = script.frames(vec![own.clone(), frame("/srv/app.py", 12)]);
        script.warned_by_python(2.0, 0, dropped);
        let alone = script.frames(vec![own]);
        script.warned_by_python(3.0, 0, alone);
        let left = vec![
            function("_cleanup", library, 895),
            function("_exitfunc", "/usr/lib/python3.11/weakref.py", 667),
        ];
        let left = script.frames(left);
        script.warned_by_python(3.0, 0, left);
        let story = script.play(5);
        assert_eq!(found(&story).len(), 1);
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 12)));
        assert_eq!(finding.evidence["count"], Evidence::Count(1));
    }

    /// Exercise what is open when the program ends: no finding, and its own number where there is one.
    #[test]
    fn what_is_open_at_exit_is_not_unclosed() {
        let mut script = Script::default();
        let (kept, dropped) = (script.line(10), script.line(20));
        for _ in 0..200 {
            script.unclosed(3.0, kept, 0);
        }
        script.unclosed(3.0, 0, 0);
        script.unclosed(2.0, dropped, dropped);
        script.unclosed(3.0, dropped, 0);
        let story = script.play(5);
        assert_eq!(found(&story).len(), 1);
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 20)));
        assert_eq!(finding.evidence["count"], Evidence::Count(1));
        assert_eq!(finding.evidence["at_exit"], Evidence::Count(1));
    }

    /// Exercise one inside installed packages: suspected, until it comes again and again.
    #[test]
    fn foreign_code_has_to_insist() {
        for (times, confidence) in [(4, Confidence::Suspected), (5, Confidence::Confirmed)] {
            let mut script = Script::default();
            let opened = script.stack(&[(STDLIB, 293), (PACKAGE, 7)]);
            for n in 0..times {
                script.unclosed(1.0 + f64::from(n), opened, opened);
            }
            let story = script.play(90);
            assert_eq!(found(&story)[0].confidence, confidence, "{times} times");
            assert_eq!(found(&story)[0].site, Some(frame(PACKAGE, 7)));
            assert!(
                !story.changes(Kind::UnclosedResource).contains(&super::super::Change::Withdrawn)
            );
        }
    }

    /// Exercise one line dropped at two places: one finding, with the more frequent of them.
    #[test]
    fn one_finding_a_line_and_type() {
        let mut script = Script::default();
        let opened = script.line(10);
        let (seldom, often) = (script.line(20), script.line(30));
        script.unclosed(1.0, opened, seldom);
        script.unclosed(2.0, opened, often);
        script.unclosed(3.0, opened, often);
        let story = script.play(5);
        assert_eq!(found(&story).len(), 1);
        let finding = found(&story)[0];
        assert_eq!(finding.evidence["count"], Evidence::Count(3));
        assert_eq!(finding.evidence["dropped_at"], Evidence::Place(frame("/srv/app.py", 30)));
    }

    /// Exercise the bands: by the rate over the last minute.
    #[test]
    fn severity_follows_the_rate() {
        for (gap, severity) in
            [(10.0, Severity::Low), (1.0, Severity::Medium), (0.1, Severity::High)]
        {
            let mut script = Script::default();
            let opened = script.line(10);
            let mut at = 0.5;
            while at < 90.0 {
                script.unclosed(at, opened, opened);
                at += gap;
            }
            let story = script.play(90);
            assert_eq!(found(&story)[0].severity, severity, "one in {gap} s");
        }
    }
}
