//! Whether a line does something again and again, or did it in one burst.
//!
//! The last minute is cut into parts of five seconds. A start-up, a pool that fills, a build that
//! runs its compilers once: all of these fill a few neighbouring parts, however high their rate.

use crate::ledger::{Conduct, SECOND_NS};
use crate::source::Sums;

use super::finding::Confidence;

const PART_NS: u64 = 5 * SECOND_NS;
const PARTS: u64 = 12;

/// How fast and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// A minute, over the last minute or since the first.
    pub(super) per_minute: f64,
    /// What that is measured over, nanoseconds.
    pub(super) window_ns: u64,
    /// Harmless bursts are ruled out: it filled three parts, and 15 s lie between the oldest and the
    /// newest.
    steady: bool,
}

impl Pace {
    /// `None` when `count` of the line's sums comes to less than `least` a minute, when it was all
    /// within one part, or when it has been quiet for the last two.
    pub(super) fn of(
        conduct: &Conduct,
        now_ns: u64,
        least: f64,
        count: impl Fn(&Sums) -> f64,
    ) -> Option<Self> {
        let (sums, covered_ns) = conduct.window(now_ns, PARTS * PART_NS);
        let window_ns = covered_ns.max(PART_NS);
        let per_minute = count(&sums) * 60.0 * SECOND_NS as f64 / window_ns as f64;
        if per_minute < least {
            return None;
        }
        // A quarter of the rate is enough: what depends on requests is uneven.
        let part_least = (least * PART_NS as f64 / (240.0 * SECOND_NS as f64)).max(2.0);
        let mut active = Vec::new();
        let mut younger = 0.0;
        for part in 0..PARTS {
            let so_far = count(&conduct.window(now_ns, (part + 1) * PART_NS).0);
            if so_far - younger >= part_least {
                active.push(part);
            }
            younger = so_far;
        }
        let (newest, oldest) = (*active.first()?, *active.last()?);
        if newest > 1 || active.len() < 2 {
            return None;
        }
        Some(Self { per_minute, window_ns, steady: active.len() >= 3 && oldest - newest >= 3 })
    }

    pub(super) fn confidence(&self) -> Confidence {
        if self.steady { Confidence::Confirmed } else { Confidence::Suspected }
    }
}
