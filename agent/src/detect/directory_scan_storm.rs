//! `directory-scan-storm`: a tree of directories that is read through again and again.
//!
//! Several lines that each read the same tree for one answer are one storm, told at each of them.

use std::collections::BTreeMap;
use std::collections::hash_map::{DefaultHasher, HashMap};
use std::hash::{Hash, Hasher};

use crate::event::{Object, ObjectId, ProcessId};
use crate::ledger::{Conduct, Ledger, Owner, SECOND_NS};
use crate::python::Frame;
use crate::source::Act;

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::{Verdicts, file_use, wording};

thresholds! {
    /// Thresholds of `directory-scan-storm`.
    pub struct DirectoryScanStormThresholds {
        /// Passes over a tree, by all lines, that are suspected: 4. A program that starts looks at
        /// its directories once or twice.
        pub suspected_passes: f64 = 4.0,
        /// Time from the first to the last of them: 5 s.
        pub suspected_span_ns: u64 = 5 * SECOND_NS,
        /// Passes that are confirmed: 6.
        pub confirmed_passes: f64 = 6.0,
        /// Time from the first to the last of those: 14 s. What a start-up or a build reads, it
        /// reads within less.
        pub confirmed_span_ns: u64 = 14 * SECOND_NS,
        /// Passes a minute from which it is a storm: 15. One pass for each question that a person
        /// asks, every 8 s, is not.
        pub passes_per_minute: f64 = 15.0,
        /// Directories a minute, besides: 600, ten a second. A small tree may be looked at each
        /// second.
        pub directories_per_minute: f64 = 600.0,
        /// Share of the directories read again that had not changed: 0.5. A directory through which
        /// files come and go must be read again.
        pub unchanged_share: f64 = 0.5,
        /// Directories a minute that are medium: 3,000.
        pub medium_per_minute: f64 = 3_000.0,
        /// Directories a minute that are high: 30,000. At 50 µs each, with the objects that Python
        /// makes of the names, that is a fortieth of a CPU.
        pub high_per_minute: f64 = 30_000.0,
        /// The window of the rates: a minute.
        pub window_ns: u64 = 60 * SECOND_NS,
        /// The window that has to have the same rates: 10 s, so that the burst of a start-up does
        /// not stand for the passes after it.
        pub recent_ns: u64 = 10 * SECOND_NS,
    }
}

/// What one line reads.
struct Scan<'a> {
    conduct: &'a Conduct,
    tree: String,
    directories: u64,
    passes: f64,
    per_minute: f64,
    /// Of the directories that were read before.
    unchanged_share: f64,
}

/// What all lines read of one tree.
struct Storm {
    passes: f64,
    per_minute: f64,
    directories_per_minute: f64,
    lines: usize,
    span_ns: u64,
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &DirectoryScanStormThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let passes = passes(ledger);
    let mut trees: BTreeMap<(ProcessId, String), Vec<Scan<'_>>> = BTreeMap::new();
    for conduct in ledger.conducts_of(Act::List).filter(|line| !file_use::imports(line)) {
        if let Some(scan) = scan(conduct, &passes, ledger, thresholds, now_ns)
            && scan.unchanged_share >= thresholds.unchanged_share
            // Lines that read the tree only while starting are no part of what goes on.
            && conduct.span_ns() >= thresholds.suspected_span_ns
        {
            trees.entry((conduct.process, scan.tree.clone())).or_default().push(scan);
        }
    }
    for scans in trees.values() {
        let storm = storm(scans);
        if storm.passes < thresholds.suspected_passes
            || storm.span_ns < thresholds.suspected_span_ns
            || storm.per_minute < thresholds.passes_per_minute
            || storm.directories_per_minute < thresholds.directories_per_minute
        {
            continue;
        }
        let findings = scans.iter().map(|scan| finding(scan, &storm, ledger, thresholds, now_ns));
        verdicts.findings.extend(findings);
    }
}

type LineOfDirectory<'a> = (ProcessId, Option<&'a Frame>, ObjectId);

/// How often each line has read each directory. A glob of the standard library reads a directory by
/// two of its functions in one pass: of the ways further in, the one that was gone most often counts;
/// the callers of the line are summed.
fn passes(ledger: &Ledger) -> HashMap<LineOfDirectory<'_>, u64> {
    let mut by_caller: HashMap<(LineOfDirectory<'_>, u64), u64> = HashMap::new();
    for act in ledger.acts().iter().filter(|act| act.act == Act::List && act.object != 0) {
        let site = ledger.site_of(act.process, act.stack);
        let mut caller = DefaultHasher::new();
        if let Some(stack) = ledger.stack(act.process, act.stack) {
            let line = stack.frames.iter().position(|frame| Some(frame) == site);
            stack.frames.get(line.unwrap_or_default()..).hash(&mut caller);
        }
        let key = ((act.process, site, act.object), caller.finish());
        let most = by_caller.entry(key).or_default();
        *most = (*most).max(act.sums.starts);
    }
    let mut passes = HashMap::new();
    for ((line, _), most) in by_caller {
        *passes.entry(line).or_default() += most;
    }
    passes
}

fn scan<'a>(
    conduct: &'a Conduct,
    passes: &HashMap<LineOfDirectory<'_>, u64>,
    ledger: &Ledger,
    thresholds: &DirectoryScanStormThresholds,
    now_ns: u64,
) -> Option<Scan<'a>> {
    let mut tree: Option<Vec<u8>> = None;
    let (mut directories, mut total, mut again, mut unchanged) = (0u64, 0u64, 0u64, 0u64);
    for (id, deed) in &conduct.objects {
        let Some(Object::File { path, .. }) = ledger.object(*id) else { continue };
        tree = Some(match tree {
            Some(tree) => common(&tree, path),
            None => path.clone(),
        });
        directories += 1;
        total += passes.get(&(conduct.process, conduct.site.as_ref(), *id)).copied().unwrap_or(0);
        again += deed.sums.starts.saturating_sub(1);
        unchanged += deed.sums.repeats.min(deed.sums.starts.saturating_sub(1));
    }
    let tree = tree?;
    // Listings that are told apart by directory, and those that are not, go at one pace.
    let per_pass = conduct.total.sums.starts as f64 / (total as f64 / directories as f64).max(1.0);
    let rate = |span_ns: u64| {
        let (window, covered_ns) = conduct.window(now_ns, span_ns);
        let minutes = covered_ns.max(10 * SECOND_NS) as f64 / (60.0 * SECOND_NS as f64);
        window.starts as f64 / per_pass.max(1.0) / minutes
    };
    Some(Scan {
        conduct,
        tree: String::from_utf8_lossy(&tree).into_owned(),
        directories: directories + conduct.others,
        passes: total as f64 / directories as f64,
        per_minute: rate(thresholds.window_ns).min(rate(thresholds.recent_ns)),
        unchanged_share: unchanged as f64 / again.max(1) as f64,
    })
}

/// The directory that both are in.
fn common(one: &[u8], other: &[u8]) -> Vec<u8> {
    let ends = |path: &[u8], at: usize| at == path.len() || path[at] == b'/';
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let at = if ends(one, same) && ends(other, same) {
        same
    } else {
        one[..same].iter().rposition(|&byte| byte == b'/').unwrap_or(0)
    };
    if at == 0 { b"/".to_vec() } else { one[..at].to_vec() }
}

fn storm(scans: &[Scan<'_>]) -> Storm {
    let first = scans.iter().map(|scan| scan.conduct.total.first_ns).min().unwrap_or(0);
    let last = scans.iter().map(|scan| scan.conduct.total.last_ns).max().unwrap_or(0);
    Storm {
        passes: scans.iter().map(|scan| scan.passes).sum(),
        per_minute: scans.iter().map(|scan| scan.per_minute).sum(),
        directories_per_minute: scans.iter().map(|s| s.per_minute * s.directories as f64).sum(),
        lines: scans.len(),
        span_ns: last.saturating_sub(first),
    }
}

fn finding(
    scan: &Scan<'_>,
    storm: &Storm,
    ledger: &Ledger,
    thresholds: &DirectoryScanStormThresholds,
    now_ns: u64,
) -> Finding {
    let certain = scan.conduct.owner == Owner::Own
        && storm.passes >= thresholds.confirmed_passes
        && storm.span_ns >= thresholds.confirmed_span_ns;
    let draft = Draft {
        kind: Kind::DirectoryScanStorm,
        severity: Severity::by_bands(
            storm.directories_per_minute,
            thresholds.medium_per_minute,
            thresholds.high_per_minute,
        ),
        confidence: if certain { Confidence::Confirmed } else { Confidence::Suspected },
        summary: summary(scan, storm),
        advice: if storm.lines > 1 {
            format!(
                "Walk the tree once (`os.walk`) and sort what it meets for all {} lines.",
                storm.lines
            )
        } else {
            "Walk the tree once, keep an index, and let inotify (the watchdog package) tell what \
             changes in it."
                .into()
        },
        evidence: BTreeMap::from([
            ("tree", Evidence::Text(scan.tree.clone())),
            ("passes", Evidence::Measure(wording::rounded(storm.passes))),
            ("passes_here", Evidence::Measure(wording::rounded(scan.passes))),
            ("passes_per_minute", Evidence::Measure(wording::rounded(storm.per_minute))),
            ("directories_per_pass", Evidence::Count(scan.directories)),
            (
                "directories_per_minute",
                Evidence::Measure(wording::rounded(storm.directories_per_minute)),
            ),
            ("lines", Evidence::Count(storm.lines as u64)),
            ("unchanged_share", Evidence::Measure(wording::rounded(scan.unchanged_share))),
            ("window_seconds", Evidence::Measure(wording::seconds(storm.span_ns))),
        ]),
    };
    draft.about(scan.conduct, ledger, now_ns)
}

fn summary(scan: &Scan<'_>, storm: &Storm) -> String {
    let lines = match storm.lines {
        1 => String::new(),
        lines => format!(" by {lines} lines, {:.0} of them here,", scan.passes),
    };
    format!(
        "{:.0} passes over the {} directories of `{}`{lines} in {}, {}/min; {:.0} % of what was read \
         again had not changed.",
        storm.passes,
        wording::count(scan.directories),
        scan.tree,
        wording::duration(storm.span_ns),
        wording::rate(storm.per_minute),
        scan.unchanged_share * 100.0,
    )
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, frame};
    use super::*;
    use crate::source::Sums;

    fn listed(again: bool) -> Sums {
        Sums { count: 1, starts: 1, repeats: u64::from(again), ..Sums::default() }
    }

    fn tree(script: &mut Script, root: &str, directories: usize) -> Vec<ObjectId> {
        (0..directories).map(|n| script.file(&format!("{root}/part-{n}/x"))).collect()
    }

    /// Exercise five globs of one tree for one answer, each of which reads a directory by two ways: a
    /// finding at each of the five, with the passes of all.
    #[test]
    fn five_globs_for_one_answer() {
        let mut script = Script::default();
        let directories = tree(&mut script, "/srv/ws", 73);
        for line in 23..28 {
            for inner in ["_select_from", "_iterate_directories"].iter().enumerate() {
                let library = ("/usr/lib/python3.12/pathlib.py", inner.0 as u32 + 7);
                let stack = script.stack(&[library, ("/srv/app.py", line), ("/srv/main.py", 1)]);
                for answer in 0..4 {
                    for id in &directories {
                        let at = 0.2 + f64::from(answer) * 8.0;
                        script.act(at, stack, Act::List, *id, listed(answer > 0 || line > 23));
                    }
                }
            }
        }
        let story = script.play(28);
        let at = story.confirmed_at(Kind::DirectoryScanStorm).expect("confirmed");
        assert!(at <= 20.0, "{at}");
        let found = story.of(Kind::DirectoryScanStorm);
        assert_eq!(found.len(), 5);
        assert_eq!(found[0].site, Some(frame("/srv/app.py", 23)));
        assert_eq!(found[0].evidence["passes"], Evidence::Measure(20.0));
        assert_eq!(found[0].evidence["passes_here"], Evidence::Measure(4.0));
        assert_eq!(found[0].evidence["tree"], Evidence::Text("/srv/ws".into()));
        assert!(found[0].advice.contains("all 5 lines"), "{}", found[0].advice);
    }

    /// Exercise a scan for every query: one line, high, and the advice to keep an index.
    #[test]
    fn a_scan_for_every_query() {
        let mut script = Script::default();
        let (line, directories) = (script.line(9), tree(&mut script, "/srv/ws", 161));
        for query in 0..110 {
            for id in &directories {
                script.act(f64::from(query) * 0.25, line, Act::List, *id, listed(query > 0));
            }
        }
        let story = script.play(28);
        let found = story.of(Kind::DirectoryScanStorm);
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!(found[0].confidence, Confidence::Confirmed);
        assert!(found[0].advice.contains("index"));
    }

    /// Exercise near misses: one pass for each answer, a start-up, a build that walks new trees, a
    /// spool through which files come and go, and imports.
    #[test]
    fn what_is_no_storm() {
        let mut script = Script::default();
        let [answer, start, spool, build] = [1, 2, 3, 4].map(|line| script.line(line));
        let import =
            script.stack(&[("<frozen importlib._bootstrap_external>", 1_600), ("/srv/app.py", 5)]);
        let shared = tree(&mut script, "/srv/ws", 73);
        for n in 0..60 {
            let at = 0.5 + f64::from(n);
            for id in &shared {
                if n % 8 == 0 {
                    script.act(at, answer, Act::List, *id, listed(n > 0));
                }
                if n < 9 {
                    script.act(0.5 + 0.1 * at, start, Act::List, *id, listed(n > 0));
                }
                script.act(at, spool, Act::List, *id, listed(false));
                script.act(at, import, Act::List, *id, listed(n > 0));
            }
            for id in tree(&mut script, &format!("/tmp/build-{n}"), 20) {
                script.act(at, build, Act::List, id, listed(false));
            }
        }
        let story = script.play(65);
        assert!(story.of(Kind::DirectoryScanStorm).is_empty());
    }

    /// Exercise the directory that two are in.
    #[test]
    fn common_directories() {
        let of = |one: &str, other: &str| {
            String::from_utf8(common(one.as_bytes(), other.as_bytes())).expect("text")
        };
        assert_eq!(of("/srv/ws", "/srv/ws/a"), "/srv/ws");
        assert_eq!(of("/srv/ws/ab", "/srv/ws/ac"), "/srv/ws");
        assert_eq!(of("/srv/ws", "/srv/ws2"), "/srv");
        assert_eq!(of("/a", "/b"), "/");
    }
}
