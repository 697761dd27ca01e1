//! `write-storm`: many small writes, or the same file written whole again and again.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Ledger, Owner, SECOND_NS};
use crate::source::WaitClass;

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::written_file::WrittenFile;
use super::{Verdicts, wording};

thresholds! {
    /// Thresholds of `write-storm`.
    pub struct WriteStormThresholds {
        /// Small writes a second to one file: 40. A log of a few lines a second is flushed for
        /// each, and should be.
        pub writes_per_second: f64 = 40.0,
        /// Mean bytes of a small write: 4,096. Python's own buffer writes 8,192 at once.
        pub small_bytes: u64 = 4_096,
        /// Writes to one file, one after the other, from which batching would help: 20. A tool that
        /// makes thousands of small files writes each once.
        pub writes_per_file: u64 = 20,
        /// Writes a message that the process receives, up to which it is an access log: 2. A server
        /// writes a line for each request, and its rate is that of its clients.
        pub writes_per_message: f64 = 2.0,
        /// Times a minute that a file is written whole: 30. A state that is saved every few seconds
        /// is saved by a clock, not on every store.
        pub rewrites_per_minute: f64 = 30.0,
        /// Bytes of such a file: 16 kB. Smaller ones cost what one block costs.
        pub rewritten_bytes: u64 = 16_384,
        /// Bytes a minute written so: 2 MB.
        pub rewritten_per_minute: f64 = 2e6,
        /// How often it was written whole, to be confirmed: 10.
        pub rewrites: u64 = 10,
        /// How long either has to last to be suspected: 8 s.
        pub suspected_span_ns: u64 = 8 * SECOND_NS,
        /// The same to be confirmed: 16 s. What unpacks or writes a report is mostly done by then.
        pub confirmed_span_ns: u64 = 16 * SECOND_NS,
        /// Writes a second that are medium: 100.
        pub medium_per_second: f64 = 100.0,
        /// Writes a second that are high: 2,000, at 10 µs and more each some percent of a CPU.
        pub high_per_second: f64 = 2_000.0,
        /// Rewritten bytes a minute that are medium: 20 MB, 30 GB a day.
        pub medium_bytes_per_minute: f64 = 20e6,
        /// Rewritten bytes a minute that are high: 600 MB, at which a consumer's SSD lasts months.
        pub high_bytes_per_minute: f64 = 600e6,
        /// Size of a batch that the saving is reckoned by: 64 kB.
        pub batch_bytes: f64 = 65_536.0,
    }
}

/// Judges every file, at the line that writes most of it.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &WriteStormThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    // A line that writes to several files is told once, of the file that it writes most to.
    let mut found: Vec<(u64, Finding)> = Vec::new();
    for file in WrittenFile::all(ledger) {
        let Some(line) = file.line() else { continue };
        if file.span_ns() < thresholds.suspected_span_ns {
            continue;
        }
        let draft = rewritten(&file, thresholds, now_ns)
            .or_else(|| small(&file, line.process, ledger, thresholds, now_ns));
        if let Some(mut draft) = draft {
            if line.owner != Owner::Own {
                draft.confidence = Confidence::Suspected;
            }
            let finding = draft.about(line, ledger, now_ns);
            found.push((file.sums.count, finding));
        }
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut told = std::collections::BTreeSet::new();
    for (_, finding) in found {
        if told.insert((finding.process, finding.site.clone())) {
            verdicts.findings.push(finding);
        }
    }
}

fn confidence(file: &WrittenFile<'_>, thresholds: &WriteStormThresholds) -> Confidence {
    if file.span_ns() >= thresholds.confirmed_span_ns {
        Confidence::Confirmed
    } else {
        Confidence::Suspected
    }
}

/// The same file, written from its beginning on every store.
fn rewritten(
    file: &WrittenFile<'_>,
    thresholds: &WriteStormThresholds,
    now_ns: u64,
) -> Option<Draft> {
    let sums = &file.sums;
    let (times, appended) = (sums.starts, sums.repeats);
    if times < thresholds.rewrites / 2 || appended > 0 {
        return None;
    }
    let size = sums.bytes / times;
    let per_minute = 60.0 * file.per_second(now_ns, 30 * SECOND_NS, |sums| sums.starts);
    let bytes_rate = per_minute * size as f64;
    if size < thresholds.rewritten_bytes
        || per_minute < thresholds.rewrites_per_minute
        || bytes_rate < thresholds.rewritten_per_minute
    {
        return None;
    }
    let many = times >= thresholds.rewrites;
    let path = &file.path;
    Some(Draft {
        kind: Kind::WriteStorm,
        severity: Severity::by_bands(
            bytes_rate,
            thresholds.medium_bytes_per_minute,
            thresholds.high_bytes_per_minute,
        ),
        confidence: if many { confidence(file, thresholds) } else { Confidence::Suspected },
        summary: format!(
            "`{path}`, {}, written whole {} times in {}, {}/min: {} written, {} times the size of \
             the file.",
            wording::volume(size as f64),
            wording::count(times),
            wording::duration(file.span_ns()),
            wording::rate(per_minute),
            wording::volume(sums.bytes as f64),
            wording::count(times),
        ),
        advice: "Append what is new (and compact now and then), or keep the state in memory and \
                 write it every few seconds, to a new file that is renamed over the old one."
            .into(),
        evidence: BTreeMap::from([
            ("path", Evidence::Text(path.clone())),
            ("shape", Evidence::Text("rewritten".into())),
            ("rewrites", Evidence::Count(times)),
            ("rewrites_per_minute", Evidence::Measure(wording::rounded(per_minute))),
            ("file_bytes", Evidence::Count(size)),
            ("written_bytes", Evidence::Count(sums.bytes)),
            ("written_bytes_per_minute", Evidence::Measure(bytes_rate.round())),
            (
                "written_per_file_size",
                Evidence::Measure(wording::rounded(sums.bytes as f64 / size.max(1) as f64)),
            ),
            ("window_seconds", Evidence::Measure(wording::seconds(file.span_ns()))),
        ]),
    })
}

/// Small writes, one after the other.
fn small(
    file: &WrittenFile<'_>,
    process: ProcessId,
    ledger: &Ledger,
    thresholds: &WriteStormThresholds,
    now_ns: u64,
) -> Option<Draft> {
    let sums = &file.sums;
    let mean = sums.bytes / sums.count.max(1);
    if mean > thresholds.small_bytes
        || sums.count < thresholds.writes_per_file * file.lives.len() as u64
        || is_access_log(sums.count, process, ledger, thresholds)
    {
        return None;
    }
    let [now, before] = [10, 20].map(|s| file.per_second(now_ns, s * SECOND_NS, |sums| sums.count));
    if now < thresholds.writes_per_second || before < thresholds.writes_per_second {
        return None;
    }
    let time_share = file.per_second(now_ns, 20 * SECOND_NS, |sums| sums.ns) / SECOND_NS as f64;
    // A batch a second, or one each 64 kB if that is more often.
    let batches = (before * mean as f64 / thresholds.batch_bytes).max(1.0);
    let saved = 1.0 - batches / before;
    let path = &file.path;
    Some(Draft {
        kind: Kind::WriteStorm,
        severity: Severity::by_bands(
            before,
            thresholds.medium_per_second,
            thresholds.high_per_second,
        ),
        confidence: confidence(file, thresholds),
        summary: format!(
            "{} writes/s of {} in the mean to `{path}`, for {}, {:.1} % of the time; one batch a \
             second would save {:.0} % of them.",
            wording::rate(before),
            wording::volume(mean as f64),
            wording::duration(file.span_ns()),
            time_share * 100.0,
            saved * 100.0,
        ),
        advice: "Do not flush each record: let the buffer fill (`open(path, \"a\", 65536)`, \
                 `logging.handlers.MemoryHandler`) and flush once a second, or on errors."
            .into(),
        evidence: BTreeMap::from([
            ("path", Evidence::Text(path.clone())),
            ("shape", Evidence::Text("small writes".into())),
            ("writes", Evidence::Count(sums.count)),
            ("writes_per_second", Evidence::Measure(wording::rounded(before))),
            ("mean_bytes_per_write", Evidence::Count(mean)),
            ("share_of_time", Evidence::Measure(wording::rounded(time_share))),
            ("saved_by_batching", Evidence::Measure(wording::rounded(saved))),
            ("lines", Evidence::Count(file.lines.len() as u64)),
            ("window_seconds", Evidence::Measure(wording::seconds(file.span_ns()))),
        ]),
    })
}

fn is_access_log(
    writes: u64,
    process: ProcessId,
    ledger: &Ledger,
    thresholds: &WriteStormThresholds,
) -> bool {
    let received = ledger
        .waits()
        .iter()
        .filter(|waits| waits.process == process && waits.class == WaitClass::Receive)
        .map(|waits| waits.count)
        .sum::<u64>();
    writes as f64 <= received as f64 * thresholds.writes_per_message
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::source::{Act, Sums};

    fn wrote(count: u64, bytes: u64, starts: u64, appended: bool) -> Sums {
        let repeats = if appended { count } else { 0 };
        Sums { count, bytes, starts, repeats, ns: count * 8_000, ..Sums::default() }
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::WriteStorm)
    }

    /// Exercise a log that flushes each of 150 statements a second and is rotated every few seconds:
    /// one finding, with what batching would save.
    #[test]
    fn each_statement_flushed() {
        let mut script = Script::default();
        let line = script.line(43);
        let files = [(); 8].map(|()| script.file("/srv/activity.jsonl"));
        for n in 0..280 {
            let at = 0.1 + f64::from(n) * 0.1;
            script.act(at, line, Act::Write, files[n as usize / 40], wrote(15, 2_250, 0, true));
        }
        let story = script.play(28);
        let at = story.confirmed_at(Kind::WriteStorm).expect("confirmed");
        assert!((16.0..=18.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 43)));
        assert_eq!(finding.severity, Severity::Medium);
        assert_eq!(finding.evidence["mean_bytes_per_write"], Evidence::Count(150));
        assert_eq!(finding.evidence["saved_by_batching"], Evidence::Measure(0.993));
    }

    /// Exercise a memory of 500 kB written whole five times a second, in place or by rename.
    #[test]
    fn a_file_rewritten_on_every_store() {
        for renamed in [false, true] {
            let mut script = Script::default();
            let line = script.line(44);
            let mut file = script.file("/srv/memory.jsonl");
            for n in 0..140 {
                if renamed {
                    file = script.file("/srv/memory.jsonl");
                }
                let at = 0.1 + f64::from(n) * 0.2;
                script.act(at, line, Act::Write, file, wrote(2, 500_000, 1, false));
            }
            let story = script.play(28);
            assert!(story.confirmed_at(Kind::WriteStorm).is_some_and(|at| at <= 18.0));
            let finding = found(&story)[0];
            assert_eq!(finding.evidence["file_bytes"], Evidence::Count(500_000));
            assert_eq!(finding.evidence["written_per_file_size"], Evidence::Measure(140.0));
            assert_eq!(finding.severity, Severity::Medium);
        }
    }

    /// Exercise near misses: a log of ten lines a second, a state saved every 5 s, a small state saved
    /// often, many small files, and a report written in one go.
    #[test]
    fn writes_as_they_should_be() {
        let mut script = Script::default();
        let [log, saves, heart, unpacks, report] = [1, 2, 3, 4, 5].map(|line| script.line(line));
        let [log_file, state, beat, out] =
            ["/srv/a.log", "/srv/state.json", "/srv/beat.json", "/srv/out.csv"]
                .map(|path| script.file(path));
        for n in 0..600 {
            let at = 0.1 + f64::from(n) * 0.1;
            script.act(at, log, Act::Write, log_file, wrote(1, 120, 0, true));
            if n % 50 == 0 {
                script.act(at, saves, Act::Write, state, wrote(2, 60_000, 1, false));
            }
            script.act(at, heart, Act::Write, beat, wrote(1, 200, 1, false));
            let one = script.file(&format!("/srv/site-packages/m{n}.py"));
            script.act(at, unpacks, Act::Write, one, wrote(1, 900, 1, false));
            script.act(at, report, Act::Write, out, wrote(30, 30 * 8_192, 0, false));
        }
        let story = script.play(60);
        assert!(found(&story).is_empty(), "{:?}", found(&story));
    }
}
