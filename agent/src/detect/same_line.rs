//! What else a line does: the conducts of other sorts at the same place.

use crate::ledger::{Conduct, Ledger};
use crate::source::{Act, Sums};

/// The conduct of another sort at the line of `conduct`.
pub(super) fn same_line<'l>(
    ledger: &'l Ledger,
    conduct: &Conduct,
    act: Act,
) -> Option<&'l Conduct> {
    ledger
        .conducts_of(act)
        .find(|other| other.process == conduct.process && other.site == conduct.site)
}

/// Its sums of the last `span_ns`; nothing when there is none.
pub(super) fn lately(conduct: Option<&Conduct>, now_ns: u64, span_ns: u64) -> Sums {
    conduct.map_or_else(Sums::default, |conduct| conduct.window(now_ns, span_ns).0)
}

/// How often it was done in each quarter of the last `span_ns`, the oldest first; `None` when it
/// has not been going on for that long.
pub(super) fn quarters(conduct: &Conduct, now_ns: u64, span_ns: u64) -> Option<[u64; 4]> {
    if now_ns.saturating_sub(conduct.total.first_ns) < span_ns {
        return None;
    }
    let since = |quarter: u64| conduct.window(now_ns, span_ns / 4 * quarter).0.count;
    let (one, two, three, four) = (since(1), since(2), since(3), since(4));
    Some([four.saturating_sub(three), three.saturating_sub(two), two.saturating_sub(one), one])
}
