//! What a line waited for, in words: the call, and what it was about.

use std::collections::BTreeMap;

use crate::event::ObjectId;
use crate::ledger::{Conduct, Deed, Ledger};
use crate::source::ebpf::call_name;
use crate::source::{Act, WaitClass};

use super::wording;

/// Characters of an object's name that are shown.
const NAME: usize = 120;

/// Waits of the line that `conduct` is about, the longest in all first. An event loop's own waits
/// are nobody's.
pub(super) fn longest<'a>(ledger: &'a Ledger, conduct: &Conduct) -> Option<&'a Conduct> {
    let same = |other: &&Conduct| {
        let Act::Wait(class) = other.act else { return false };
        class != WaitClass::Epoll && other.process == conduct.process && other.site == conduct.site
    };
    ledger.conducts().filter(same).max_by_key(|other| other.total.sums.blocked_ns())
}

/// The syscall's name: `recvfrom`.
pub(super) fn call(conduct: &Conduct) -> &'static str {
    call_name(conduct.total.call).unwrap_or("a call")
}

/// What took the most of the time: `/srv/app.db`, `127.0.0.1:6379`.
pub(super) fn object(ledger: &Ledger, deeds: &BTreeMap<ObjectId, Deed>) -> Option<String> {
    let (id, _) = deeds.iter().max_by_key(|(_, deed)| deed.sums.ns)?;
    let name = ledger.object(*id)?.name();
    Some(name.chars().take(NAME).collect())
}

/// `1.4 s`, `350 ms`, `40 ms`.
pub(super) fn length(ns: f64) -> String {
    match ns / 1e6 {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ => wording::duration(ns as u64),
    }
}

/// A share of the time as a person reads it: `12`, `0.4`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}
