//! The kernel side's histograms, by powers of two, as Prometheus wants them.

use crate::source::{WAIT_BUCKETS, WaitHistogram};

/// The bounds are 2^16, 2^18 … 2^34 ns: 65.5 µs to 17.2 s. Four times from one to the next keeps a
/// process with ten classes at 130 series.
const FIRST: usize = 16;
const LAST: usize = 34;
const STEP: usize = 2;
const BOUNDS: usize = (LAST - FIRST) / STEP + 1;

/// A histogram of seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    ns: u64,
    /// Calls below each bound and not below the one before; the last are beyond all.
    counts: [u64; BOUNDS + 1],
}

impl Histogram {
    pub(super) fn add(&mut self, waits: &WaitHistogram) {
        self.ns = self.ns.saturating_add(waits.ns);
        for (power, count) in waits.buckets.iter().enumerate() {
            let slot = &mut self.counts[bucket_of(power)];
            *slot = slot.saturating_add(*count);
        }
    }

    /// Adds another's calls.
    pub(super) fn extend(&mut self, other: &Self) {
        self.ns = self.ns.saturating_add(other.ns);
        for (slot, count) in self.counts.iter_mut().zip(other.counts) {
            *slot = slot.saturating_add(count);
        }
    }

    /// The sum of all calls.
    pub(super) fn seconds(&self) -> f64 {
        self.ns as f64 / 1e9
    }

    /// Calls in all: the sum of the buckets, which the kernel side's own count can be ahead of for
    /// a moment.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Upper bounds in seconds with the calls of each bucket alone.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = (0..BOUNDS).map(|n| (1u64 << (FIRST + n * STEP)) as f64 / 1e9);
        bounds.chain([f64::INFINITY]).zip(self.counts).collect()
    }
}

/// Calls of 2^power ns and more, below twice that.
fn bucket_of(power: usize) -> usize {
    (0..BOUNDS).find(|n| power < FIRST + n * STEP).unwrap_or(BOUNDS)
}

const _: () = assert!(LAST < WAIT_BUCKETS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ProcessId;
    use crate::source::WaitClass;

    /// Exercise each power of two: a call is below its bound, and in the lowest such bucket.
    #[test]
    fn calls_fall_below_the_first_bound_that_holds_them() {
        for power in 0..WAIT_BUCKETS {
            let mut waits = WaitHistogram {
                process: ProcessId(1),
                class: WaitClass::Read,
                count: 1,
                ns: 1 << power,
                bytes: 0,
                buckets: [0; WAIT_BUCKETS],
            };
            waits.buckets[power] = 1;
            let mut histogram = Histogram::default();
            histogram.add(&waits);
            let longest = (1u64 << (power + 1)) as f64 / 1e9;
            let buckets = histogram.buckets();
            let hit = buckets.iter().position(|(_, count)| *count == 1).expect("counted");
            assert!(longest <= buckets[hit].0, "2^{power} ns under {:?}", buckets[hit]);
            assert!(hit == 0 || buckets[hit - 1].0 < longest, "2^{power} ns in bucket {hit}");
            assert_eq!(histogram.count(), 1);
            assert_eq!(histogram.seconds(), (1u64 << power) as f64 / 1e9);
        }
        assert_eq!(Histogram::default().buckets().len(), 11);
    }
}
