//! `serial-server`: connections wait to be accepted while the only thread is busy.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::Act;

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::{Verdicts, wording};

thresholds! {
    /// Thresholds of `serial-server`.
    pub struct SerialServerThresholds {
        /// How long the longest wait in the queue has to be: 0.5 s, half of what people take for
        /// standing still.
        pub longest_ns: u64 = 500_000_000,
        /// The mean wait: 0.2 s. A thread that only accepts and is kept from the CPU, by the others
        /// or by the interpreter's lock, comes to tens of milliseconds.
        pub mean_ns: u64 = 200_000_000,
        /// Connections that have to have waited, to be suspected: 2.
        pub suspected_count: u64 = 2,
        /// The same to be confirmed: 4, and
        pub confirmed_count: u64 = 4,
        /// so long from the first to the last of them: 4 s. At the first request a server imports
        /// and fills its caches, once.
        pub confirmed_span_ns: u64 = 4 * SECOND_NS,
        /// Share of the process's waiting that a line has to explain: 0.25. What is left is chance.
        pub explained_share: f64 = 0.25,
        /// Descriptors and calls that may hold the listening socket: 2, the server's own and one
        /// that a parent kept or that a call uses. With more there are other workers, and a queue
        /// means load.
        pub holders: u32 = 2,
        /// A wait from which it is critical: 1 s, the audits' band.
        pub critical_ns: u64 = SECOND_NS,
    }
}

/// Judges every line for which connections waited.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &SerialServerThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let mut waited: HashMap<ProcessId, u64> = HashMap::new();
    for conduct in ledger.conducts_of(Act::Queue) {
        *waited.entry(conduct.process).or_default() += conduct.total.sums.blocked_ns();
    }
    for conduct in ledger.conducts_of(Act::Queue) {
        let all_ns = waited.get(&conduct.process).copied().unwrap_or_default();
        verdicts.findings.extend(finding(conduct, all_ns, ledger, thresholds, now_ns));
    }
}

fn finding(
    conduct: &Conduct,
    all_ns: u64,
    ledger: &Ledger,
    thresholds: &SerialServerThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let sums = conduct.total.sums;
    let mean_ns = sums.blocked_ns() / sums.count.max(1);
    let explained = sums.blocked_ns() as f64 / all_ns.max(1) as f64;
    let alone = conduct.total.flags <= thresholds.holders;
    let long = sums.max_ns >= thresholds.longest_ns && mean_ns >= thresholds.mean_ns;
    conduct.site.as_ref()?;
    if starts_threads(conduct) || !alone || !long || explained < thresholds.explained_share {
        return None;
    }
    let confirmed = sums.count >= thresholds.confirmed_count
        && conduct.span_ns() >= thresholds.confirmed_span_ns;
    let recent = now_ns.saturating_sub(conduct.total.last_ns) <= 10 * SECOND_NS;
    if sums.count < thresholds.suspected_count || !(confirmed || recent) {
        return None;
    }
    let summary = format!(
        "{} connections waited to be accepted while the only thread that accepts was here: {} on \
         average, up to {}, {} in all.",
        wording::count(sums.count),
        wording::duration(mean_ns),
        wording::duration(sums.max_ns),
        wording::duration(sums.blocked_ns()),
    );
    let evidence = BTreeMap::from([
        ("connections", Evidence::Count(sums.count)),
        ("explained_share", Evidence::Measure(wording::rounded(explained))),
        ("longest_seconds", Evidence::Measure(wording::seconds(sums.max_ns))),
        ("mean_seconds", Evidence::Measure(wording::seconds(mean_ns))),
        ("waited_seconds", Evidence::Measure(wording::seconds(sums.blocked_ns()))),
    ]);
    let critical = sums.max_ns >= thresholds.critical_ns;
    let advice = "Serve each connection by a thread of its own (`ThreadingHTTPServer`, \
                  `socketserver.ThreadingMixIn`); under asyncio await the call or put it into \
                  `asyncio.to_thread`; under gunicorn or uvicorn run more workers.";
    let draft = Draft {
        kind: Kind::SerialServer,
        severity: if critical { Severity::Critical } else { Severity::High },
        confidence: if confirmed { Confidence::Confirmed } else { Confidence::Suspected },
        evidence,
        summary,
        advice: advice.to_owned(),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

/// Whether the thread that accepts was about to start one that serves. Where that takes long the
/// machine is busy, or the interpreter's lock is: no connection waits for another one's answer.
fn starts_threads(conduct: &Conduct) -> bool {
    let frames = conduct.stack.as_ref().map_or(&[][..], |stack| &stack.frames);
    frames.iter().any(|frame| {
        &*frame.function == "start" && Path::new(&*frame.file).ends_with("threading.py")
    })
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story};
    use super::*;
    use crate::event::StackId;
    use crate::source::Sums;

    const SERIAL: Kind = Kind::SerialServer;

    /// Rounds of three connections that waited so many milliseconds, each 3 s.
    fn rounds(rounds: u32, milliseconds: u64, holders: u32, line: bool) -> Story {
        let mut script = Script::default();
        let stack: StackId = if line { script.line(27) } else { 0 };
        for n in 0..rounds * 3 {
            let ns = milliseconds * 1_000_000;
            let sums = Sums { count: 1, ns, max_ns: ns, ..Sums::default() };
            let about = About { flags: holders, ..About::default() };
            let at = 3.0 * f64::from(n / 3 + 1) + 0.001 * f64::from(n % 3);
            script.act_about(at, stack, Act::Queue, 0, sums, about);
        }
        script.play(60)
    }

    /// Exercise a server of one thread that waits for a model.
    #[test]
    fn a_queue_behind_one_thread_is_told() {
        let story = rounds(8, 2_400, 1, true);
        assert!(story.confirmed_at(SERIAL).is_some_and(|at| at <= 12.0));
        let finding = story.of(SERIAL)[0];
        assert_eq!(finding.severity, Severity::Critical);
        assert_eq!(finding.site.as_ref().map(|site| site.line), Some(27));
        assert!(finding.summary.starts_with("24 connections waited"), "{}", finding.summary);
    }

    /// Exercise a slow first request, many workers, a thread that is kept from the CPU, and a queue
    /// that nothing explains.
    #[test]
    fn load_and_start_ups_are_none() {
        assert!(rounds(1, 2_400, 1, true).findings.is_empty(), "withdrawn");
        assert!(rounds(8, 2_400, 5, true).of(SERIAL).is_empty(), "four workers");
        assert!(rounds(8, 60, 1, true).of(SERIAL).is_empty(), "a busy machine");
        assert!(rounds(8, 2_400, 1, false).of(SERIAL).is_empty(), "no line");
    }
}
