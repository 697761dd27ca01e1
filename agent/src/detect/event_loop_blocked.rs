//! `event-loop-blocked`: a call, or computing, on an event loop's thread that keeps the loop from running.

use std::collections::BTreeMap;

use crate::event::Object;
use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::{Act, WaitClass};

use super::adjust::thresholds;
use super::draft::Draft;
use super::event_loop::Framework;
use super::finding::{Confidence, Evidence, Kind, Severity};
use super::{Verdicts, awaited, event_loop, wording};

thresholds! {
    /// Thresholds of `event-loop-blocked`. The kernel side tells of standstills from 50 ms: shorter
    /// ones are within what a busy loop's turn takes.
    pub struct EventLoopBlockedThresholds {
        /// Mean standstill from which it is critical: 1 s, the audits' band. Users notice, and
        /// other services' timeouts and health checks begin to fail.
        pub critical_ns: u64 = SECOND_NS,
        /// Mean standstill from which it is high: 100 ms, the audits' band.
        pub high_ns: u64 = SECOND_NS / 10,
        /// Standstills that confirm it: 3. What is done once (a lazy import, a model that is loaded
        /// when the service starts) is over before anybody waits.
        pub confirmed_count: u64 = 3,
        /// The same where the mean is below `high_ns`: 6. A machine that is busy elsewhere
        /// stretches a turn now and then, at one line or another.
        pub short_count: u64 = 6,
        /// Time between the first and the last that confirms it: 4 s. A start-up's turns follow at
        /// once.
        pub span_ns: u64 = 4 * SECOND_NS,
        /// Share of the time that the loop stands still at the line: 0.005. Below that a heart-beat
        /// each second is late for less than 5 ms in the mean.
        pub share: f64 = 0.005,
        /// Mean wait up to which a thread lock that is mostly not had in time is the GIL: 50 ms.
        /// Each 5 ms (and later, on a machine that is busy) a thread asks for it again while others
        /// compute; that is not the doing of the line that the loop happens to be at.
        pub gil_ns: u64 = 50_000_000,
        /// The window of rate and share: the last minute.
        pub window_ns: u64 = 60 * SECOND_NS,
    }
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &EventLoopBlockedThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for blocked in gather(ledger) {
        if let Some(draft) = judge(&blocked, ledger, thresholds, now_ns) {
            verdicts.findings.push(draft.about(blocked.line, ledger, now_ns));
        }
    }
}

/// Standstills that are told at one line.
struct Blocked<'a> {
    line: &'a Conduct,
    /// The call; `None` where the time was spent computing.
    wait: Option<&'a Conduct>,
    /// Whose loop it is.
    framework: Framework,
    /// Standstills at other lines of the same function, where it computes.
    others: Vec<&'a Conduct>,
}

fn gather(ledger: &Ledger) -> Vec<Blocked<'_>> {
    let mut gathered: Vec<Blocked<'_>> = Vec::new();
    let mut stalls: Vec<(&Conduct, Framework)> = ledger
        .conducts_of(Act::Stall)
        .filter_map(|conduct| {
            let frames = &conduct.stack.as_ref()?.frames;
            let told = conduct.site.is_some()
                && !event_loop::waits(frames)
                && !event_loop::imports(frames);
            let framework = event_loop::of_stall(ledger, conduct)?;
            told.then_some((conduct, framework))
        })
        .collect();
    stalls.sort_by_key(|(conduct, _)| std::cmp::Reverse(conduct.total.sums.blocked_ns()));
    for (line, framework) in stalls {
        let wait = awaited::longest(ledger, line)
            .filter(|wait| wait.total.sums.blocked_ns() >= line.total.sums.blocked_ns() / 2);
        // Which line of a computing function is met is chance: they are told as one.
        let same = gathered.iter_mut().find(|known| {
            let names = |conduct: &Conduct| {
                conduct.site.as_ref().map(|s| (s.file.clone(), s.function.clone()))
            };
            wait.is_none()
                && known.wait.is_none()
                && known.line.process == line.process
                && names(known.line) == names(line)
        });
        match same {
            Some(known) => known.others.push(line),
            None => gathered.push(Blocked { line, wait, framework, others: Vec::new() }),
        }
    }
    gathered
}

fn judge(
    blocked: &Blocked<'_>,
    ledger: &Ledger,
    thresholds: &EventLoopBlockedThresholds,
    now_ns: u64,
) -> Option<Draft> {
    let (mut sums, covered_ns) = blocked.line.window(now_ns, thresholds.window_ns);
    let (mut first_ns, mut last_ns) = (blocked.line.total.first_ns, blocked.line.total.last_ns);
    for other in &blocked.others {
        sums.add(&other.window(now_ns, thresholds.window_ns).0);
        first_ns = first_ns.min(other.total.first_ns);
        last_ns = last_ns.max(other.total.last_ns);
    }
    if sums.count == 0 || blocked.wait.is_some_and(|wait| asks_for_the_gil(wait, thresholds)) {
        return None;
    }
    let mean_ns = sums.blocked_ns() as f64 / sums.count as f64;
    // A conduct begins when its first standstill ends.
    let window_ns = (covered_ns.max(now_ns.saturating_sub(first_ns).min(thresholds.window_ns))
        as f64
        + mean_ns)
        .max(5.0 * SECOND_NS as f64);
    let share = sums.blocked_ns() as f64 / window_ns;
    let severity = match mean_ns as u64 {
        ns if ns >= thresholds.critical_ns => Severity::Critical,
        ns if ns >= thresholds.high_ns => Severity::High,
        _ => Severity::Medium,
    };
    let needed = if severity == Severity::Medium {
        thresholds.short_count
    } else {
        thresholds.confirmed_count
    };
    let goes_on = last_ns.saturating_sub(first_ns) >= thresholds.span_ns;
    let confidence = if sums.count >= needed && goes_on {
        Confidence::Confirmed
    } else if sums.count >= 2 && severity > Severity::Medium && goes_on {
        Confidence::Suspected
    } else {
        return None;
    };
    if share < thresholds.share {
        return None;
    }
    let per_minute = sums.count as f64 * 60.0 * SECOND_NS as f64 / window_ns;
    let mut evidence = BTreeMap::from([
        ("count", Evidence::Count(sums.count)),
        ("per_minute", Evidence::Measure(wording::rounded(per_minute))),
        ("mean_ms", Evidence::Measure(wording::rounded(mean_ns / 1e6))),
        ("max_ms", Evidence::Measure(wording::rounded(sums.max_ns as f64 / 1e6))),
        ("share_of_time", Evidence::Measure(wording::rounded(share))),
        ("window_seconds", Evidence::Measure(wording::seconds(window_ns as u64))),
    ]);
    let (call, about) = match blocked.wait {
        Some(wait) => (awaited::call(wait), awaited::object(ledger, &wait.objects)),
        None => ("computing", None),
    };
    evidence.insert("call", Evidence::Text(call.to_owned()));
    if let Some(about) = &about {
        evidence.insert("object", Evidence::Text(about.clone()));
    }
    evidence.insert("loop", Evidence::Text(blocked.framework.name().to_owned()));
    let tasks = tasks(blocked, ledger);
    // Where the task's own name is known, a function says less.
    let runner = if tasks.is_empty() { runner(blocked) } else { None };
    if let Some((_, key, function)) = &runner {
        evidence.insert(key, Evidence::Text(function.clone()));
    }
    if let Some(task) = tasks.first() {
        evidence.insert("task", Evidence::Text(task.clone()));
        evidence.insert("tasks", Evidence::Count(tasks.len() as u64));
    }
    let what = match (blocked.wait, about) {
        (Some(_), Some(about)) => format!("`{call}` ({about})"),
        (Some(_), None) => format!("`{call}`"),
        (None, _) => "computing".to_owned(),
    };
    let summary = format!(
        "The event loop stood still {} times, {}/min, for {} in the mean and {} at most, {} % of \
         the time, while this line was in {what}{}.",
        wording::count(sums.count),
        wording::rate(per_minute),
        awaited::length(mean_ns),
        awaited::length(sums.max_ns as f64),
        awaited::percent(share),
        match &runner {
            Some((what, _, function)) => format!(", in a {what} that runs `{function}`"),
            None => in_task(&tasks),
        },
    );
    let advice = advice(blocked.framework, blocked.wait).to_owned();
    let kind = Kind::EventLoopBlocked;
    Some(Draft { kind, severity, confidence, evidence, summary, advice })
}

/// Names of the tasks that ran meanwhile, the one that held the loop up the longest first.
fn tasks(blocked: &Blocked<'_>, ledger: &Ledger) -> Vec<String> {
    let lines = std::iter::once(&blocked.line).chain(&blocked.others);
    let mut held: BTreeMap<String, u64> = BTreeMap::new();
    for (id, deed) in lines.flat_map(|line| &line.objects) {
        if let Some(Object::Task(name)) = ledger.object(*id) {
            *held.entry(name.clone()).or_default() += deed.sums.blocked_ns();
        }
    }
    let mut names: Vec<(u64, String)> = held.into_iter().map(|(name, ns)| (ns, name)).collect();
    names.sort_by(|one, other| other.cmp(one));
    names.into_iter().map(|(_, name)| name).collect()
}

/// What runs the line on its busiest stack, the key of that in the evidence, and the function that it
/// began with.
fn runner(blocked: &Blocked<'_>) -> Option<(&'static str, &'static str, String)> {
    let (what, key) = match blocked.framework {
        Framework::Trio => ("trio task", "task_function"),
        Framework::Asyncio | Framework::Gevent => ("greenlet", "greenlet_function"),
    };
    let first = event_loop::began_with(blocked.framework, blocked.line.stack.as_ref()?)?;
    let function = first.qualname.as_ref().unwrap_or(&first.function);
    Some((what, key, function.to_string()))
}

fn in_task(tasks: &[String]) -> String {
    match tasks {
        [] => String::new(),
        [task] => format!(", in task `{task}`"),
        [task, others @ ..] => {
            format!(", in task `{task}` and {} others", wording::count(others.len() as u64))
        }
    }
}

fn asks_for_the_gil(wait: &Conduct, thresholds: &EventLoopBlockedThresholds) -> bool {
    let sums = wait.total.sums;
    wait.act == Act::Wait(WaitClass::Lock)
        && sums.repeats * 2 > sums.count
        && sums.blocked_ns() < thresholds.gil_ns.saturating_mul(sums.count)
}

fn advice(framework: Framework, wait: Option<&Conduct>) -> &'static str {
    let class = match wait.map(|wait| wait.act) {
        Some(Act::Wait(class)) => Some(class),
        _ => None,
    };
    match framework {
        Framework::Asyncio => class.map_or(COMPUTING, advice_of_asyncio),
        Framework::Trio => class.map_or(
            "Move the computing off the loop: `await trio.to_thread.run_sync(...)` where it lets go \
             of the GIL, a process pool where it does not.",
            |class| match class {
                WaitClass::Sleep => "`await trio.sleep(...)` instead of sleeping.",
                WaitClass::Child => {
                    "Use `await trio.run_process(...)`, or run it by \
                     `await trio.to_thread.run_sync(...)`."
                }
                _ => {
                    "Use an async client, or call this one by \
                     `await trio.to_thread.run_sync(...)` (`anyio.to_thread.run_sync` under anyio)."
                }
            },
        ),
        Framework::Gevent => class.map_or(
            "Move the computing off the hub: `gevent.get_hub().threadpool.apply(...)` where it lets \
             go of the GIL, another process where it does not.",
            |_| {
                "Call `gevent.monkey.patch_all()` before all other imports, so that the standard \
                 library waits by the hub; what waits in C, call by \
                 `gevent.get_hub().threadpool.apply(...)`."
            },
        ),
    }
}

const COMPUTING: &str = "Move the computing off the loop: `await asyncio.to_thread(...)` where it \
                         lets go of the GIL, a process pool (`loop.run_in_executor(pool, ...)`) \
                         where it does not.";

fn advice_of_asyncio(class: WaitClass) -> &'static str {
    match class {
        WaitClass::Receive
        | WaitClass::Send
        | WaitClass::Poll
        | WaitClass::Connect
        | WaitClass::Accept => {
            "Use an async client (`aiohttp`, `httpx.AsyncClient`, the driver's asyncio API), or call \
             this one by `await asyncio.to_thread(...)`."
        }
        WaitClass::Child => {
            "Use `await asyncio.create_subprocess_exec(...)`, or run it by \
             `await asyncio.to_thread(subprocess.run, ...)`."
        }
        WaitClass::Sleep => {
            "`await asyncio.sleep(...)` instead of sleeping; where a library sleeps (a database \
             that is locked), call it by `await asyncio.to_thread(...)`."
        }
        _ => "Do it off the loop, by `await asyncio.to_thread(...)`, and await the result.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story, frame};
    use super::*;
    use crate::event::StackId;
    use crate::python::Frame;
    use crate::source::Sums;

    const EVENTS: &str = "/usr/lib/python3.12/asyncio/events.py";
    const BASE_EVENTS: &str = "/usr/lib/python3.12/asyncio/base_events.py";

    fn handler(script: &mut Script, line: u32) -> StackId {
        script.stack(&[("/srv/app.py", line), (EVENTS, 84), (BASE_EVENTS, 1_936)])
    }

    fn stall(script: &mut Script, at: f64, stack: StackId, seconds: f64) {
        let ns = (seconds * 1e9) as u64;
        let sums = Sums { count: 1, ns, max_ns: ns, ..Sums::default() };
        script.act(at, stack, Act::Stall, 0, sums);
    }

    fn found(story: &Story) -> Vec<&super::super::Finding> {
        story.of(Kind::EventLoopBlocked)
    }

    /// Exercise a handler that waits for a peer: told with the call, and who it waited for.
    #[test]
    fn a_handler_that_waits_for_a_peer() {
        let mut script = Script::default();
        let stack = handler(&mut script, 10);
        let peer = script.peer(6379);
        let about = About { call: libc::SYS_recvfrom as u16, ..About::default() };
        for n in 0..10 {
            let at = 1.0 + 2.0 * f64::from(n);
            stall(&mut script, at, stack, 0.3);
            let sums = Sums { count: 1, ns: 299_000_000, max_ns: 299_000_000, ..Sums::default() };
            script.act_about(at, stack, Act::Wait(WaitClass::Receive), peer, sums, about);
        }
        let story = script.play(20);
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert_eq!((finding.severity, finding.confidence), (Severity::High, Confidence::Confirmed));
        assert_eq!(finding.evidence["call"], Evidence::Text("recvfrom".to_owned()));
        assert!(finding.summary.contains("127.0.0.1:6379"), "{}", finding.summary);
        assert!(finding.advice.contains("async client"), "{}", finding.advice);
        assert!(story.of(Kind::SlowCall).is_empty(), "told once");
    }

    /// Exercise computing that is met at one line or another of a function: one finding.
    #[test]
    fn computing_is_told_by_function() {
        let mut script = Script::default();
        let lines: Vec<StackId> = (10..14).map(|line| handler(&mut script, line)).collect();
        for n in 0..12u32 {
            stall(&mut script, 1.0 + f64::from(n), lines[n as usize % 4], 1.2);
        }
        let story = script.play(20);
        assert_eq!(found(&story).len(), 1);
        assert_eq!(found(&story)[0].severity, Severity::Critical);
        assert_eq!(found(&story)[0].evidence["count"], Evidence::Count(12));
        assert_eq!(found(&story)[0].evidence["call"], Evidence::Text("computing".to_owned()));
    }

    /// Exercise loops that the frames do not tell: a greenlet's by the hub's selector or by asyncio's,
    /// a task's that uvloop runs from C by its name. A selector of the program's own is none, and
    /// what a program does between two loops of asyncio's holds up neither.
    #[test]
    fn loops_that_only_the_kernel_side_knows() {
        let mut script = Script::default();
        let run = Frame::new("/v/site-packages/gevent/hub.py", "run", None, 647);
        let hub = script.frames(vec![run]);
        let own = script.stack(&[("/srv/poller.py", 5)]);
        let greenlet = script.stack(&[("/srv/app.py", 10), ("/srv/app.py", 40)]);
        let other = script.stack(&[("/srv/other.py", 10), ("/srv/other.py", 40)]);
        let bare = script.stack(&[("/srv/bare.py", 10)]);
        let task = script.object(Object::Task("req-7".to_owned()));
        let main = Frame::new("/srv/main.py", "<module>", None, 3);
        let turn = [
            Frame::new("/l/selectors.py", "select", None, 9),
            Frame::new(BASE_EVENTS, "_run_once", None, 1_936),
        ];
        let asyncio = script.frames([&turn[..], std::slice::from_ref(&main)].concat());
        let synchronous = script.stack(&[("/srv/sync.py", 10), ("/srv/sync.py", 40)]);
        let between = script.frames(vec![Frame::new("/srv/main.py", "between", None, 8), main]);
        let sums = Sums { count: 1, ns: 300_000_000, max_ns: 300_000_000, ..Sums::default() };
        for n in 0..10 {
            let at = 1.0 + 2.0 * f64::from(n);
            script.act(at, greenlet, Act::Stall, hub, sums);
            script.act(at, other, Act::Stall, own, sums);
            script.act(at, bare, Act::Stall, task, sums);
            script.act(at, synchronous, Act::Stall, asyncio, sums);
            script.act(at, between, Act::Stall, asyncio, sums);
        }
        let story = script.play(20);
        let mut told: Vec<_> = found(&story)
            .into_iter()
            .map(|finding| (finding.site.clone().map(|site| site.file.to_string()), finding))
            .collect();
        told.sort_by_key(|(file, _)| file.clone());
        let [(app, greenlet), (bare, task), (sync, beneath)] = &*told else { panic!("{told:?}") };
        assert_eq!(app.as_deref(), Some("/srv/app.py"));
        assert_eq!(greenlet.evidence["greenlet_function"], Evidence::Text("work".to_owned()));
        assert!(
            greenlet.summary.contains("in a greenlet that runs `work`"),
            "{}",
            greenlet.summary
        );
        assert!(greenlet.advice.contains("threadpool"), "{}", greenlet.advice);
        assert_eq!(bare.as_deref(), Some("/srv/bare.py"));
        assert_eq!(task.evidence["task"], Evidence::Text("req-7".to_owned()));
        assert_eq!(task.evidence["loop"], Evidence::Text("asyncio".to_owned()));
        assert_eq!(sync.as_deref(), Some("/srv/sync.py"));
        assert_eq!(beneath.evidence["loop"], Evidence::Text("asyncio".to_owned()));
        assert_eq!(beneath.evidence["greenlet_function"], Evidence::Text("work".to_owned()));
    }

    /// Exercise standstills that are no fault: a start, an import, a few hiccups, a program with a
    /// selector but no event loop, and a loop that waits beside another one.
    #[test]
    fn standstills_that_are_fine() {
        let mut script = Script::default();
        let start = handler(&mut script, 10);
        for at in [0.5, 1.5, 2.5] {
            stall(&mut script, at, start, 0.9);
        }
        let hiccup = script.stack(&[("/srv/hiccup.py", 20), (BASE_EVENTS, 1_936)]);
        for at in [3.0, 9.0, 15.0] {
            stall(&mut script, at, hiccup, 0.06);
        }
        let import = script.stack(&[
            ("/srv/lazy.py", 1),
            ("<frozen importlib._bootstrap>", 241),
            ("/srv/app.py", 30),
            (BASE_EVENTS, 1_936),
        ]);
        let selector = script.line(40);
        let selectors = "/usr/lib/python3.12/selectors.py";
        let beside = script.stack(&[(selectors, 468), (BASE_EVENTS, 1_898), ("/srv/app.py", 50)]);
        for n in 0..10 {
            for stack in [import, selector, beside] {
                stall(&mut script, 1.0 + 2.0 * f64::from(n), stack, 0.5);
            }
        }
        let story = script.play(25);
        assert!(found(&story).is_empty(), "{:?}", found(&story));
    }
}
