//! `retry-storm`: a line that tries again at once, and again, what fails.

use std::collections::BTreeMap;

use crate::event::ObjectId;
use crate::ledger::{Conduct, Deed, Ledger};
use crate::source::Act;

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Evidence, Finding, Kind, Severity};
use super::pace::Pace;
use super::{Verdicts, connections, wording};

thresholds! {
    /// Thresholds of `retry-storm`.
    pub struct RetryStormThresholds {
        /// Vain attempts a minute at one peer from which they are a storm: 120, two a second. A
        /// tick a second that looks whether the peer is back makes 60; with back-off from a second
        /// on it is ten in the first minute.
        pub per_minute: f64 = 120.0,
        /// Share of the attempts at the peer that have to fail: 0.9. A peer that mostly answers is
        /// there.
        pub failed_share: f64 = 0.9,
        /// Share of the failures that may be made up for by connections to another address, for
        /// them to be a fall-back and no retries: 0.8. `localhost` is ::1 first, and then
        /// 127.0.0.1.
        pub fall_back_share: f64 = 0.8,
        /// Attempts a minute from which it is high: 600, ten a second.
        pub high_per_minute: f64 = 600.0,
    }
}

/// Judges every line: connects that are refused, and connections that the peer ends before it has
/// sent anything.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &RetryStormThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for act in [Act::Connect, Act::Connection] {
        for conduct in ledger.conducts_of(act) {
            verdicts.findings.extend(judged(conduct, ledger, thresholds, now_ns));
        }
    }
}

fn judged(
    conduct: &Conduct,
    ledger: &Ledger,
    thresholds: &RetryStormThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let (peer, deed) = conduct.known_objects().max_by_key(|(_, deed)| deed.sums.failed)?;
    let sums = deed.sums;
    let failed_share = sums.failed as f64 / sums.count as f64;
    if sums.failed == 0 || failed_share < thresholds.failed_share {
        return None;
    }
    // Connections that ended have no type any more: only streams are ever cut.
    let service = conduct.act == Act::Connection || connections::is_service(ledger, peer, deed);
    if !service || falls_back(conduct, peer, deed, thresholds) {
        return None;
    }
    let of_known: u64 = conduct.known_objects().map(|(_, deed)| deed.sums.failed).sum();
    let of_peer = sums.failed as f64 / of_known.max(1) as f64;
    let pace =
        Pace::of(conduct, now_ns, thresholds.per_minute, |sums| sums.failed as f64 * of_peer)?;
    let name = ledger.object(peer)?.name();
    let pause_ms = 60_000.0 / pace.per_minute;
    let how = if conduct.act == Act::Connect { "failed" } else { "were cut off unanswered" };
    let summary = format!(
        "{} of {} connections to {name} {how}, {}/min over {}: it tries again after {pause_ms:.0} \
         ms on average.",
        wording::count(sums.failed),
        wording::count(sums.count),
        wording::rate(pace.per_minute),
        wording::duration(pace.window_ns),
    );
    let evidence = BTreeMap::from([
        ("attempts", Evidence::Count(sums.count)),
        ("failed", Evidence::Count(sums.failed)),
        ("pause_ms", Evidence::Measure(wording::rounded(pause_ms))),
        ("peer", Evidence::Text(name)),
        ("per_minute", Evidence::Measure(wording::rounded(pace.per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(pace.window_ns))),
    ]);
    let high = pace.per_minute >= thresholds.high_per_minute;
    let advice = "After a failure wait before the next attempt, twice as long each time up to a \
                  minute and with some chance in it (`urllib3.Retry(backoff_factor=1)`, \
                  `tenacity.wait_random_exponential`), and stop after a few.";
    let draft = Draft {
        kind: Kind::RetryStorm,
        severity: if high { Severity::High } else { Severity::Medium },
        confidence: pace.confidence(),
        evidence,
        summary,
        advice: advice.to_owned(),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

/// Whether each failure is followed by a connection to another address of the same service.
fn falls_back(
    conduct: &Conduct,
    failing: ObjectId,
    deed: &Deed,
    thresholds: &RetryStormThresholds,
) -> bool {
    let stood: u64 = conduct
        .known_objects()
        .filter(|(peer, _)| *peer != failing)
        .map(|(_, other)| other.sums.count - other.sums.failed.min(other.sums.count))
        .sum();
    stood as f64 >= thresholds.fall_back_share * deed.sums.failed as f64
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story};
    use super::*;
    use crate::source::Sums;

    const STORM: Kind = Kind::RetryStorm;

    /// Attempts of which one is `failed` and, where there is a second peer, one at it succeeds after
    /// each `successes`-th.
    fn attempts(times: &[f64], act: Act, successes: Option<usize>) -> Story {
        let mut script = Script::default();
        let (stack, down, up) = (script.line(36), script.peer(7001), script.peer(7002));
        let about = About { flags: 1, ..About::default() };
        for (n, at) in times.iter().enumerate() {
            let vain = Sums { count: 1, failed: 1, ns: 50_000, ..Sums::default() };
            script.act_about(*at, stack, act, down, vain, about);
            if successes.is_some_and(|each| n % each == 0) {
                let works = Sums { failed: 0, ..vain };
                script.act_about(*at, stack, act, up, works, about);
            }
        }
        script.play(60)
    }

    fn bursts(each_second: u32, from: u32, to: u32) -> Vec<f64> {
        let second = |s| (0..each_second).map(move |n| f64::from(s) + f64::from(n) * 0.002);
        (from..to).flat_map(second).collect()
    }

    /// Exercise forty vain attempts a second beside one source that works, and a peer that hangs up.
    #[test]
    fn vain_attempts_without_pause_are_a_storm() {
        let story = attempts(&bursts(40, 2, 60), Act::Connect, Some(40));
        assert!(story.confirmed_at(STORM).is_some_and(|at| at <= 25.0));
        let finding = story.of(STORM)[0];
        assert_eq!(finding.severity, Severity::High);
        assert!(finding.summary.contains("127.0.0.1:7001"), "{}", finding.summary);
        assert!(story.of(Kind::ConnectionChurn).is_empty(), "the storm names it best");
        let cut = attempts(&bursts(3, 2, 60), Act::Connection, None);
        assert!(cut.confirmed_at(STORM).is_some());
    }

    /// Exercise a tick a second, exponential back-off, waiting for a server to start, and a name that
    /// has two addresses.
    #[test]
    fn patience_is_no_storm() {
        let none = |times: &[f64]| attempts(times, Act::Connect, None).findings.is_empty();
        assert!(none(&bursts(1, 0, 60)), "a tick a second");
        assert!(none(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]), "back-off");
        assert!(none(&bursts(10, 2, 9)), "until the server is up");
        let both = attempts(&bursts(40, 2, 60), Act::Connect, Some(1));
        assert!(both.findings.is_empty(), "localhost");
    }
}
