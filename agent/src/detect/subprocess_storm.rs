//! `subprocess-storm`: a line that starts processes at a high rate, for what one of them could tell.
//!
//! Starting many processes is what some programs are for. The fault is to start *the same command*
//! again and again, steadily, without end: its answer could be kept. Different commands are only a
//! storm when they come very fast and are over at once, so that starting them is most of their work.

use std::collections::BTreeMap;

use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::Act;

use super::Verdicts;
use super::adjust::thresholds;
use super::commands::Commands;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::same_line::{lately, quarters, same_line};
use super::wording;

thresholds! {
    /// Thresholds of `subprocess-storm`.
    pub struct SubprocessStormThresholds {
        /// Processes a minute of a repeated command: 75, more than a scheduler that ticks once a
        /// second.
        pub per_minute: f64 = 75.0,
        /// Processes a minute where commands differ (or nothing is executed): 300, five a second.
        pub distinct_per_minute: f64 = 300.0,
        /// Mean life of a child up to which different commands are a storm: 100 ms. What runs for
        /// longer does work that somebody wants; below, starting it is a large part of the cost.
        pub short_ns: u64 = 100_000_000,
        /// Share of the runs that repeat an earlier command from which it counts as repeated: 0.8.
        pub repeated_share: f64 = 0.8,
        /// How long it has to go on to be suspected: 10 s. A build starts its compilers in less.
        pub suspected_ns: u64 = 10 * SECOND_NS,
        /// How long a repeated command has to go on to be confirmed: 20 s, every quarter of it
        /// busy.
        pub confirmed_ns: u64 = 20 * SECOND_NS,
        /// How long different commands have to: two minutes. Jobs over a list of files end by then.
        pub distinct_ns: u64 = 120 * SECOND_NS,
        /// What each quarter must have of the mean of the four: 0.4, so that one burst is no storm.
        pub each_quarter: f64 = 0.4,
        /// Processes a minute from which it is high: 220, four a second less the jitter of
        /// measuring it.
        pub high_per_minute: f64 = 220.0,
        /// Share of the time that children run from which it is high: 0.1.
        pub high_share: f64 = 0.1,
        /// Share from which it is critical: 0.5, which a request spends waiting for them.
        pub critical_share: f64 = 0.5,
    }
}

/// Judges every line that makes processes.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &SubprocessStormThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for conduct in ledger.conducts_of(Act::Spawn) {
        // All children, their children's included, bound the rate of the line's own from above.
        if conduct.per_minute(now_ns, thresholds.suspected_ns) >= thresholds.per_minute
            || conduct.per_minute(now_ns, thresholds.distinct_ns) >= thresholds.per_minute
        {
            verdicts.findings.extend(judge(ledger, conduct, thresholds, now_ns));
        }
    }
}

/// A storm as it was measured.
struct Storm {
    commands: Commands,
    repeated: bool,
    per_minute: f64,
    window_ns: u64,
    /// Wall and CPU time of a child, in the mean.
    wall_ns: u64,
    cpu_ns: u64,
    /// Share of the time that children ran; above 1 where several did at once.
    share: f64,
}

fn judge(
    ledger: &Ledger,
    conduct: &Conduct,
    thresholds: &SubprocessStormThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let commands = Commands::of(ledger, conduct);
    let repeated = commands.repeated_share() >= thresholds.repeated_share;
    let (least, sure_ns) = if repeated {
        (thresholds.per_minute, thresholds.confirmed_ns)
    } else {
        (thresholds.distinct_per_minute, thresholds.distinct_ns)
    };
    // The longest span over which it goes on says the most.
    let spans = [6 * sure_ns, 3 * sure_ns, sure_ns, thresholds.suspected_ns];
    let spans = spans.into_iter().filter(|span_ns| *span_ns <= thresholds.distinct_ns);
    let storm = spans
        .filter(|span_ns| goes_on(conduct, now_ns, *span_ns, thresholds))
        .map(|span_ns| measure(ledger, conduct, &commands, repeated, now_ns, span_ns))
        .find(|storm| storm.per_minute >= least)?;
    if !repeated && storm.wall_ns > thresholds.short_ns {
        return None;
    }
    let confidence = if storm.window_ns >= sure_ns {
        Confidence::Confirmed
    } else if repeated {
        Confidence::Suspected
    } else {
        return None;
    };
    let draft = Draft {
        kind: Kind::SubprocessStorm,
        severity: severity(&storm, thresholds),
        confidence,
        evidence: evidence(&storm, ledger),
        summary: summary(&storm, ledger),
        advice: advice(&storm),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

/// Every quarter of the span has its share.
fn goes_on(
    conduct: &Conduct,
    now_ns: u64,
    span_ns: u64,
    thresholds: &SubprocessStormThresholds,
) -> bool {
    quarters(conduct, now_ns, span_ns).is_some_and(|parts| {
        let mean = parts.iter().sum::<u64>() as f64 / 4.0;
        parts.iter().all(|part| *part as f64 >= mean * thresholds.each_quarter)
    })
}

fn measure(
    ledger: &Ledger,
    conduct: &Conduct,
    commands: &Commands,
    repeated: bool,
    now_ns: u64,
    span_ns: u64,
) -> Storm {
    let (sums, covered_ns) = conduct.window(now_ns, span_ns);
    // Windows are kept of all children together; the line's own have the same share in each.
    let own = commands.started as f64 / conduct.total.sums.count.max(1) as f64;
    let ended = lately(same_line(ledger, conduct, Act::Child), now_ns, span_ns);
    let minutes = covered_ns.max(1) as f64 / (60 * SECOND_NS) as f64;
    Storm {
        commands: commands.clone(),
        repeated,
        per_minute: sums.count as f64 * own / minutes,
        window_ns: span_ns,
        wall_ns: ended.ns / ended.count.max(1),
        cpu_ns: ended.bytes / ended.count.max(1),
        share: ended.ns as f64 / covered_ns.max(1) as f64,
    }
}

fn severity(storm: &Storm, thresholds: &SubprocessStormThresholds) -> Severity {
    if storm.share >= thresholds.critical_share {
        Severity::Critical
    } else if storm.share >= thresholds.high_share || storm.per_minute >= thresholds.high_per_minute
    {
        Severity::High
    } else {
        Severity::Medium
    }
}

fn evidence(storm: &Storm, ledger: &Ledger) -> BTreeMap<&'static str, Evidence> {
    let ms = |ns: u64| Evidence::Measure(wording::rounded(ns as f64 / 1e6));
    let mut evidence = BTreeMap::from([
        ("started", Evidence::Count(storm.commands.started)),
        ("per_minute", Evidence::Measure(wording::rounded(storm.per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(storm.window_ns))),
        ("mean_wall_ms", ms(storm.wall_ns)),
        ("mean_cpu_ms", ms(storm.cpu_ns)),
        ("time_share", Evidence::Measure(wording::rounded(storm.share))),
        ("identical", Evidence::Count(storm.commands.top_count)),
        ("distinct_commands", Evidence::Count(storm.commands.distinct)),
    ]);
    if let Some(command) = storm.commands.command(ledger) {
        evidence.insert("command", Evidence::Text(command));
    }
    evidence
}

fn summary(storm: &Storm, ledger: &Ledger) -> String {
    let name = storm.commands.name(ledger);
    let name = name.map_or_else(|| "a process".to_owned(), |name| format!("`{name}`"));
    let same = match (storm.repeated, storm.commands.distinct) {
        (true, 1) => "the same command each time".to_owned(),
        (true, distinct) => format!(
            "{} different commands, each again and again; {name} {} times",
            wording::count(distinct),
            wording::count(storm.commands.top_count)
        ),
        (false, 0) => "copies of this process that execute nothing else".to_owned(),
        (false, distinct) => format!("{} different commands", wording::count(distinct)),
    };
    let what = if storm.commands.distinct == 1 { name } else { "processes".to_owned() };
    format!(
        "{} × {what} started, {}/min over {}, {:.1} ms each ({:.1} ms of CPU), {:.1} % of the time; \
         {same}.",
        wording::count(storm.commands.started),
        wording::rate(storm.per_minute),
        wording::duration(storm.window_ns),
        storm.wall_ns as f64 / 1e6,
        storm.cpu_ns as f64 / 1e6,
        storm.share * 100.0,
    )
}

fn advice(storm: &Storm) -> String {
    if storm.repeated {
        let kept = storm.per_minute * 10.0 / 60.0;
        format!(
            "Keep the result for 5 to 10 s (a module variable with its time, or a TTL cache): with \
             10 s about {kept:.0} starts in each of them become one; or ask the system without a \
             process (`psutil`, `os.sysconf`, `/proc`)."
        )
    } else {
        "Give many inputs to one process (a batch, or a worker that is kept and fed over a pipe) \
         instead of starting one for each."
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::source::Sums;

    /// One process: made, executing `words`, ended after `ms`.
    fn run(script: &mut Script, at: f64, line: u64, words: &[&str], ms: u64) {
        let one = |ns, bytes| Sums { count: 1, ns, bytes, ..Sums::default() };
        let known = script.command(words);
        script.act(at, line, Act::Spawn, 0, one(0, 0));
        script.act(at + 0.001, line, Act::Exec, known, one(0, 0));
        let end = at + ms as f64 / 1e3;
        script.act(end, line, Act::Child, known, one(ms * 1_000_000, ms * 500_000));
    }

    /// Runs the same command from `from` to `to`.
    fn storm(script: &mut Script, from: f64, to: f64, per_minute: f64) {
        let line = script.line(10);
        let known = script.command(&["/bin/sh", "/opt/bin/vm_stat"]);
        let mut at = from;
        while at < to {
            let one = |ns, bytes| Sums { count: 1, ns, bytes, ..Sums::default() };
            script.act(at, line, Act::Spawn, 0, one(0, 0));
            script.act(at, line, Act::Exec, known, one(0, 0));
            script.act(at + 0.03, line, Act::Child, known, one(31_000_000, 12_000_000));
            at += 60.0 / per_minute;
        }
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::SubprocessStorm)
    }

    /// Exercise the audited fault: suspected, then confirmed, with what it costs.
    #[test]
    fn the_same_command_again_and_again() {
        let mut script = Script::default();
        storm(&mut script, 0.5, 60.0, 240.0);
        let story = script.play(60);
        let at = story.confirmed_at(Kind::SubprocessStorm).expect("confirmed");
        assert!((19.0..25.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert!(finding.severity >= Severity::High);
        assert!(finding.summary.contains("`vm_stat` started, 23"), "{}", finding.summary);
        assert!(finding.summary.contains("31.0 ms each"), "{}", finding.summary);
        assert!(finding.summary.contains("same command each time"), "{}", finding.summary);
        assert!(finding.advice.contains("Keep the result"), "{}", finding.advice);
        assert_eq!(finding.evidence["distinct_commands"], Evidence::Count(1));
    }

    /// Exercise what is no storm: the remedy, a tick a second, a build, a list of jobs.
    #[test]
    fn ordinary_use_is_silent() {
        for (to, per_minute) in [(60.0, 12.0), (60.0, 60.0), (4.0, 600.0)] {
            let mut script = Script::default();
            storm(&mut script, 0.5, to, per_minute);
            assert!(found(&script.play(60)).is_empty(), "{per_minute}/min until {to} s");
        }
        let mut script = Script::default();
        let line = script.line(10);
        for n in 0..300u32 {
            let file = format!("{n}.c");
            run(&mut script, 0.5 + f64::from(n) * 0.2, line, &["cc", "-c", &file], 400);
        }
        assert!(found(&script.play(60)).is_empty(), "compilers at work");
    }

    /// Exercise a helper that two commands share, and different short ones that never end.
    #[test]
    fn several_commands_of_one_line() {
        let mut script = Script::default();
        let line = script.line(10);
        let words: [&[&str]; 2] = [&["vm_stat"], &["sysctl", "-n", "hw.memsize"]];
        let known = words.map(|words| script.command(words));
        for n in 0..120 {
            let one = Sums { count: 1, ns: 5_000_000, ..Sums::default() };
            let at = 0.5 + f64::from(n) * 0.4;
            script.act(at, line, Act::Spawn, 0, one);
            script.act(at, line, Act::Exec, known[n as usize % 2], one);
            script.act(at, line, Act::Child, known[n as usize % 2], one);
        }
        let story = script.play(40);
        assert_eq!(found(&story)[0].confidence, Confidence::Confirmed);
        assert!(found(&story)[0].summary.contains("2 different"), "{}", found(&story)[0].summary);

        let mut script = Script::default();
        let line = script.line(10);
        for n in 0..900u32 {
            let file = format!("{n}.png");
            run(&mut script, 0.5 + f64::from(n) * 0.15, line, &["identify", &file], 8);
        }
        let story = script.play(130);
        assert!(story.confirmed_at(Kind::SubprocessStorm).is_some_and(|at| at > 100.0));
        assert!(found(&story)[0].advice.contains("one process"), "{}", found(&story)[0].advice);
    }
}
