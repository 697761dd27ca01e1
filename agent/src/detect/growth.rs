//! Growth over a window, in four equal parts: what tells a line that goes on from a step.

use crate::ledger::{History, SECOND_NS};

use super::thresholds::GrowthThresholds;

/// Lengths of the windows that rules look at, in seconds. Each is a third to a half longer than the
/// one before, so that whatever the rate of a leak, some window holds enough of it.
pub(super) const WINDOWS_S: [u64; 24] = [
    12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024, 1_536, 2_048, 3_072,
    4_096, 6_144, 8_192, 12_288, 16_384, 24_576,
];

/// How the number of open descriptors moved over one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Monotonic nanoseconds at which the window begins.
    pub(super) since_ns: u64,
    /// The window's length in nanoseconds.
    pub(super) window_ns: u64,
    /// What it grew by; negative when it shrank.
    pub(super) net: f64,
    parts: [f64; 4],
}

impl Growth {
    /// Over the `window_s` seconds before `now_ns`; `None` when that is no longer remembered.
    pub(super) fn over(history: &History, now_ns: u64, window_s: u64) -> Option<Self> {
        let window_ns = window_s * SECOND_NS;
        // A clock that is younger than the window: the account was empty before it.
        let since = |quarter: u64| now_ns.saturating_sub(window_ns / 4 * (4 - quarter));
        let mut parts = [0.0; 4];
        let first = history.at(since(0))?.alive;
        let mut before = first;
        for (part, quarter) in parts.iter_mut().zip(1..) {
            let alive = history.at(since(quarter))?.alive;
            *part = alive - before;
            before = alive;
        }
        Some(Self { since_ns: since(0), window_ns, net: before - first, parts })
    }

    /// It goes on: enough of it, in every part, and the last part does not fall behind.
    pub(super) fn is_steady(&self, thresholds: &GrowthThresholds) -> bool {
        let mean = self.net / 4.0;
        self.net >= thresholds.minimum
            && self.parts.iter().all(|part| *part >= mean * thresholds.each_part)
            && self.parts[3] >= mean * thresholds.last_part
    }

    /// The growth began at `born_ns`, with nothing before it: that much of the window is empty, and is
    /// left out of the rate. The mean gap between two is added, since one gap lies before the first.
    pub(super) fn begun_at(&mut self, born_ns: u64, now_ns: u64) {
        let span_ns = now_ns.saturating_sub(born_ns);
        let gap_ns = (span_ns as f64 / self.net.max(1.0)) as u64;
        self.window_ns = self.window_ns.min(span_ns.saturating_add(gap_ns)).max(1);
    }

    /// Descriptors a minute.
    pub(super) fn per_minute(&self) -> f64 {
        self.net * 60.0 * SECOND_NS as f64 / self.window_ns as f64
    }

    /// Half a part, in nanoseconds.
    pub(super) fn half_part_ns(&self) -> u64 {
        self.window_ns / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Sample;

    fn history(alive: impl Fn(u64) -> f64, seconds: u64) -> History {
        let mut history = History::default();
        for second in 0..=seconds {
            history.push(Sample {
                time_ns: (1_000 + second) * SECOND_NS,
                alive: alive(second),
                ..Sample::default()
            });
        }
        history
    }

    fn steady(alive: impl Fn(u64) -> f64, seconds: u64, window_s: u64) -> bool {
        let history = history(alive, seconds);
        let growth = Growth::over(&history, (1_000 + seconds) * SECOND_NS, window_s);
        growth.expect("remembered").is_steady(&GrowthThresholds::default())
    }

    /// Exercise the shapes that have to be told apart.
    #[test]
    fn only_what_goes_on_is_steady() {
        assert!(steady(|second| second as f64, 16, 16), "a leak");
        assert!(!steady(|second| second.min(10) as f64 * 5.0, 16, 16), "a pool that is full");
        assert!(!steady(|second| if second > 3 { 200.0 } else { 0.0 }, 16, 16), "a step");
        assert!(!steady(|second| (second / 4) as f64, 16, 16), "too few");
        assert!(!steady(|second| 30.0 - second as f64, 16, 16), "it shrinks");
        let cache = |second: u64| 100.0 * (1.0 - (-(second as f64) / 8.0).exp());
        assert!(!steady(cache, 16, 16), "a cache that tires");
        assert!(steady(|second| (second / 10 * 10) as f64, 96, 96), "bursts, over enough of them");
    }

    /// Exercise the rate and a window that begins before the first sample.
    #[test]
    fn a_window_may_begin_before_the_first_sample() {
        let history = history(|second| second as f64 * 2.0, 10);
        let growth = Growth::over(&history, 1_010 * SECOND_NS, 20).expect("empty before");
        assert_eq!(growth.net, 20.0);
        assert_eq!(growth.per_minute(), 60.0);
    }
}
