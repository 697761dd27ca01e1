//! `event-loop-churn`: a line that makes a new event loop each time.
//!
//! A new asyncio loop opens a selector and a pair of sockets, and closes them at its end. The stack
//! that opens the selector is always the same, so what it has opened is the number of loops. One of
//! uvloop's opens some more from a single stack; there the number is the least that it can be.

use std::collections::{BTreeMap, HashMap};

use crate::event::ProcessId;
use crate::ledger::{Ledger, SECOND_NS};
use crate::python::{Frame, Stack};

use super::adjust::thresholds;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::{Verdicts, event_loop, wording};

thresholds! {
    /// Thresholds of `event-loop-churn`.
    pub struct EventLoopChurnThresholds {
        /// Loops that a line has to make: 8. A program may have a few, one a thread, for its whole
        /// life.
        pub loops: u64 = 8,
        /// Time between the first and the last of them: 8 s. Those of a pool's threads come at
        /// once.
        pub span_ns: u64 = 8 * SECOND_NS,
        /// Loops a minute: 12. A job that a scheduler starts every minute, or every 10 s, may have
        /// its own loop: half a millisecond in 10 s is nothing.
        pub per_minute: f64 = 12.0,
        /// Loops a minute from which it is medium: 55, one a second less the jitter of measuring
        /// it.
        pub medium_per_minute: f64 = 55.0,
        /// Loops a minute from which it is high: 1,200, 20 a second, where a percent of a CPU goes
        /// into their beginnings and ends.
        pub high_per_minute: f64 = 1_200.0,
        /// Silence after the last: 10 s. Then it is over.
        pub silence_ns: u64 = 10 * SECOND_NS,
    }
}

/// The loops of one line.
struct Loops {
    made: u64,
    /// There may have been more.
    at_least: bool,
    open: u64,
    first_ns: u64,
    last_ns: u64,
    stack: std::sync::Arc<Stack>,
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &EventLoopChurnThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for ((process, site), loops) in gather(ledger) {
        verdicts.findings.extend(judge(process, site, &loops, ledger, thresholds, now_ns));
    }
}

fn gather(ledger: &Ledger) -> HashMap<(ProcessId, Frame), Loops> {
    let mut lines: HashMap<(ProcessId, Frame), Loops> = HashMap::new();
    for (process, _) in ledger.processes() {
        for totals in ledger.stacks(process) {
            let (Some(stack), Some(site)) = (totals.stack, totals.site) else { continue };
            let Some(descriptors) = event_loop::begins(&stack.frames) else { continue };
            if event_loop::tests(&stack.frames) {
                continue;
            }
            let line = lines.entry((process, site)).or_insert_with(|| Loops {
                made: 0,
                at_least: false,
                open: 0,
                first_ns: u64::MAX,
                last_ns: 0,
                stack,
            });
            line.made += totals.opened / descriptors;
            line.at_least |= descriptors > 1;
            line.open += totals.alive.div_ceil(descriptors);
            line.first_ns = line.first_ns.min(totals.first_ns);
            line.last_ns = line.last_ns.max(totals.last_ns);
        }
    }
    lines
}

fn judge(
    process: ProcessId,
    site: Frame,
    loops: &Loops,
    ledger: &Ledger,
    thresholds: &EventLoopChurnThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let span_ns = loops.last_ns.saturating_sub(loops.first_ns);
    let quiet_ns = now_ns.saturating_sub(loops.last_ns);
    if loops.made < thresholds.loops
        || span_ns < thresholds.span_ns
        || quiet_ns > thresholds.silence_ns
    {
        return None;
    }
    let minutes = span_ns as f64 / SECOND_NS as f64 / 60.0;
    let per_minute = (loops.made - 1) as f64 / minutes;
    if per_minute < thresholds.per_minute {
        return None;
    }
    let severity =
        Severity::by_bands(per_minute, thresholds.medium_per_minute, thresholds.high_per_minute);
    let mut evidence = BTreeMap::from([
        ("loops", Evidence::Count(loops.made)),
        ("open", Evidence::Count(loops.open)),
        ("per_minute", Evidence::Measure(wording::rounded(per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(span_ns))),
    ]);
    let lost = ledger.losses().since(loops.first_ns);
    let mut confidence = Confidence::Confirmed;
    if lost > 0 {
        confidence = Confidence::Suspected;
        evidence.insert("lost_events", Evidence::Count(lost));
    }
    let summary = format!(
        "{}{} new event loops in {}, {}/min: each opens a selector and what wakes it, closes them \
         again, and no connection, task or pool outlives its loop.",
        if loops.at_least { "At least " } else { "" },
        wording::count(loops.made),
        wording::duration(span_ns),
        wording::rate(per_minute),
    );
    Some(Finding {
        kind: Kind::EventLoopChurn,
        severity,
        confidence,
        process,
        site: Some(site),
        origin: loops.stack.frames.first().cloned(),
        stack: loops.stack.frames.clone(),
        native: loops.stack.natives.of_descriptors(|_| true),
        evidence,
        summary,
        advice: "Keep one loop for the program's life: make the caller `async` and run it once by \
                 `asyncio.run(main())`, or start a loop in a thread and hand it work by \
                 `asyncio.run_coroutine_threadsafe(...)`."
            .to_owned(),
        first_ns: now_ns,
        last_ns: loops.last_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::{EPOLL, Script, frame};
    use super::*;

    const ASYNCIO: &str = "/usr/lib/python3.12/asyncio";

    /// Plays a line that makes a loop each `gap` seconds; `outer` is who calls it.
    fn findings(gap: f64, seconds: u32, outer: &str) -> Vec<Finding> {
        let mut script = Script::default();
        let selector_events = format!("{ASYNCIO}/selector_events.py");
        let runners = format!("{ASYNCIO}/runners.py");
        let stack = script.stack(&[
            ("/usr/lib/python3.12/selectors.py", 348),
            (&selector_events, 60),
            (&runners, 118),
            ("/srv/app.py", 10),
            (outer, 1),
        ]);
        let mut at = 0.5;
        while at < f64::from(seconds) {
            let key = script.open(at, stack, EPOLL);
            script.close(at + 0.05, key);
            at += gap;
        }
        script.play(seconds).of(Kind::EventLoopChurn).into_iter().cloned().collect()
    }

    /// Exercise a loop for each message: told at the user's line.
    #[test]
    fn a_loop_for_each_message() {
        let found = findings(0.2, 20, "/srv/main.py");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].site, Some(frame("/srv/app.py", 10)));
        assert_eq!(
            (found[0].severity, found[0].confidence),
            (Severity::Medium, Confidence::Confirmed)
        );
        assert!(found[0].summary.contains("299/min"), "{}", found[0].summary);
    }

    /// Exercise a job every ten seconds, loops that are made at once, and a run of tests.
    #[test]
    fn loops_that_are_fine() {
        assert!(findings(10.0, 120, "/srv/main.py").is_empty());
        assert!(findings(0.01, 1, "/srv/main.py").is_empty());
        assert!(findings(0.2, 20, "/v/site-packages/_pytest/python.py").is_empty());
    }
}
