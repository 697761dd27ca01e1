//! `thread-sprawl`: many threads, for what fewer could do.
//!
//! A pool has many threads on purpose and a bound; native libraries make theirs at import. What is
//! left are threads that a line starts one by one for each thing that is to be done: each with a
//! stack of its own, most of the time waiting in a call.

use std::collections::BTreeMap;

use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::{Act, Mapped, Sums, WaitClass};

use super::Verdicts;
use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::same_line::{lately, quarters, same_line};
use super::wording;

/// Where Python's own threads begin. Threads that begin elsewhere are a library's.
const STARTS: &str = "threading.py";

/// Files whose threads are a bounded pool, or one for each connection that clients hold.
const POOLS: [&str; 6] = [
    "concurrent/futures/thread.py",
    "multiprocessing/pool.py",
    "anyio/_backends/_asyncio.py",
    "waitress/task.py",
    "socketserver.py",
    "gevent/threadpool.py",
];

thresholds! {
    /// Thresholds of `thread-sprawl`.
    pub struct ThreadSprawlThresholds {
        /// Threads of a line, alive at once, from which it is told: 12. Hand-written pools have
        /// mostly eight or fewer.
        pub alive: u64 = 12,
        /// The same for the threads of a pool or of a server: 128, more than their defaults (32,
        /// 40).
        pub pooled_alive: u64 = 128,
        /// Threads of a line from which it does not matter what they do: 64.
        pub many: u64 = 64,
        /// Share of the threads' time that they wait in calls, for fewer than that: 0.5. Threads
        /// that rest on a queue or a lock are not counted as waiting: an idle pool harms nobody.
        pub waiting_share: f64 = 0.5,
        /// How long so many have to be there: 10 s for a suspicion.
        pub suspected_ns: u64 = 10 * SECOND_NS,
        /// And to be confirmed: 18 s. A burst of work is over by then.
        pub confirmed_ns: u64 = 18 * SECOND_NS,
        /// Threads of a line that are more in each quarter of the last 20 s are a leak from 12 on.
        pub growing_ns: u64 = 20 * SECOND_NS,
        /// Threads from which it is medium: 32.
        pub medium: u64 = 32,
        /// Threads from which it is high: 128.
        pub high: u64 = 128,
        /// Threads from which it is critical: 1,000, where limits of containers lie.
        pub critical: u64 = 1_000,
    }
}

/// Judges every line that starts threads.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &ThreadSprawlThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for conduct in ledger.conducts_of(Act::Thread) {
        verdicts.findings.extend(judge(ledger, conduct, thresholds, now_ns));
    }
}

fn judge(
    ledger: &Ledger,
    conduct: &Conduct,
    thresholds: &ThreadSprawlThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let ended = same_line(ledger, conduct, Act::ThreadEnd);
    let alive = alive_since(conduct, ended, now_ns, 0);
    if alive < thresholds.alive || !conduct.origin()?.file.ends_with(STARTS) {
        return None;
    }
    let pooled = conduct
        .stack
        .as_ref()?
        .frames
        .iter()
        .any(|frame| POOLS.iter().any(|file| frame.file.replace('\\', "/").ends_with(file)));
    if pooled && alive < thresholds.pooled_alive {
        return None;
    }
    // Those that have been there all that time: none that ended since can be one of them twice.
    let lasting = |span_ns| alive_since(conduct, ended, now_ns, span_ns).min(alive);
    let growing = grows(conduct, ended, now_ns, thresholds.growing_ns);
    let waiting = waiting_share(ledger, conduct, now_ns, thresholds.suspected_ns, alive);
    let idle = alive < thresholds.many && waiting < thresholds.waiting_share;
    if lasting(thresholds.suspected_ns) < thresholds.alive || (idle && !growing) {
        return None;
    }
    let sure = growing || lasting(thresholds.confirmed_ns) >= thresholds.alive;
    let stacks = stack_bytes(ledger, conduct);
    let threads = ledger
        .processes()
        .find(|(id, _)| *id == conduct.process)
        .and_then(|(_, process)| process.memory.newest().map(|sample| sample.threads));
    let mut evidence = BTreeMap::from([
        ("alive", Evidence::Count(alive)),
        ("started", Evidence::Count(conduct.total.sums.count)),
        ("stack_bytes_mapped", Evidence::Count(stacks)),
        ("waiting_share", Evidence::Measure(wording::rounded(waiting))),
        ("growing", Evidence::Count(u64::from(growing))),
    ]);
    if let Some(threads) = threads {
        evidence.insert("process_threads", Evidence::Count(threads));
    }
    let draft = Draft {
        kind: Kind::ThreadSprawl,
        severity: severity(alive, thresholds),
        confidence: if sure { Confidence::Confirmed } else { Confidence::Suspected },
        evidence,
        summary: summary(alive, threads, stacks, waiting, growing),
        advice:
            "Let a few threads take turns (`ThreadPoolExecutor(max_workers=...)`, each with one \
                 connection that it keeps), or wait for all of it on one event loop."
                .to_owned(),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

/// Threads that were alive `span_ns` ago.
fn alive_since(started: &Conduct, ended: Option<&Conduct>, now_ns: u64, span_ns: u64) -> u64 {
    let until = |conduct: &Conduct| {
        let total = conduct.total.sums.count;
        if span_ns == 0 {
            return total;
        }
        total.saturating_sub(conduct.window(now_ns, span_ns).0.count)
    };
    until(started).saturating_sub(ended.map_or(0, until))
}

/// More start than end in each quarter.
fn grows(started: &Conduct, ended: Option<&Conduct>, now_ns: u64, span_ns: u64) -> bool {
    let none = [0; 4];
    let Some(more) = quarters(started, now_ns, span_ns) else { return false };
    let fewer = ended.and_then(|ended| quarters(ended, now_ns, span_ns)).unwrap_or(none);
    more.iter().zip(fewer).all(|(more, fewer)| *more > fewer)
}

/// Share of `threads` threads' time that the process has spent waiting in calls, locks aside.
fn waiting_share(
    ledger: &Ledger,
    conduct: &Conduct,
    now_ns: u64,
    span_ns: u64,
    threads: u64,
) -> f64 {
    let waited: u64 = ledger
        .conducts()
        .filter(|other| other.process == conduct.process)
        .filter(|other| match other.act {
            Act::Wait(class) => !matches!(class, WaitClass::Lock | WaitClass::Child),
            _ => false,
        })
        .map(|other| lately(Some(other), now_ns, span_ns).ns)
        .sum();
    waited as f64 / (span_ns as f64 * threads.max(1) as f64)
}

/// Stacks that are mapped for the line's threads now.
fn stack_bytes(ledger: &Ledger, conduct: &Conduct) -> u64 {
    let all = |act| {
        let other: Option<Sums> = same_line(ledger, conduct, act).map(|c| c.total.sums);
        other.map_or(0, |sums| sums.bytes)
    };
    all(Act::Map(Mapped::Stack)).saturating_sub(all(Act::Unmap(Mapped::Stack)))
}

fn severity(alive: u64, thresholds: &ThreadSprawlThresholds) -> Severity {
    match alive {
        n if n >= thresholds.critical => Severity::Critical,
        n if n >= thresholds.high => Severity::High,
        n if n >= thresholds.medium => Severity::Medium,
        _ => Severity::Low,
    }
}

fn summary(alive: u64, threads: Option<u64>, stacks: u64, waiting: f64, growing: bool) -> String {
    let of = threads.map_or_else(String::new, |all| format!(" of the process's {all}"));
    let more = if growing { ", and they become more" } else { "" };
    format!(
        "{}{of} threads were started here and are alive{more}: {} of address space for their \
         stacks; threads of this process wait in calls for {:.0} % of that many threads' time.",
        wording::count(alive),
        wording::volume(stacks as f64),
        (waiting * 100.0).min(100.0),
    )
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::event::StackId;

    const THREADING: &str = "/usr/lib/python3.12/threading.py";
    const STACK_BYTES: u64 = 8_392_704;

    fn starts(script: &mut Script, within: &[(&str, u32)], at: f64, number: u64) -> StackId {
        let mut places = vec![(THREADING, 999)];
        places.extend_from_slice(within);
        places.push(("/srv/app.py", 10));
        let line = script.stack(&places);
        let sums = Sums { count: number, bytes: number * STACK_BYTES, ..Sums::default() };
        script.act(at, line, Act::Map(Mapped::Stack), 0, sums);
        script.act(at, line, Act::Thread, 0, Sums { bytes: 0, ..sums });
        line
    }

    fn waits(script: &mut Script, class: WaitClass, threads: u32) {
        let line = script.line(30);
        for second in 1..60 {
            let ns = u64::from(threads) * SECOND_NS;
            let sums = Sums { count: u64::from(threads), ns, ..Sums::default() };
            script.act(f64::from(second), line, Act::Wait(class), 0, sums);
        }
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::ThreadSprawl)
    }

    /// Exercise the audited fault: fifteen learners that sleep and ask.
    #[test]
    fn a_thread_for_each_learner() {
        let mut script = Script::default();
        starts(&mut script, &[], 0.5, 15);
        waits(&mut script, WaitClass::Sleep, 14);
        let story = script.play(40);
        let at = story.confirmed_at(Kind::ThreadSprawl).expect("confirmed");
        assert!((18.0..22.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert_eq!(finding.evidence["stack_bytes_mapped"], Evidence::Count(15 * STACK_BYTES));
        assert!(finding.summary.contains("125.9 MB"), "{}", finding.summary);
    }

    /// Exercise pools: Python's own, a hand-written one that rests, a library's, a small one.
    #[test]
    fn pools_are_silent() {
        let pool = "/usr/lib/python3.12/concurrent/futures/thread.py";
        for (within, number, class) in [
            (&[(pool, 200)][..], 32, WaitClass::Receive),
            (&[][..], 16, WaitClass::Lock),
            (&[][..], 8, WaitClass::Receive),
        ] {
            let mut script = Script::default();
            starts(&mut script, within, 0.5, number);
            waits(&mut script, class, 32);
            assert!(found(&script.play(40)).is_empty(), "{number} {class:?}");
        }
        let mut script = Script::default();
        let import =
            script.stack(&[("/site-packages/numpy/core/__init__.py", 24), ("/srv/app.py", 1)]);
        script.act(0.5, import, Act::Thread, 0, Sums { count: 63, ..Sums::default() });
        waits(&mut script, WaitClass::Sleep, 63);
        assert!(found(&script.play(40)).is_empty(), "threads of a native library");
    }

    /// Exercise threads that end after their work, and threads that become more.
    #[test]
    fn only_those_alive_count() {
        for (ends, told) in [(true, false), (false, true)] {
            let mut script = Script::default();
            for second in 0..40 {
                let line = starts(&mut script, &[], f64::from(second) + 0.2, 2);
                if ends {
                    let two = Sums { count: 2, ..Sums::default() };
                    script.act(f64::from(second) + 3.0, line, Act::ThreadEnd, 0, two);
                }
            }
            waits(&mut script, WaitClass::Lock, 2);
            let story = script.play(40);
            assert_eq!(story.confirmed_at(Kind::ThreadSprawl).is_some(), told);
        }
    }
}
