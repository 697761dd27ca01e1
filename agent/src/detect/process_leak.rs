//! `process-leak`: children that linger, or that nobody reaps.
//!
//! A child that has ended stays in the process table until its parent waits for it. A pool's workers
//! live on too, but they are made once; and who starts jobs and waits for them later does wait. So
//! the children of a line have to become more and more, with nobody waiting for those that ended.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::python::Frame;
use crate::source::{Act, LiveChild};

use super::Verdicts;
use super::adjust::thresholds;
use super::commands::Commands;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::wording;

thresholds! {
    /// Thresholds of `process-leak`.
    pub struct ProcessLeakThresholds {
        /// Ended and unreaped children of a line from which it is told: 3.
        pub unreaped: u64 = 3,
        /// Of these for it to be confirmed: 5.
        pub confirmed_unreaped: u64 = 5,
        /// How long the first of them has waited to be reaped to be confirmed: 8 s. Loops that look
        /// after their children do it every few seconds.
        pub unreaped_ns: u64 = 8 * SECOND_NS,
        /// Running children of a line that none is taken from: 17 and more can be a pool no longer
        /// on the machines that most programs run on; fewer are not told unless some have ended.
        pub running: u64 = 17,
        /// How long these have to become more: a minute, longer than a pool takes to fill.
        pub running_span_ns: u64 = 60 * SECOND_NS,
        /// How long children must have been made for, at least: 10 s. What was made at once is a
        /// batch.
        pub span_ns: u64 = 10 * SECOND_NS,
        /// Share of a line's children that may have been reaped: 0.2. Who reaps more has a way to
        /// do it.
        pub reaped_share: f64 = 0.2,
        /// How long ended children have to wait to be told whatever is reaped besides: two minutes.
        /// Who forgets them on one path only, where an exception passes, never comes back to them.
        pub forgotten_ns: u64 = 120 * SECOND_NS,
        /// Of the four parts of the span, those in which some of what lingers was made: 3.
        pub parts: usize = 3,
        /// Lingering children from which it is high: 100; a user may have some thousands.
        pub high: u64 = 100,
        /// Lingering children from which it is critical: 1,000.
        pub critical: u64 = 1_000,
    }
}

/// The children of one line that nobody has reaped.
#[derive(Default)]
struct Lingering<'l> {
    running: Vec<&'l LiveChild>,
    ended: Vec<&'l LiveChild>,
}

/// Judges every line that has children.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &ProcessLeakThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let mut lines: BTreeMap<(ProcessId, Option<&Frame>), Lingering<'_>> = BTreeMap::new();
    for child in ledger.children().iter().filter(|child| child.depth == 0) {
        let line = (child.process, ledger.site_of(child.process, child.stack));
        let lingering = lines.entry(line).or_default();
        if child.ended_ns == 0 {
            lingering.running.push(child);
        } else {
            lingering.ended.push(child);
        }
    }
    for conduct in ledger.conducts_of(Act::Spawn) {
        if let Some(lingering) = lines.get(&(conduct.process, conduct.site.as_ref())) {
            verdicts.findings.extend(judge(ledger, conduct, lingering, thresholds, now_ns));
        }
    }
}

fn judge(
    ledger: &Ledger,
    conduct: &Conduct,
    lingering: &Lingering<'_>,
    thresholds: &ProcessLeakThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let (ended, running) = (lingering.ended.len() as u64, lingering.running.len() as u64);
    if ended < thresholds.unreaped && running < thresholds.running {
        return None;
    }
    let commands = Commands::of(ledger, conduct);
    let reaped = commands.started.saturating_sub(ended + running);
    let waited = |child: &&LiveChild| now_ns.saturating_sub(child.ended_ns);
    let old = lingering.ended.iter().filter(|child| waited(child) >= thresholds.forgotten_ns);
    let forgotten = old.count() as u64 >= thresholds.confirmed_unreaped;
    if !forgotten && reaped as f64 > commands.started as f64 * thresholds.reaped_share {
        return None;
    }
    let born: Vec<u64> =
        lingering.ended.iter().chain(&lingering.running).map(|child| child.born_ns).collect();
    let span_ns = spread(&born, thresholds)?;
    let waiting_ns = lingering.ended.iter().map(waited).max();
    let unreaped = ended >= thresholds.confirmed_unreaped
        && waiting_ns.is_some_and(|waited| waited >= thresholds.unreaped_ns);
    let piled_up = running >= thresholds.running && span_ns >= thresholds.running_span_ns;
    if ended < thresholds.unreaped && !piled_up {
        return None;
    }
    let sure = unreaped || piled_up;
    let per_minute =
        born.len() as f64 * 60.0 * SECOND_NS as f64 / span_ns.max(thresholds.span_ns) as f64;
    let mut evidence = BTreeMap::from([
        ("unreaped", Evidence::Count(ended)),
        ("running", Evidence::Count(running)),
        ("started", Evidence::Count(commands.started)),
        ("reaped", Evidence::Count(reaped)),
        ("per_minute", Evidence::Measure(wording::rounded(per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(span_ns))),
    ]);
    if let Some(waited) = waiting_ns {
        evidence.insert("longest_unreaped_seconds", Evidence::Measure(wording::seconds(waited)));
    }
    if let Some(command) = commands.command(ledger) {
        evidence.insert("command", Evidence::Text(command));
    }
    let draft = Draft {
        kind: Kind::ProcessLeak,
        severity: severity(ended + running, thresholds),
        confidence: if sure { Confidence::Confirmed } else { Confidence::Suspected },
        evidence,
        summary: summary(&commands, ledger, (ended, running, reaped), waiting_ns, per_minute),
        advice: "Wait for each child when its work is done (`with subprocess.Popen(...) as p:`, \
                 `p.wait()` or `p.terminate()` then `p.wait()` in a `finally:`, a driver's \
                 `quit()`), or keep one and use it again."
            .to_owned(),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

/// How long what lingers has been made for; `None` when it was made at once, or in fewer parts of
/// the time than it takes.
fn spread(born: &[u64], thresholds: &ProcessLeakThresholds) -> Option<u64> {
    let (first, last) = (*born.iter().min()?, *born.iter().max()?);
    let span_ns = last - first;
    if span_ns < thresholds.span_ns {
        return None;
    }
    let mut parts = [false; 4];
    for time in born {
        let part = u128::from(time - first) * 4 / (u128::from(span_ns) + 1);
        parts[part as usize] = true;
    }
    let filled = parts.iter().filter(|part| **part).count();
    (filled >= thresholds.parts).then_some(span_ns)
}

fn severity(lingering: u64, thresholds: &ProcessLeakThresholds) -> Severity {
    match lingering {
        n if n >= thresholds.critical => Severity::Critical,
        n if n >= thresholds.high => Severity::High,
        _ => Severity::Medium,
    }
}

fn summary(
    commands: &Commands,
    ledger: &Ledger,
    (ended, running, reaped): (u64, u64, u64),
    waiting_ns: Option<u64>,
    per_minute: f64,
) -> String {
    let name = commands.name(ledger).map_or_else(String::new, |name| format!(" (`{name}`)"));
    let waited = waiting_ns
        .map_or_else(String::new, |ns| format!(", the first for {}", wording::duration(ns)));
    format!(
        "{} children started here{name}, {} reaped: {} have ended and nobody waited for \
         them{waited}, {} still run; {} more a minute.",
        wording::count(commands.started),
        wording::count(reaped),
        wording::count(ended),
        wording::count(running),
        wording::rate(per_minute),
    )
}

#[cfg(test)]
mod tests {
    use super::super::script::{PROCESS, Script, Story, frame};
    use super::*;
    use crate::source::Sums;

    /// Starts a child at `at`; it ends after `life` seconds, and stays.
    fn start(script: &mut Script, at: f64, line: u64, pid: u32, life: Option<f64>) {
        let child = LiveChild {
            process: PROCESS,
            pid,
            parent: 4242,
            stack: line,
            command: 0,
            born_ns: 0,
            ended_ns: 0,
            cpu_ns: 0,
            status: 0,
            depth: 0,
        };
        script.act(at, line, Act::Spawn, 0, Sums { count: 1, ..Sums::default() });
        script.child(at, child);
        if let Some(life) = life {
            script.child(at + life, LiveChild { ended_ns: 1, ..child });
        }
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::ProcessLeak)
    }

    /// Exercise drivers that linger, end by themselves and stay as zombies.
    #[test]
    fn children_that_nobody_waits_for() {
        let mut script = Script::default();
        let line = script.line(10);
        for n in 0..20 {
            start(&mut script, 0.5 + f64::from(n) * 1.5, line, n + 1, Some(10.0));
        }
        let story = script.play(30);
        let at = story.confirmed_at(Kind::ProcessLeak).expect("confirmed");
        assert!((15.0..25.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert!(finding.summary.contains("0 reaped"), "{}", finding.summary);
    }

    /// Exercise pools: made at once, and grown by and by; and a batch that is waited for at its end.
    #[test]
    fn pools_and_batches_are_silent() {
        for (number, gap, life) in [(64, 0.01, None), (16, 2.0, None), (20, 0.05, Some(1.0))] {
            let mut script = Script::default();
            let line = script.line(10);
            for n in 0..number {
                start(&mut script, 0.5 + f64::from(n) * gap, line, n + 1, life);
            }
            assert!(found(&script.play(90)).is_empty(), "{number} each {gap} s");
        }
    }

    /// Exercise a line whose children are mostly reaped: a few that have just ended are no leak.
    #[test]
    fn a_line_that_reaps_is_silent() {
        let mut script = Script::default();
        let line = script.line(10);
        let many = Sums { count: 100, ..Sums::default() };
        script.act(1.0, line, Act::Spawn, 0, many);
        for n in 0..6 {
            start(&mut script, 5.0 + f64::from(n) * 4.0, line, n + 1, Some(1.0));
        }
        assert!(found(&script.play(40)).is_empty());
    }

    /// Exercise children that never end and become more and more.
    #[test]
    fn running_children_that_pile_up() {
        let mut script = Script::default();
        let line = script.line(10);
        for n in 0..40 {
            start(&mut script, 0.5 + f64::from(n) * 3.0, line, n + 1, None);
        }
        let story = script.play(120);
        assert!(story.confirmed_at(Kind::ProcessLeak).is_some_and(|at| at >= 60.0));
    }
}
