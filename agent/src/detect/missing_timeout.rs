//! `missing-timeout`: a line that waits for a peer without a limit of time.
//!
//! The kernel side tells which waits had no limit, and of those that receive only the ones in which
//! the program had asked and waited for the answer: who listens for messages may well wait for ever.

use std::collections::BTreeMap;

use crate::event::ObjectId;
use crate::ledger::{Conduct, Deed, Ledger, SECOND_NS, is_accepted};
use crate::source::{Act, WaitClass};

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::{Verdicts, wording};

thresholds! {
    /// Thresholds of `missing-timeout`.
    pub struct MissingTimeoutThresholds {
        /// How long such a wait has to have lasted once: 0.9 s. Below a second nobody misses a
        /// limit; the rest is for a peer that answers "after a second" and means it.
        pub least_ns: u64 = 900_000_000,
        /// How often such waits have to have been, and
        pub confirmed_count: u64 = 2,
        /// how long together, to be confirmed: twice and 2.5 s. One long answer at start (a model
        /// that is fetched, a schema) need not come again.
        pub confirmed_ns: u64 = 2_500_000_000,
        /// A single wait from which it is confirmed all the same: 10 s, where most clients' own
        /// limits lie.
        pub confirmed_once_ns: u64 = 10 * SECOND_NS,
        /// A wait from which it is high: 10 s.
        pub high_ns: u64 = 10 * SECOND_NS,
        /// How long a wait that is not confirmed keeps being suspected: 10 s.
        pub recent_ns: u64 = 10 * SECOND_NS,
    }
}

/// What may wait for a peer. Polls do not say for whom they wait.
const CLASSES: [WaitClass; 5] =
    [WaitClass::Receive, WaitClass::Send, WaitClass::Connect, WaitClass::Read, WaitClass::Write];

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &MissingTimeoutThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for class in CLASSES {
        for conduct in ledger.conducts_of(Act::Wait(class)) {
            let slowest = conduct
                .objects
                .iter()
                .filter(|(peer, deed)| without_limit(ledger, **peer, deed, thresholds))
                .max_by_key(|(_, deed)| deed.sums.max_ns);
            if let Some((peer, deed)) = slowest {
                let found = finding(conduct, class, *peer, deed, ledger, thresholds, now_ns);
                verdicts.findings.extend(found);
            }
        }
    }
}

/// Over the network, and not a connection that somebody else opened: a server's are idle for as long
/// as the client likes. Sockets of this machine join the parts of one program (managers, pools of
/// processes), which wait for each other.
fn without_limit(
    ledger: &Ledger,
    peer: ObjectId,
    deed: &Deed,
    thresholds: &MissingTimeoutThresholds,
) -> bool {
    let network = ledger.object(peer).is_some_and(|object| object.address().is_some());
    // Most of the line's slow calls: the slowest is then one of them.
    let mostly = deed.sums.starts > 0 && deed.sums.starts * 2 >= deed.sums.count;
    network && mostly && !is_accepted(deed.made_by) && deed.sums.max_ns >= thresholds.least_ns
}

fn finding(
    conduct: &Conduct,
    class: WaitClass,
    peer: ObjectId,
    deed: &Deed,
    ledger: &Ledger,
    thresholds: &MissingTimeoutThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let sums = deed.sums;
    let again = sums.starts >= thresholds.confirmed_count && sums.ns >= thresholds.confirmed_ns;
    let confirmed = again || sums.max_ns >= thresholds.confirmed_once_ns;
    if !confirmed && now_ns.saturating_sub(deed.last_ns) > thresholds.recent_ns {
        return None;
    }
    let name = ledger.object(peer)?.name();
    let what = match class {
        WaitClass::Connect => "for a connection to",
        WaitClass::Send | WaitClass::Write => "to send to",
        _ => "for an answer of",
    };
    let summary = format!(
        "Waited {} × {what} {name}, up to {} and {} in all, without any limit of time: if it never \
         comes, this thread waits for ever.",
        wording::count(sums.starts),
        wording::duration(sums.max_ns),
        wording::duration(sums.ns),
    );
    let evidence = BTreeMap::from([
        ("call", Evidence::Text(class.name().to_owned())),
        ("longest_seconds", Evidence::Measure(wording::seconds(sums.max_ns))),
        ("peer", Evidence::Text(name)),
        ("waited_seconds", Evidence::Measure(wording::seconds(sums.ns))),
        ("waits", Evidence::Count(sums.starts)),
    ]);
    let high = sums.max_ns >= thresholds.high_ns;
    let advice = "Give the call a limit (`urlopen(url, timeout=10)`, `requests.get(url, \
                  timeout=(3, 10))`, `sock.settimeout(10)`) and handle its expiry.";
    let draft = Draft {
        kind: Kind::MissingTimeout,
        severity: if high { Severity::High } else { Severity::Medium },
        confidence: if confirmed { Confidence::Confirmed } else { Confidence::Suspected },
        evidence,
        summary,
        advice: advice.to_owned(),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story};
    use super::*;
    use crate::event::Object;
    use crate::source::Sums;

    const MISSING: Kind = Kind::MissingTimeout;
    const ACCEPT4: u16 = 288;
    const SOCKET: u16 = 41;

    /// Waits of 3 s to receive, each 5 s.
    fn waits(times: u32, unlimited: bool, made_by: u16, local: bool) -> Story {
        let mut script = Script::default();
        let stack = script.line(44);
        let manager = script.object(Object::Peer(b"\x01\0/run/manager.sock".to_vec()));
        let peer = if local { manager } else { script.peer(11434) };
        for n in 0..times {
            let sums = Sums {
                count: 1,
                ns: 3 * SECOND_NS,
                max_ns: 3 * SECOND_NS,
                starts: u64::from(unlimited),
                ..Sums::default()
            };
            let about = About { call: 45, mode: 0o140_777, made_by, flags: 0 };
            let at = 4.0 + 5.0 * f64::from(n);
            script.act_about(at, stack, Act::Wait(WaitClass::Receive), peer, sums, about);
        }
        script.play(60)
    }

    /// Exercise answers that take 3 s, waited for without a limit.
    #[test]
    fn waiting_again_and_again_without_a_limit() {
        let story = waits(6, true, SOCKET, false);
        assert_eq!(story.confirmed_at(MISSING), Some(9.0));
        let finding = story.of(MISSING)[0];
        assert!(finding.summary.contains("127.0.0.1:11434"), "{}", finding.summary);
        assert_eq!(finding.evidence["waits"], Evidence::Count(6));
    }

    /// Exercise one slow answer, waits with a limit, a server's idle connections, and a program's own
    /// parts.
    #[test]
    fn limits_servers_and_single_waits_are_none() {
        let once = waits(1, true, SOCKET, false);
        assert_eq!(once.confirmed_at(MISSING), None);
        assert!(once.findings.is_empty(), "a suspicion that came to nothing");
        assert!(waits(6, false, SOCKET, false).of(MISSING).is_empty(), "a limit");
        assert!(waits(6, true, ACCEPT4, false).of(MISSING).is_empty(), "accepted");
        assert!(waits(6, true, SOCKET, true).of(MISSING).is_empty(), "no peer in the network");
    }
}
