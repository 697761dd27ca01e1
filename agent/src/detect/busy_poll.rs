//! `busy-poll`: a line that wakes up many times a second to look.

use std::collections::BTreeMap;

use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::{Act, WaitClass};

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Kind, Severity};
use super::{Verdicts, awaited, event_loop, wording};

thresholds! {
    /// Thresholds of `busy-poll`.
    pub struct BusyPollThresholds {
        /// Wake-ups a second: 18. Ten a second redraw a progress bar or a window, and cost nothing.
        pub per_second: f64 = 18.0,
        /// Mean pause at most: 45 ms. `subprocess` looks every 50 ms by itself, for a child that
        /// has a timeout, and so do others who have thought about it.
        pub pause_ns: u64 = 45_000_000,
        /// Share of the time that a thread is in these pauses: 0.97. Who sleeps between pieces of
        /// work, to keep a pace or to be gentle with a service, works for the rest of the time; who
        /// only looks, does not. sqlite's waits for a lock sleep as well, for as long as the lock
        /// is held.
        pub share: f64 = 0.97,
        /// How long it goes on: 10 s. A wait for a port to open, or for a file to appear, is over
        /// by then.
        pub span_ns: u64 = 10 * SECOND_NS,
        /// The window of rate and share: 30 s.
        pub window_ns: u64 = 30 * SECOND_NS,
        /// Waits for a lock that end by themselves after between these two: the interpreter's
        /// switch interval, 5 ms, at which a thread asks again for the GIL. While the process
        /// computes they are that, and not a poll.
        pub switch_from_ns: u64 = 4_500_000,
        /// See there: 8 ms.
        pub switch_to_ns: u64 = 8_000_000,
        /// Share of a CPU from which the process computes: 0.3.
        pub computes: f64 = 0.3,
        /// Wake-ups a second from which it is medium: 50; below that it costs less than half a
        /// percent of a CPU, and keeps a laptop awake all the same.
        pub medium_per_second: f64 = 50.0,
        /// Wake-ups a second from which it is high: 500, several percent of a CPU.
        pub high_per_second: f64 = 500.0,
    }
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &BusyPollThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for conduct in ledger.conducts() {
        let Act::Wait(class) = conduct.act else { continue };
        // An event loop's own timers are its business: `epoll` is not asked about.
        if !matches!(class, WaitClass::Sleep | WaitClass::Poll | WaitClass::Lock) {
            continue;
        }
        if let Some(draft) = judge(conduct, class, ledger, thresholds, now_ns) {
            verdicts.findings.push(draft.about(conduct, ledger, now_ns));
        }
    }
}

fn judge(
    conduct: &Conduct,
    class: WaitClass,
    ledger: &Ledger,
    thresholds: &BusyPollThresholds,
    now_ns: u64,
) -> Option<Draft> {
    let frames = conduct.stack.as_ref().map_or(&[][..], |stack| &stack.frames);
    conduct.site.as_ref()?;
    // The standard library's own wait for a child; a blocked loop has a rule of its own.
    if frames.first().is_some_and(|frame| frame.file.ends_with("/subprocess.py"))
        || event_loop::runs(frames)
    {
        return None;
    }
    let (sums, covered_ns) = conduct.window(now_ns, thresholds.window_ns);
    if conduct.span_ns() < thresholds.span_ns
        || sums.count == 0
        || sums.repeats * 10 < sums.count * 9
    {
        return None;
    }
    let window_ns = covered_ns.max(SECOND_NS) as f64;
    let per_second = sums.repeats as f64 * SECOND_NS as f64 / window_ns;
    let pause_ns = sums.ns as f64 / sums.count as f64;
    let share = sums.ns as f64 / window_ns;
    if per_second < thresholds.per_second
        || pause_ns > thresholds.pause_ns as f64
        || share < thresholds.share
        || asks_for_the_gil(conduct, class, pause_ns, ledger, thresholds)
    {
        return None;
    }
    let severity =
        Severity::by_bands(per_second, thresholds.medium_per_second, thresholds.high_per_second);
    let call = awaited::call(conduct);
    let evidence = BTreeMap::from([
        ("wakeups_per_second", Evidence::Measure(wording::rounded(per_second))),
        ("mean_pause_ms", Evidence::Measure(wording::rounded(pause_ns / 1e6))),
        ("share_of_time", Evidence::Measure(wording::rounded(share))),
        ("window_seconds", Evidence::Measure(wording::seconds(covered_ns))),
        ("call", Evidence::Text(call.to_owned())),
    ]);
    let summary = format!(
        "This line wakes up {} times a second to look, over {}: a pause of {} in the mean (`{call}`), \
         {} % of the time, and hardly anything between two of them.",
        wording::rate(per_second),
        wording::duration(covered_ns),
        awaited::length(pause_ns),
        awaited::percent(share),
    );
    let advice = match class {
        WaitClass::Lock => {
            "Block without a short timeout: `queue.get()` or `condition.wait()`, and end the worker \
             by a sentinel in the queue."
        }
        WaitClass::Poll => {
            "Wait for all sources at once and without a short timeout (`selectors`), and wake the \
             wait by a socket pair or an eventfd."
        }
        _ => {
            "Block on what is waited for: `queue.get()`, `threading.Event.wait()` or a condition \
             wakes the worker once for a job."
        }
    }
    .to_owned();
    let (kind, confidence) = (Kind::BusyPoll, Confidence::Confirmed);
    Some(Draft { kind, severity, confidence, evidence, summary, advice })
}

fn asks_for_the_gil(
    conduct: &Conduct,
    class: WaitClass,
    pause_ns: f64,
    ledger: &Ledger,
    thresholds: &BusyPollThresholds,
) -> bool {
    let (from, to) = (thresholds.switch_from_ns, thresholds.switch_to_ns);
    if class != WaitClass::Lock || pause_ns < from as f64 || pause_ns > to as f64 {
        return false;
    }
    let Some(memory) = ledger.process(conduct.process).map(|process| &process.memory) else {
        return false;
    };
    let (Some(old), Some(new)) = (memory.oldest(), memory.newest()) else { return false };
    let wall_ns = new.time_ns.saturating_sub(old.time_ns).max(1);
    new.cpu_ns.saturating_sub(old.cpu_ns) as f64 / wall_ns as f64 >= thresholds.computes
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story};
    use super::*;
    use crate::ledger::MemorySample;
    use crate::source::Sums;

    /// A line that wakes up `per_second` times a second, after `pause` seconds each.
    fn poll(script: &mut Script, class: WaitClass, seconds: u32, per_second: u64, pause: f64) {
        let stack = script.line(10);
        let about = About { call: libc::SYS_clock_nanosleep as u16, ..About::default() };
        let ns = (pause * 1e9) as u64;
        let sums = Sums {
            count: per_second,
            repeats: per_second,
            ns: ns * per_second,
            max_ns: ns,
            ..Sums::default()
        };
        for second in 0..seconds {
            let at = f64::from(second) + 0.02;
            script.act_about(at, stack, Act::Wait(class), 0, sums, about);
        }
    }

    fn played(class: WaitClass, seconds: u32, per_second: u64, pause: f64) -> Story {
        let mut script = Script::default();
        poll(&mut script, class, seconds, per_second, pause);
        script.play(25)
    }

    /// Exercise a worker that looks at its queue a hundred times a second.
    #[test]
    fn a_worker_that_looks_a_hundred_times_a_second() {
        let story = played(WaitClass::Sleep, 25, 98, 0.0101);
        let found = story.of(Kind::BusyPoll);
        assert_eq!(found[0].severity, Severity::Medium);
        assert!(found[0].summary.contains("10 ms"), "{}", found[0].summary);
        assert!(story.confirmed_at(Kind::BusyPoll).is_some_and(|at| at < 15.0));
    }

    /// Exercise what is no poll: a UI, a scheduler, a pace between pieces of work, a short wait for a
    /// port, and a child that the standard library waits for.
    #[test]
    fn pauses_that_are_fine() {
        for (per_second, pause, seconds) in
            [(10, 0.0999, 25), (1, 0.999, 25), (50, 0.019, 25), (98, 0.0101, 5), (20, 0.05, 25)]
        {
            let story = played(WaitClass::Sleep, seconds, per_second, pause);
            assert!(story.of(Kind::BusyPoll).is_empty(), "{per_second} a second");
        }
    }

    /// Exercise a thread that asks for the GIL every 5 ms because another computes, and one that
    /// waits for a lock that often in a process that does nothing.
    #[test]
    fn the_gil_is_no_queue() {
        for (cpu_share, findings) in [(0.9, 0), (0.02, 1)] {
            let mut script = Script::default();
            poll(&mut script, WaitClass::Lock, 25, 190, 0.0051);
            for second in 0..25u32 {
                let cpu_ns = (f64::from(second) * cpu_share * 1e9) as u64;
                script.memory(f64::from(second), MemorySample { cpu_ns, ..Default::default() });
            }
            let story = script.play(25);
            assert_eq!(story.of(Kind::BusyPoll).len(), findings, "{cpu_share} of a CPU");
        }
    }
}
