//! `slow-call`: a call that blocks its thread for long.
//!
//! What a thread waits for is work (a queue, the next request, a line of a log) or an answer. Only the
//! second is slow. A connection tells them apart: who waits for an answer has sent something since it
//! last waited. Where nothing tells, the share of the time does: who waits for work hardly does
//! anything else.

use std::collections::BTreeMap;

use crate::ledger::{Conduct, Deed, DescriptorKind, Ledger, SECOND_NS, is_accepted};
use crate::python::Frame;
use crate::source::{Act, WaitClass};

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Kind, Severity};
use super::{Verdicts, awaited, event_loop, wording};

thresholds! {
    /// Thresholds of `slow-call`. The kernel side tells of calls from 10 ms: where the audits'
    /// lowest band begins.
    pub struct SlowCallThresholds {
        /// Mean length from which it is critical: 1 s, the audits' band.
        pub critical_ns: u64 = SECOND_NS,
        /// Mean length from which it is high: 100 ms, the audits' band.
        pub high_ns: u64 = SECOND_NS / 10,
        /// Slow calls that confirm it: 3. One may be a cold cache or a start.
        pub count: u64 = 3,
        /// The same where the mean is below `high_ns`: 8. Disks and machines hiccup for 20 ms.
        pub medium_count: u64 = 8,
        /// Time between the first and the last: 5 s. What comes at once and not again is a start.
        pub span_ns: u64 = 5 * SECOND_NS,
        /// Share of a thread's time: 0.01. A slow call an hour is not what makes a program slow.
        pub share: f64 = 0.01,
        /// The same where the mean is below `high_ns`: 0.015. On a machine that is busy elsewhere,
        /// answers that take 5 ms take 20 now and then.
        pub medium_share: f64 = 0.015,
        /// Mean length from which the answer of a peer or a command, or the flush of a disk, is told
        /// at all: 30 ms. A service that asks its database and its neighbours waits 10 to 20 ms for
        /// them all day long.
        pub answer_ns: u64 = 30_000_000,
        /// Share of a thread's time from which a wait for a connection, a lock or a child is a wait
        /// for work: 0.93. A supervisor waits for its children, a stand-by for its lock.
        pub idle_share: f64 = 0.93,
        /// The same for a named pipe, whose other end comes and goes as it likes: 0.5.
        pub pipe_share: f64 = 0.5,
        /// How often the same command has to be waited for: 3. A build runs many, each once.
        pub same_command: u64 = 3,
        /// Bytes a second from which reading is volume and not waiting: 20 MB, where a slow disk
        /// begins.
        pub read_speed: f64 = 20e6,
        /// The same for writing: 1 GB. A copy into the page cache is faster, a disk is slower.
        pub write_speed: f64 = 1e9,
        /// The window of rate and share: the last minute.
        pub window_ns: u64 = 60 * SECOND_NS,
    }
}

/// Parts of files whose waits between the call and the responsible line are for work: servers that
/// wait for a request, workers that wait for a job.
const WAIT_FOR_WORK: [&str; 11] = [
    "/multiprocessing/",
    "/concurrent/futures/",
    "/socketserver.py",
    "/http/server.py",
    "/wsgiref/",
    "/gunicorn/",
    "/kombu/",
    "/rq/",
    "/pika/",
    "/kafka/",
    "/asyncio/",
];

/// Functions of clients of queues and of subscriptions: they send a question too, and its answer is
/// the next job.
const ASK_FOR_WORK: [&str; 12] = [
    "blpop",
    "brpop",
    "brpoplpush",
    "blmove",
    "bzpopmin",
    "bzpopmax",
    "xread",
    "xreadgroup",
    "listen",
    "get_message",
    "drain_events",
    "start_consuming",
];

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &SlowCallThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for conduct in ledger.conducts() {
        let Act::Wait(class) = conduct.act else { continue };
        if let Some(draft) = judge(conduct, class, ledger, thresholds, now_ns) {
            verdicts.findings.push(draft.about(conduct, ledger, now_ns));
        }
    }
}

/// The share of the time above which such a wait is for work; `None` for waits that are never slow
/// calls.
fn limit_of(
    conduct: &Conduct,
    class: WaitClass,
    deed: &Deed,
    thresholds: &SlowCallThresholds,
) -> Option<f64> {
    let mode = u32::from(deed.mode) & libc::S_IFMT;
    let kind = DescriptorKind::of(deed.made_by, deed.mode);
    let connection = kind == DescriptorKind::Socket && !is_accepted(deed.made_by);
    match class {
        WaitClass::Sync
        | WaitClass::Stat
        | WaitClass::List
        | WaitClass::Rename
        | WaitClass::Close
        | WaitClass::Connect => Some(f64::INFINITY),
        WaitClass::Write if mode != libc::S_IFCHR => Some(f64::INFINITY),
        WaitClass::Send if connection => Some(f64::INFINITY),
        WaitClass::Open => Some(thresholds.pipe_share),
        WaitClass::Read if kind == DescriptorKind::File => Some(f64::INFINITY),
        WaitClass::Read if kind == DescriptorKind::Fifo && deed.made_by != 0 => {
            Some(thresholds.pipe_share)
        }
        // `bytes` counts those that were for an answer.
        WaitClass::Read | WaitClass::Receive | WaitClass::Poll
            if connection && deed.sums.bytes * 2 >= deed.sums.count =>
        {
            Some(thresholds.idle_share)
        }
        // The pipes of a child that is being listened to until it ends.
        WaitClass::Read | WaitClass::Poll if in_subprocess(conduct) => Some(thresholds.idle_share),
        // Of the locks those of files: a thread that waits for another one tells nothing.
        WaitClass::Lock if kind == DescriptorKind::File => Some(thresholds.idle_share),
        WaitClass::Child => Some(thresholds.idle_share),
        _ => None,
    }
}

/// Whether such a call waits for what somebody else does: a peer, a command, a disk, which the page
/// cache waits for too when there is much to write.
fn is_answer(class: WaitClass, conduct: &Conduct) -> bool {
    let on_files = || {
        let mut kinds = conduct.objects.values().map(|d| DescriptorKind::of(d.made_by, d.mode));
        kinds.all(|kind| kind == DescriptorKind::File)
    };
    matches!(class, WaitClass::Receive | WaitClass::Poll | WaitClass::Sync)
        || class == WaitClass::Write && on_files()
        || class == WaitClass::Read && in_subprocess(conduct)
}

/// The frames between the call and the responsible line, that line included.
fn inner(conduct: &Conduct) -> &[Frame] {
    let frames = conduct.stack.as_ref().map_or(&[][..], |stack| &stack.frames);
    let site = frames.iter().position(|frame| Some(frame) == conduct.site.as_ref());
    site.map_or(frames, |site| &frames[..=site])
}

fn in_subprocess(conduct: &Conduct) -> bool {
    inner(conduct).iter().any(|frame| frame.file.ends_with("/subprocess.py"))
}

fn for_work(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| {
        WAIT_FOR_WORK.iter().any(|part| frame.file.contains(part))
            || ASK_FOR_WORK.contains(&&*frame.function)
    })
}

fn judge(
    conduct: &Conduct,
    class: WaitClass,
    ledger: &Ledger,
    thresholds: &SlowCallThresholds,
    now_ns: u64,
) -> Option<Draft> {
    let site = conduct.site.as_ref()?;
    let total = conduct.total.sums;
    // Cheap questions first: most lines end here.
    if total.count < 2 || conduct.span_ns() < thresholds.span_ns {
        return None;
    }
    let counted: Vec<(&Deed, f64)> = conduct
        .objects
        .values()
        .filter_map(|deed| Some((deed, limit_of(conduct, class, deed, thresholds)?)))
        .collect();
    let counted_ns: u64 = counted.iter().map(|(deed, _)| deed.sums.blocked_ns()).sum();
    let limit = counted.iter().map(|(_, limit)| *limit).fold(f64::INFINITY, f64::min);
    // Waits that ran out of time, again and again, are a timer.
    if counted_ns * 2 < total.blocked_ns() || total.repeats * 2 > total.count {
        return None;
    }
    let frames = inner(conduct);
    if event_loop::imports(frames) || for_work(frames) || stalls(ledger, conduct) {
        return None;
    }
    let (sums, covered_ns) = conduct.window(now_ns, thresholds.window_ns);
    if sums.count == 0 {
        return None;
    }
    let mean_ns = sums.blocked_ns() as f64 / sums.count as f64;
    // The first of a conduct is known when it ends.
    let window_ns = (covered_ns as f64 + mean_ns).max(5.0 * SECOND_NS as f64);
    let share = sums.blocked_ns() as f64 / window_ns;
    // Nor is one that goes on known yet: who waits for work is to be told by what has ended.
    let quiet_ns = now_ns.saturating_sub(conduct.total.last_ns) as f64;
    let waiting = sums.blocked_ns() as f64 / (covered_ns as f64 + mean_ns - quiet_ns).max(mean_ns);
    let severity = match mean_ns as u64 {
        ns if ns >= thresholds.critical_ns => Severity::Critical,
        ns if ns >= thresholds.high_ns => Severity::High,
        _ => Severity::Medium,
    };
    let medium = severity == Severity::Medium;
    let (needed, least_share) = if medium {
        (thresholds.medium_count, thresholds.medium_share)
    } else {
        (thresholds.count, thresholds.share)
    };
    // Two long ones may be a start's.
    let few = sums.count == 2 && severity == Severity::Critical;
    if (sums.count < needed && !few)
        || share < least_share
        || (waiting > limit && !each_connects(ledger, conduct))
        || (medium && matches!(class, WaitClass::Connect | WaitClass::Send | WaitClass::Child))
        || ((mean_ns as u64) < thresholds.answer_ns && is_answer(class, conduct))
        || (class == WaitClass::Child && !same_command(ledger, conduct, thresholds))
        || moves_volume(ledger, conduct, class, thresholds)
    {
        return None;
    }
    let per_minute = sums.count as f64 * 60.0 * SECOND_NS as f64 / window_ns;
    let call = awaited::call(conduct);
    let about = about(ledger, conduct, class);
    let mut evidence = BTreeMap::from([
        ("call", Evidence::Text(call.to_owned())),
        ("count", Evidence::Count(sums.count)),
        ("per_minute", Evidence::Measure(wording::rounded(per_minute))),
        ("mean_ms", Evidence::Measure(wording::rounded(mean_ns / 1e6))),
        ("max_ms", Evidence::Measure(wording::rounded(sums.max_ns as f64 / 1e6))),
        ("blocked_seconds", Evidence::Measure(wording::seconds(sums.blocked_ns()))),
        ("share_of_time", Evidence::Measure(wording::rounded(share))),
        ("window_seconds", Evidence::Measure(wording::seconds(window_ns as u64))),
    ]);
    let mut what = format!("`{call}`");
    if let Some(about) = about {
        what.push_str(&format!(" ({about})"));
        evidence.insert("object", Evidence::Text(about));
    }
    let summary = format!(
        "{what} blocked `{}` {} times, {}/min: {} in the mean, {} at most, {} % of a thread's time.",
        site.function,
        wording::count(sums.count),
        wording::rate(per_minute),
        awaited::length(mean_ns),
        awaited::length(sums.max_ns as f64),
        awaited::percent(share),
    );
    let advice = advice(class).to_owned();
    let confidence = if few { Confidence::Suspected } else { Confidence::Confirmed };
    let kind = Kind::SlowCall;
    Some(Draft { kind, severity, confidence, evidence, summary, advice })
}

/// Other acts of the same line.
fn same_line<'a>(
    ledger: &'a Ledger,
    conduct: &'a Conduct,
    act: Act,
) -> impl Iterator<Item = &'a Conduct> {
    let same = |other: &&Conduct| other.process == conduct.process && other.site == conduct.site;
    ledger.conducts_of(act).filter(same)
}

/// Whether an event loop stands still for it: then that is the finding.
fn stalls(ledger: &Ledger, conduct: &Conduct) -> bool {
    let looped = conduct.stack.as_ref().is_some_and(|stack| event_loop::runs(&stack.frames));
    same_line(ledger, conduct, Act::Stall).any(|stall| {
        let by_frames = stall.stack.as_ref().is_some_and(|stack| event_loop::runs(&stack.frames));
        looped || (!by_frames && event_loop::of_stall(ledger, stall).is_some())
    })
}

/// Whether each wait has a connection of its own: nobody connects to wait for work.
fn each_connects(ledger: &Ledger, conduct: &Conduct) -> bool {
    let connects: u64 = same_line(ledger, conduct, Act::Connect).map(|c| c.total.sums.count).sum();
    connects * 2 >= conduct.total.sums.count
}

fn same_command(ledger: &Ledger, conduct: &Conduct, thresholds: &SlowCallThresholds) -> bool {
    let often =
        |c: &Conduct| c.known_objects().any(|(_, deed)| deed.sums.count >= thresholds.same_command);
    let mut commands = same_line(ledger, conduct, Act::Exec).peekable();
    // A child that was started elsewhere, or forked: nothing speaks against it.
    commands.peek().is_none() || commands.any(often)
}

fn moves_volume(
    ledger: &Ledger,
    conduct: &Conduct,
    class: WaitClass,
    thresholds: &SlowCallThresholds,
) -> bool {
    let (act, speed) = match class {
        WaitClass::Read => (Act::Read, thresholds.read_speed),
        WaitClass::Write => (Act::Write, thresholds.write_speed),
        _ => return false,
    };
    let (mut bytes, mut ns) = (0, 0);
    for moved in same_line(ledger, conduct, act) {
        bytes += moved.total.sums.bytes;
        ns += moved.total.sums.ns;
    }
    bytes as f64 * SECOND_NS as f64 >= speed * ns.max(1) as f64
}

fn about(ledger: &Ledger, conduct: &Conduct, class: WaitClass) -> Option<String> {
    let objects = match class {
        WaitClass::Child => &same_line(ledger, conduct, Act::Exec).next()?.objects,
        _ => &conduct.objects,
    };
    awaited::object(ledger, objects)
}

fn advice(class: WaitClass) -> &'static str {
    match class {
        WaitClass::Child => {
            "Do not wait for the command here: run it in a thread or keep it running beside, and do \
             only what has changed since."
        }
        WaitClass::Lock => {
            "Hold the lock for less (write to a new file and `os.replace` it), or try it without \
             waiting and come back."
        }
        WaitClass::Receive | WaitClass::Poll | WaitClass::Send | WaitClass::Connect => {
            "Ask in a worker thread or with an async client, set a timeout that fits, and keep or \
             share answers that do not change."
        }
        WaitClass::Write | WaitClass::Sync => {
            "Queue what is to be written and let one writer thread write it in batches."
        }
        _ => "Do it once and keep the result, or do it in a worker thread.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{ACCEPTED, About, PROCESS, SOCKET, Script, Story};
    use super::*;
    use crate::source::Sums;

    const WAIT: fn(WaitClass) -> Act = Act::Wait;

    fn socket(made_by: u16) -> About {
        About { call: libc::SYS_recvfrom as u16, mode: SOCKET.1, made_by, flags: 0 }
    }

    fn sums(seconds: f64, asked: bool) -> Sums {
        let ns = (seconds * 1e9) as u64;
        Sums { count: 1, ns, max_ns: ns, bytes: u64::from(asked), ..Sums::default() }
    }

    /// A line that waits for `seconds` of each `period` on such a descriptor.
    fn waits(class: WaitClass, about: About, seconds: f64, period: f64, asked: bool) -> Story {
        let mut script = Script::default();
        let stack = script.line(10);
        let mut at = seconds;
        while at < 40.0 {
            script.act_about(at, stack, WAIT(class), 0, sums(seconds, asked), about);
            at += period;
        }
        script.play(40)
    }

    /// Exercise the bands: answers of 1.4 s, 350 ms and 40 ms.
    #[test]
    fn answers_are_ranked() {
        for (seconds, severity) in
            [(1.4, Severity::Critical), (0.35, Severity::High), (0.04, Severity::Medium)]
        {
            let story = waits(WaitClass::Poll, socket(SOCKET.0), seconds, 2.3, true);
            let found = story.of(Kind::SlowCall);
            assert_eq!(found.len(), 1, "{seconds} s");
            assert_eq!(found[0].severity, severity);
            assert!(story.confirmed_at(Kind::SlowCall).is_some_and(|at| at < 25.0));
        }
    }

    /// Exercise waits for work: a subscription, a queue that is asked, a client that is kept alive, and
    /// a thread that waits for another.
    #[test]
    fn waits_for_work_are_fine() {
        let futex = About { call: libc::SYS_futex as u16, ..About::default() };
        for (class, about, seconds, asked) in [
            (WaitClass::Receive, socket(SOCKET.0), 1.5, false),
            (WaitClass::Receive, socket(SOCKET.0), 1.98, true),
            (WaitClass::Receive, socket(ACCEPTED.0), 1.5, true),
            (WaitClass::Lock, futex, 1.5, false),
            (WaitClass::Sleep, About::default(), 1.5, false),
            (WaitClass::Read, About { mode: 0o10_600, ..About::default() }, 1.5, false),
        ] {
            let story = waits(class, about, seconds, 2.0, asked);
            assert!(story.of(Kind::SlowCall).is_empty(), "{class:?} {seconds}");
        }
    }

    /// Exercise a scan by the same command on each cycle, a build of many commands, and a supervisor.
    #[test]
    fn children_that_are_waited_for() {
        for (commands, seconds, findings) in [(1, 1.8, 1), (14, 1.8, 0), (1, 2.99, 0)] {
            let mut script = Script::default();
            let stack = script.line(10);
            let names: Vec<String> = (0..commands).map(|n| format!("part-{n}.c")).collect();
            let ids: Vec<_> = names.iter().map(|name| script.command(&["cc", name])).collect();
            for n in 0..13usize {
                let at = n as f64 * 3.0;
                script.act(at, stack, Act::Exec, ids[n % ids.len()], sums(0.0, false));
                let wait = sums(seconds, false);
                script.act(at + seconds, stack, WAIT(WaitClass::Child), 0, wait);
            }
            let story = script.play(40);
            assert_eq!(story.of(Kind::SlowCall).len(), findings, "{commands} commands, {seconds}");
        }
    }

    /// Exercise large writes that are slow, and reads that are only large.
    #[test]
    fn volume_is_not_slowness() {
        for (class, act, bytes, findings) in [
            (WaitClass::Write, Act::Write, 200 << 20, 1),
            (WaitClass::Write, Act::Write, 2 << 30, 0),
            (WaitClass::Read, Act::Read, 200 << 20, 0),
            (WaitClass::Read, Act::Read, 4_096, 1),
        ] {
            let mut script = Script::default();
            let stack = script.line(10);
            let file = script.file("/srv/index.bin");
            let about = About { mode: 0o100_644, ..About::default() };
            for n in 0..10 {
                let at = 1.0 + f64::from(n) * 4.0;
                script.act_about(at, stack, WAIT(class), file, sums(1.0, false), about);
                script.act(at, stack, act, file, Sums { bytes, ..sums(1.0, false) });
            }
            let story = script.play(40);
            assert_eq!(story.of(Kind::SlowCall).len(), findings, "{act:?} of {bytes}");
            assert!(story.ledger.process(PROCESS).is_some());
        }
    }
}
