//! Which events never arrived, and when: a verdict that rests on a window in which some were lost
//! says so.

use std::collections::{BTreeMap, VecDeque};

use crate::source::Flow;

/// Kinds of events whose loss can turn a harmless line into a leak: a close that was not seen, a
/// descriptor or a stack booked on the wrong line, memory that seems to be mapped still.
const WEIGHTY: [&str; 6] = ["opened", "closed", "stack", "code", "act", "mapping"];

/// Changes that are remembered; older ones count as lost in every window that asks for them.
const CHANGES: usize = 512;

/// The losses so far, by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    changes: VecDeque<(u64, u64)>,
}

impl Losses {
    pub(super) fn observe(&mut self, flows: &BTreeMap<&'static str, Flow>, now_ns: u64) {
        let total = WEIGHTY
            .iter()
            .filter_map(|kind| flows.get(kind))
            .flat_map(|flow| flow.dropped.values())
            .fold(0u64, |sum, lost| sum.saturating_add(*lost));
        if self.changes.back().map_or(0, |(_, known)| *known) == total {
            return;
        }
        self.changes.push_back((now_ns, total));
        if self.changes.len() > CHANGES {
            self.changes.pop_front();
        }
    }

    /// Events lost after `since_ns` (monotonic nanoseconds).
    pub fn since(&self, since_ns: u64) -> u64 {
        let now = self.changes.back().map_or(0, |(_, total)| *total);
        let after = self.changes.partition_point(|(time, _)| *time <= since_ns);
        let then = after.checked_sub(1).and_then(|at| self.changes.get(at)).map_or(0, |c| c.1);
        now.saturating_sub(then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows(kind: &'static str, lost: u64) -> BTreeMap<&'static str, Flow> {
        let dropped = BTreeMap::from([("map_full", lost)]);
        BTreeMap::from([(kind, Flow { emitted: 100 + lost, received: 100, dropped })])
    }

    /// Exercise windows before, over and after a loss.
    #[test]
    fn a_loss_belongs_to_the_windows_that_hold_it() {
        let mut losses = Losses::default();
        losses.observe(&flows("closed", 0), 10);
        losses.observe(&flows("closed", 3), 20);
        losses.observe(&flows("closed", 3), 30);
        losses.observe(&flows("closed", 5), 40);
        assert_eq!(losses.since(0), 5);
        assert_eq!(losses.since(20), 2);
        assert_eq!(losses.since(40), 0);
    }

    /// Exercise a kind that no verdict rests on.
    #[test]
    fn losses_that_do_not_matter_are_left_out() {
        let mut losses = Losses::default();
        losses.observe(&flows("descriptor", 9), 10);
        assert_eq!(losses.since(0), 0);
    }

    /// Exercise the bound: what is forgotten is counted into every window, never left out.
    #[test]
    fn forgotten_changes_err_on_the_side_of_loss() {
        let mut losses = Losses::default();
        for n in 1..=1_000 {
            losses.observe(&flows("opened", n), n);
        }
        assert_eq!(losses.changes.len(), CHANGES);
        assert_eq!(losses.since(900), 100);
        assert_eq!(losses.since(100), 1_000);
    }
}
