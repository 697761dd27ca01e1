//! `memory-growth`: memory that keeps growing.
//!
//! That it grows is told by the system's own account of the process; which line is behind it by the
//! calls that mapped more, or by the page faults where the allocator maps far ahead. A program that
//! starts, loads or fills a cache grows too: its growth tires, or it computes or reads all the while.
//! Only growth that goes on evenly, over all four quarters of the time and without falling back, is a
//! finding.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger, MemoryHistory, MemorySample, Process, SECOND_NS};
use crate::source::{Act, Mapped};

use super::Verdicts;
use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::mapped::{self, MappedByLine};
use super::touched::Touched;
use super::wording;

const MIB: u64 = 1 << 20;

/// The times that are looked at, in seconds, the longest first. The faster it grows, the sooner it is
/// sure.
const WINDOWS_S: [u64; 6] = [640, 320, 160, 80, 40, 20];

/// What lines did is remembered for about two minutes. Of growth over a longer time, the end is held
/// against it: it is even.
const REMEMBERED_NS: u64 = 120 * SECOND_NS;

thresholds! {
    /// Thresholds of `memory-growth`.
    pub struct MemoryGrowthThresholds {
        /// Growth within the window from which it counts: 6 MiB, more than the system's counts of
        /// pages are off by, and than a program gains by warming up over 20 s.
        pub least_bytes: u64 = 6 * MIB,
        /// The same as a share of what the process has: 0.01. Large processes move more.
        pub least_share: f64 = 0.01,
        /// What each quarter must have of the mean of the four: 0.5.
        pub each_quarter: f64 = 0.5,
        /// What the last one must: 0.75. The growth of a cache that fills tires.
        pub last_quarter: f64 = 0.75,
        /// How far it may fall back in between, as a share of the growth: 0.15. What rises and
        /// falls is work, not growth.
        pub fall: f64 = 0.15,
        /// Share of a CPU from which the process is busy with one thing, such as to load: 0.8.
        pub busy_share: f64 = 0.8,
        /// Share of the growth that it has read from files from which it is loading: 0.5.
        pub read_share: f64 = 0.5,
        /// Files a second that it opens for the first time from which it is loading: 0.5. Imports
        /// and installers meet many, a service at work mostly those that it knows.
        pub new_files_per_second: f64 = 0.5,
        /// How many times its growth a process may have returned to the system within the window:
        /// 50. What takes and returns hundreds of megabytes for each request is met by the samples
        /// at another moment of it each time, and that looks like growth.
        pub turnover: f64 = 50.0,
        /// The window from which a process that is busy or loads is told all the same: 320 s.
        pub busy_window_s: u64 = 320,
        /// Share of the growth that a line's calls have to have mapped, or that it has to have
        /// touched first, for the line to be named: 0.5.
        pub explained_share: f64 = 0.5,
        /// The window from which growth is told of the process where no line explains it: 80 s.
        pub unexplained_window_s: u64 = 80,
        /// Bytes a minute from which it is medium: 5 MiB, 7 GiB a day.
        pub medium_per_minute: f64 = 5.0 * MIB as f64,
        /// Bytes a minute from which it is high: 50 MiB, hours to the end of most machines' memory.
        pub high_per_minute: f64 = 50.0 * MIB as f64,
        /// Bytes a minute from which it is critical: 500 MiB, minutes to that.
        pub critical_per_minute: f64 = 500.0 * MIB as f64,
    }
}

/// Judges every process.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &MemoryGrowthThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for (id, process) in ledger.processes().filter(|(_, process)| process.ended_ns.is_none()) {
        let grown = WINDOWS_S
            .iter()
            .find_map(|window_s| Grown::over(&process.memory, *window_s, thresholds));
        if let Some(grown) = grown {
            verdicts.findings.extend(judge(ledger, id, process, &grown, thresholds, now_ns));
        }
    }
}

/// Steady growth of the anonymous memory over a window.
struct Grown {
    window_s: u64,
    from: MemorySample,
    to: MemorySample,
    per_minute: f64,
    /// The end of it, of which is remembered what lines did.
    lately: Lately,
}

/// Growth over the last while.
#[derive(Clone, Copy)]
struct Lately {
    bytes: u64,
    span_ns: u64,
}

impl Grown {
    fn over(
        history: &MemoryHistory,
        window_s: u64,
        thresholds: &MemoryGrowthThresholds,
    ) -> Option<Self> {
        let to = *history.newest()?;
        let window_ns = window_s * SECOND_NS;
        let since_ns = to.time_ns.checked_sub(window_ns)?;
        // Ticks come a little late: what is nearest to the beginning stands for it.
        let samples: Vec<&MemorySample> = history.last(window_ns + SECOND_NS * 3 / 2).collect();
        let at = |time_ns: u64| samples.iter().min_by_key(|s| s.time_ns.abs_diff(time_ns));
        let from = **at(since_ns)?;
        if from.time_ns.abs_diff(since_ns) > SECOND_NS || to.anonymous <= from.anonymous {
            return None;
        }
        let growth = (to.anonymous - from.anonymous) as f64;
        let least =
            (thresholds.least_bytes as f64).max(to.anonymous as f64 * thresholds.least_share);
        let mut parts = [0.0; 4];
        let mut before = from.anonymous as f64;
        for (part, quarter) in parts.iter_mut().zip(1..) {
            let then = at(since_ns + window_ns / 4 * quarter)?.anonymous as f64;
            *part = then - before;
            before = then;
        }
        let mean = growth / 4.0;
        let steady = parts.iter().all(|part| *part >= mean * thresholds.each_quarter)
            && parts[3] >= mean * thresholds.last_quarter;
        if growth < least || !steady || fall(&samples) > growth * thresholds.fall {
            return None;
        }
        let per_minute = history.slope(to.time_ns - from.time_ns)?;
        let then = **at(since_ns.max(to.time_ns.saturating_sub(REMEMBERED_NS)))?;
        let bytes = to.anonymous.saturating_sub(then.anonymous);
        let lately = Lately { bytes, span_ns: to.time_ns - then.time_ns };
        Some(Self { window_s, from, to, per_minute, lately })
    }

    fn bytes(&self) -> u64 {
        self.to.anonymous - self.from.anonymous
    }

    fn span_ns(&self) -> u64 {
        self.to.time_ns - self.from.time_ns
    }

    fn cpu_share(&self) -> f64 {
        self.to.cpu_ns.saturating_sub(self.from.cpu_ns) as f64 / self.span_ns().max(1) as f64
    }
}

/// The farthest that it fell below what it had before.
fn fall(samples: &[&MemorySample]) -> f64 {
    let mut highest = 0;
    let mut fall = 0;
    for sample in samples {
        highest = highest.max(sample.anonymous);
        fall = fall.max(highest - sample.anonymous);
    }
    fall as f64
}

fn judge(
    ledger: &Ledger,
    id: ProcessId,
    process: &Process,
    grown: &Grown,
    thresholds: &MemoryGrowthThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let Lately { bytes, span_ns } = grown.lately;
    let read: u64 = ledger
        .conducts_of(Act::Read)
        .filter(|conduct| conduct.process == id)
        .map(|conduct| conduct.window(now_ns, span_ns).0.bytes)
        .sum();
    let met = new_files(ledger, id, now_ns.saturating_sub(grown.span_ns()));
    let loads = read as f64 >= bytes as f64 * thresholds.read_share
        || met as f64 >= grown.window_s as f64 * thresholds.new_files_per_second;
    let returned: u64 = ledger
        .conducts()
        .filter(|conduct| conduct.process == id && matches!(conduct.act, Act::Unmap(_)))
        .map(|conduct| conduct.window(now_ns, span_ns).0.bytes)
        .sum();
    let busy = grown.cpu_share() >= thresholds.busy_share
        || returned as f64 >= bytes as f64 * thresholds.turnover;
    if (loads || busy) && grown.window_s < thresholds.busy_window_s {
        return None;
    }
    let behind = Behind::of(ledger, id, grown.lately, now_ns, thresholds.explained_share);
    let line = behind.line();
    if line.is_none() && grown.window_s < thresholds.unexplained_window_s {
        return None;
    }
    let mut evidence = BTreeMap::from([
        ("bytes_per_minute", Evidence::Measure(grown.per_minute.round())),
        ("grown_bytes", Evidence::Count(grown.bytes())),
        ("anonymous_bytes", Evidence::Count(grown.to.anonymous)),
        ("resident_bytes", Evidence::Count(grown.to.resident)),
        ("window_seconds", Evidence::Measure(wording::seconds(grown.span_ns()))),
        ("cpu_share", Evidence::Measure(wording::rounded(grown.cpu_share()))),
    ]);
    let mut summary = format!(
        "The process's own memory grows by {} a minute, evenly over {}: {} → {}",
        wording::volume(grown.per_minute.max(0.0)),
        wording::duration(grown.span_ns()),
        wording::volume(grown.from.anonymous as f64),
        wording::volume(grown.to.anonymous as f64),
    );
    behind.tell(bytes, &mut evidence, &mut summary);
    let draft = Draft {
        kind: Kind::MemoryGrowth,
        severity: severity(grown.per_minute, thresholds),
        confidence: Confidence::Confirmed,
        evidence,
        summary,
        advice:
            "Bound what is kept (`functools.lru_cache(maxsize=...)`, an `OrderedDict` that drops \
                 its oldest, `collections.deque(maxlen=...)`), or write it out and let it go."
                .to_owned(),
    };
    Some(match line {
        Some(conduct) => draft.about(conduct, ledger, now_ns),
        None => draft.about_process(id, process.memory.oldest().map(|s| s.time_ns), ledger, now_ns),
    })
}

/// Files that the process has opened since `since_ns` and not before.
fn new_files(ledger: &Ledger, id: ProcessId, since_ns: u64) -> usize {
    ledger
        .conducts_of(Act::Open)
        .filter(|conduct| conduct.process == id)
        .flat_map(|conduct| conduct.objects.values())
        .filter(|opened| opened.first_ns >= since_ns)
        .count()
}

/// What is known of the line behind the growth.
enum Behind<'l> {
    /// Its calls mapped most of it.
    Mapped(MappedByLine<'l>),
    /// It touched most of it first: at least so many bytes.
    Touched(&'l Conduct, u64),
    /// Many lines: none mapped or touched most of it.
    Many,
    /// It cannot be told, for this reason.
    Unknown(&'static str),
}

const FILLED: &str = "less was mapped in that time, so it fills memory that was mapped before";
const HUGE_PAGES: &str = "the page faults tell of less, as they do of huge pages";
const OUTSIDE: &str = "no line of Python was met where it is touched";
const TURNOVER: &str = "as much and more comes and goes meanwhile";

impl<'l> Behind<'l> {
    /// Page faults tell of it where they are sampled: an allocator that maps far ahead maps at the
    /// line that happens to come next.
    fn of(ledger: &'l Ledger, id: ProcessId, grown: Lately, now_ns: u64, least_share: f64) -> Self {
        let Lately { bytes, span_ns } = grown;
        let is_most = |part: u64| part as f64 >= bytes as f64 * least_share;
        if let Some(touched) = Touched::of(ledger, id, now_ns, span_ns) {
            if !is_most(touched.total) {
                return Self::Unknown(HUGE_PAGES);
            }
            let Some(most) = touched.most else { return Self::Unknown(OUTSIDE) };
            let left = touched.left_at_least(most.bytes, bytes);
            return match (is_most(left), is_most(most.bytes)) {
                (true, _) => Self::Touched(most.conduct, left),
                (false, true) => Self::Unknown(TURNOVER),
                (false, false) => Self::Many,
            };
        }
        let lines = mapped::lines(ledger, id, now_ns, span_ns);
        let all = lines.iter().map(MappedByLine::net).sum();
        match lines.into_iter().next() {
            Some(line) if is_most(line.net()) => Self::Mapped(line),
            _ if is_most(all) => Self::Many,
            _ => Self::Unknown(FILLED),
        }
    }

    fn line(&self) -> Option<&'l Conduct> {
        match self {
            Self::Mapped(line) => Some(line.conduct),
            Self::Touched(conduct, _) => Some(conduct),
            Self::Many | Self::Unknown(_) => None,
        }
    }

    /// What there is to say of it, and no more.
    fn tell(
        &self,
        grown: u64,
        evidence: &mut BTreeMap<&'static str, Evidence>,
        summary: &mut String,
    ) {
        let (key, part) = match self {
            Self::Mapped(line) => ("line_mapped_bytes", line.net()),
            Self::Touched(_, part) => ("line_touched_bytes", *part),
            Self::Many => {
                summary.push_str(
                    "; no single line is behind most of it, so its allocations come from many.",
                );
                return;
            }
            Self::Unknown(why) => {
                summary.push_str(&format!("; which line keeps it is not known: {why}."));
                return;
            }
        };
        let explained = (part as f64 / grown.max(1) as f64).min(1.0);
        evidence.insert("explained_share", Evidence::Measure(wording::rounded(explained)));
        evidence.insert(key, Evidence::Count(part));
        let percent = explained * 100.0;
        summary.push_str(&match self {
            Self::Mapped(line) if line.arenas * 2 >= line.mapped => format!(
                "; calls of this line mapped {percent:.0} % of it, as arenas for small objects, \
                 which other lines' objects may lie in too."
            ),
            Self::Mapped(line) if line.conduct.act == Act::Map(Mapped::Heap) => {
                format!("; calls of this line extended the heap by {percent:.0} % of it.")
            }
            Self::Mapped(_) => format!("; calls of this line mapped {percent:.0} % of it."),
            _ => format!("; this line was the first to touch {percent:.0} % of it."),
        });
    }
}

fn severity(per_minute: f64, thresholds: &MemoryGrowthThresholds) -> Severity {
    match per_minute {
        rate if rate >= thresholds.critical_per_minute => Severity::Critical,
        rate if rate >= thresholds.high_per_minute => Severity::High,
        rate if rate >= thresholds.medium_per_minute => Severity::Medium,
        _ => Severity::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::source::Sums;

    /// A process whose anonymous memory follows `mib`, all of it mapped by one line, with that share
    /// of a CPU used.
    fn process(mib: impl Fn(f64) -> f64, seconds: u32, cpu: f64) -> Script {
        let mut script = Script::default();
        let line = script.line(10);
        let mut before = mib(0.0);
        for second in 0..seconds {
            let at = f64::from(second);
            let now = mib(at);
            let anonymous = (now * MIB as f64) as u64;
            let cpu_ns = (at * cpu * SECOND_NS as f64) as u64;
            let sample =
                MemorySample { anonymous, resident: anonymous, cpu_ns, ..Default::default() };
            script.memory(at, sample);
            let bytes = ((now - before).abs() * MIB as f64) as u64;
            let act = if now >= before { Act::Map(Mapped::Heap) } else { Act::Unmap(Mapped::Heap) };
            script.act(at, line, act, 0, Sums { count: 1, bytes, ..Sums::default() });
            before = now;
        }
        script
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::MemoryGrowth)
    }

    /// Exercise growth that is older than what is remembered of each line's calls.
    #[test]
    fn the_line_stays_known_however_long_it_goes_on() {
        for seconds in [60, 130, 200, 330, 700] {
            let story = process(|second| 50.0 + second * 2.5, seconds, 0.1).play(seconds);
            let sites: Vec<_> = found(&story).iter().map(|finding| finding.site.clone()).collect();
            assert_eq!(sites, [Some(frame("/srv/app.py", 10))], "{seconds} s");
        }
    }

    /// Exercise the audited fault: 150 MB a minute, at its line, with the slope.
    #[test]
    fn results_that_accumulate() {
        let story = process(|second| 50.0 + second * 2.5, 60, 0.1).play(60);
        let at = story.confirmed_at(Kind::MemoryGrowth).expect("confirmed");
        assert!((19.0..24.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert_eq!(finding.severity, Severity::High);
        let Evidence::Measure(slope) = finding.evidence["bytes_per_minute"] else { panic!() };
        assert!((slope / (150.0 * MIB as f64) - 1.0).abs() < 0.02, "{slope}");
        assert!(finding.summary.contains("extended the heap by 100 %"), "{}", finding.summary);
    }

    /// Exercise an allocator that maps far ahead: page faults tell of the line, and the one that
    /// happened to map is not blamed; what touches and returns much more hides it.
    #[test]
    fn a_line_that_touches_what_was_mapped_before() {
        let grows = |kept: u64, churned: u64| {
            let mut script = Script::default();
            let (leaks, churns, maps) = (script.line(10), script.line(20), script.line(30));
            let one = |bytes| Sums { count: 1, bytes, ..Sums::default() };
            script.act(1.0, maps, Act::Map(Mapped::Anonymous), 0, one(1 << 30));
            for second in 0..100u32 {
                let at = f64::from(second);
                let anonymous = (50 + u64::from(second)) * MIB;
                script.memory(at, MemorySample { anonymous, ..Default::default() });
                script.act(at, leaks, Act::Touch, 0, one(kept));
                script.act(at, churns, Act::Touch, 0, one(churned));
            }
            script.play(100)
        };
        let story = grows(MIB, MIB / 4);
        assert!(story.confirmed_at(Kind::MemoryGrowth).is_some_and(|at| at < 24.0));
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert!(finding.summary.contains("the first to touch 7"), "{}", finding.summary);
        let story = grows(MIB, 2 * MIB);
        assert!(story.confirmed_at(Kind::MemoryGrowth).is_some_and(|at| at >= 79.0));
        let finding = found(&story)[0];
        assert_eq!(finding.site, None);
        assert!(finding.summary.contains("not known: as much and more"), "{}", finding.summary);
        let story = grows(MIB / 512, 0);
        let finding = found(&story)[0];
        assert_eq!(finding.site, None);
        assert!(finding.summary.contains("as they do of huge pages"), "{}", finding.summary);
    }

    /// Exercise growth of which nothing is seen: nobody is said to be behind it.
    #[test]
    fn memory_that_was_mapped_before_is_nobodys() {
        let mut script = Script::default();
        for second in 0..100u32 {
            let anonymous = (50 + u64::from(second)) * MIB;
            script.memory(f64::from(second), MemorySample { anonymous, ..Default::default() });
        }
        let story = script.play(100);
        let finding = found(&story)[0];
        assert_eq!(finding.site, None);
        assert!(finding.summary.contains("mapped before"), "{}", finding.summary);
    }

    /// Exercise what grows and is no leak: a step, a cache that fills, work that rises and falls,
    /// a program that starts, a job that loads its files.
    #[test]
    fn what_levels_off_or_loads_is_silent() {
        type Shape = fn(f64) -> f64;
        let shapes: [(Shape, f64); 5] = [
            (|s| if s < 5.0 { 50.0 } else { 250.0 }, 0.1),
            (|s| 50.0 + 60.0 * (1.0 - (-s / 12.0).exp()), 0.1),
            (|s| 50.0 + s + if s as u64 % 6 < 3 { 40.0 } else { 0.0 }, 0.1),
            (|s| 10.0 + s.min(15.0) * 8.0, 1.0),
            (|_| 4_000.0, 0.0),
        ];
        for (nth, (shape, cpu)) in shapes.into_iter().enumerate() {
            assert!(found(&process(shape, 60, cpu).play(60)).is_empty(), "shape {nth}");
        }
        let mut script = process(|second| 50.0 + second * 5.0, 60, 0.4);
        let (line, file) = (script.line(30), script.file("/data/part"));
        for second in 0..60 {
            let read = Sums { count: 1, bytes: 4 * MIB, ..Sums::default() };
            script.act(f64::from(second), line, Act::Read, file, read);
        }
        assert!(found(&script.play(60)).is_empty(), "it reads what it keeps");
        let mut script = process(|second| 10.0 + second, 60, 0.1);
        for module in 0..60 {
            let file = script.file(&format!("/usr/lib/module_{module}.pyc"));
            let one = Sums { count: 1, ..Sums::default() };
            script.act(f64::from(module), line, Act::Open, file, one);
        }
        assert!(found(&script.play(60)).is_empty(), "it imports");
        let story = process(|second| 50.0 + second, 400, 1.0).play(400);
        assert!(story.confirmed_at(Kind::MemoryGrowth).is_some_and(|at| at >= 319.0));
    }
}
