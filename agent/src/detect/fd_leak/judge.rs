//! Whether a line leaks: growth that goes on, of descriptors that nobody comes back to.
//!
//! Each look at an account tries windows of many lengths. What all of them have to show is growth in
//! every part, survivors whose births span longer than a pool takes to fill, and no closing of what
//! has grown old. What remains in doubt after that makes the verdict "suspected".

use crate::ledger::{Account, Ledger, Living, MATURE_NS, Process};

use super::super::board::Refutation;
use super::super::growth::{Growth, WINDOWS_S};
use super::super::thresholds::{FdLeakThresholds, Thresholds};

/// Why growth that looks like a leak may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// A pool may take as long to fill.
    Young,
    /// The survivors are read, written or polled.
    InUse,
    /// Some that were this old were closed in the end, and the growth is not much older.
    ClosedLate {
        /// Their mean age in nanoseconds.
        age_ns: u64,
    },
    /// Connections of a server, and some of them do end.
    ConnectionsEnd,
    /// So many events were lost meanwhile.
    Lost(u64),
    /// The process uses io_uring.
    IoUring,
    /// The account mixes lines.
    Mixed,
}

/// Growth that looks like a leak.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    pub(super) growth: Growth,
    /// Empty when it is confirmed.
    pub(super) doubts: Vec<Doubt>,
}

/// Judges an account as it stands at `now_ns`: by the longest window that confirms a leak, else the
/// longest that makes one suspected.
pub(super) fn judge(
    account: &Account,
    ledger: &Ledger,
    thresholds: &Thresholds,
    now_ns: u64,
) -> Option<Judgement> {
    if (account.living().len() as f64) < thresholds.growth.minimum {
        return None;
    }
    let process = ledger.process(account.process);
    let mut best: Option<Judgement> = None;
    for window_s in WINDOWS_S {
        let Some(growth) = Growth::over(account.history(), now_ns, window_s) else { continue };
        if !growth.is_steady(&thresholds.growth) {
            continue;
        }
        let case = Case { account, process, growth, thresholds: &thresholds.fd_leak, now_ns };
        let Some(mut doubts) = case.doubts() else { continue };
        match ledger.losses().since(growth.since_ns) {
            0 => {}
            lost => doubts.push(Doubt::Lost(lost)),
        }
        let growth = case.trimmed();
        let confirmed = best.as_ref().is_some_and(|best| best.doubts.is_empty());
        if doubts.is_empty() || !confirmed {
            best = Some(Judgement { growth, doubts });
        }
    }
    best
}

/// Why a leak that was told has turned out to be none: what closes late keeps up with what is opened,
/// or what was opened is in use and grows no more.
pub(super) fn refute(
    account: &Account,
    thresholds: &FdLeakThresholds,
    now_ns: u64,
) -> Option<Refutation> {
    let closed = account.mostly_closed_since().is_some_and(|(since_ns, opened)| {
        now_ns.saturating_sub(since_ns) >= thresholds.refuted_after_ns
            && account.opened.saturating_sub(opened) >= thresholds.refuted_minimum
    });
    if closed {
        return Some(Refutation::ClosedLater);
    }
    let living = account.living();
    let (oldest, newest) = (living.first()?, living.last()?);
    let age_ns = now_ns.saturating_sub(oldest.born_ns);
    let silence_ns = now_ns.saturating_sub(newest.born_ns);
    let grown = living.len() as u64 >= thresholds.refuted_minimum
        && silence_ns >= thresholds.settled_ns.max(age_ns / 4);
    let used = share_in_use(living, thresholds, now_ns);
    (grown && used >= thresholds.settled_share).then_some(Refutation::UsedLater)
}

/// One account over one window in which it grew steadily.
struct Case<'a> {
    account: &'a Account,
    process: Option<&'a Process>,
    growth: Growth,
    thresholds: &'a FdLeakThresholds,
    now_ns: u64,
}

impl Case<'_> {
    /// What stands against a confirmation; `None` when this is no leak, not even suspected.
    fn doubts(&self) -> Option<Vec<Doubt>> {
        let thresholds = self.thresholds;
        let survivors = self.survivors();
        let (oldest, newest) = (survivors.first()?, survivors.last()?);
        let span_ns = newest.born_ns.saturating_sub(oldest.born_ns);
        let silence_ns = self.now_ns.saturating_sub(newest.born_ns);
        let closes = self.mature_closes();
        if span_ns < thresholds.suspected_span_ns
            || silence_ns > thresholds.silence_ns.max(self.growth.half_part_ns())
            || closes > thresholds.mature_closes
            || self.replaced() > self.growth.net * thresholds.replaced_share
        {
            return None;
        }
        let used = share_in_use(survivors, thresholds, self.now_ns);
        if used > thresholds.doubtful_share && span_ns < thresholds.doubtful_span_ns {
            // A pool at work, most likely: not worth a word yet.
            return None;
        }
        let mut doubts = Vec::new();
        if span_ns < thresholds.confirmed_span_ns {
            doubts.push(Doubt::Young);
        }
        let least_ns = match used {
            share if share <= thresholds.abandoned_share => 0,
            share if share <= thresholds.doubtful_share => thresholds.doubtful_span_ns,
            _ => thresholds.in_use_span_ns,
        };
        if span_ns < least_ns {
            doubts.push(Doubt::InUse);
        }
        let late = self.account.matured_closed as f64
            > self.account.matured as f64 * thresholds.mature_closes;
        if let Some(age_ns) = self.account.mean_mature_life_ns().filter(|_| late)
            && (span_ns as f64) < age_ns as f64 * thresholds.patience
        {
            doubts.push(Doubt::ClosedLate { age_ns });
        }
        let accepted = survivors.iter().filter(|living| living.accepted).count();
        if accepted * 2 > survivors.len() && closes > thresholds.mature_closes_accepted {
            doubts.push(Doubt::ConnectionsEnd);
        }
        if self.process.is_some_and(|process| process.io_uring) {
            doubts.push(Doubt::IoUring);
        }
        if self.account.overflow {
            doubts.push(Doubt::Mixed);
        }
        Some(doubts)
    }

    /// The growth without the empty time before its first descriptor.
    fn trimmed(&self) -> Growth {
        let mut growth = self.growth;
        let empty = self.account.history().at(growth.since_ns).is_some_and(|then| then.alive < 1.0);
        if let Some(first) = self.survivors().first().filter(|_| empty) {
            growth.begun_at(first.born_ns, self.now_ns);
        }
        growth
    }

    /// Descriptors that were born in the window and are open, the oldest first.
    fn survivors(&self) -> &[Living] {
        let living = self.account.living();
        let from = living.partition_point(|living| living.born_ns < self.growth.since_ns);
        living.get(from..).unwrap_or_default()
    }

    /// Share of what grew old in the window, or was old before, and was closed in it.
    fn mature_closes(&self) -> f64 {
        let history = self.account.history();
        let (Some(then), Some(now)) = (history.at(self.growth.since_ns), history.last()) else {
            return 0.0;
        };
        let closed = now.matured_closed - then.matured_closed;
        let matured = now.matured - then.matured;
        // Closing old ones is keeping up with the new, whichever of them it was.
        if closed > 0.0 { closed / matured.max(1.0) } else { 0.0 }
    }

    /// How many descriptors of this kind that were open at the attach were closed in the window.
    fn replaced(&self) -> f64 {
        let history =
            self.process.and_then(|process| process.before_attach_history(self.account.kind));
        let Some(history) = history else { return 0.0 };
        // Before the first look there was nothing to count.
        let since_ns = self.growth.since_ns.max(history.first_ns().unwrap_or(0));
        match (history.at(since_ns), history.last()) {
            (Some(then), Some(now)) => then.alive - now.alive,
            _ => 0.0,
        }
    }
}

/// Share of the mature ones that somebody came back to, and not long ago.
fn share_in_use(living: &[Living], thresholds: &FdLeakThresholds, now_ns: u64) -> f64 {
    let (mut mature, mut used) = (0u32, 0u32);
    for one in living {
        let age_ns = now_ns.saturating_sub(one.born_ns);
        if age_ns < MATURE_NS {
            continue;
        }
        mature += 1;
        let late = one.used_ns.saturating_sub(one.born_ns) >= thresholds.late_use_ns;
        let idle_ns = now_ns.saturating_sub(one.used_ns);
        if late && idle_ns <= thresholds.recent_use_ns.max(age_ns / 2) {
            used += 1;
        }
    }
    f64::from(used) / f64::from(mature.max(1))
}
