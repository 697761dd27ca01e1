//! `unbounded-append`: a file that only grows.
//!
//! A file that is rotated has another inode under the same name soon, or begins anew when it is
//! truncated; handlers that rotate are known by their frames. What is left at a rate that fills disks
//! is told, and taken back when the file is rotated after all.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Conduct, Ledger, Owner, SECOND_NS};

use super::adjust::thresholds;
use super::board::{FindingKey, Refutation};
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Kind, Severity};
use super::written_file::WrittenFile;
use super::{Verdicts, wording};

thresholds! {
    /// Thresholds of `unbounded-append`.
    pub struct UnboundedAppendThresholds {
        /// Bytes an hour from which growth without a bound is a fault: 20 MB, half a GB a day. Ten
        /// lines a second, 120 bytes each, are 4 MB.
        pub bytes_per_hour: f64 = 20e6,
        /// Appends that make a pace: 20.
        pub appends: u64 = 20,
        /// How long it has to go on to be suspected: 8 s.
        pub suspected_span_ns: u64 = 8 * SECOND_NS,
        /// The same to be confirmed: 18 s, and the pace of the last 20 s has to be that of all the
        /// time. A log that a start-up fills has stopped by then.
        pub confirmed_span_ns: u64 = 18 * SECOND_NS,
        /// Bytes an hour that are medium: 50 MB, more than a GB a day.
        pub medium_per_hour: f64 = 50e6,
        /// Bytes an hour that are high: 1 GB.
        pub high_per_hour: f64 = 1e9,
    }
}

/// Judges every file, at the line that writes most of it.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &UnboundedAppendThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let mut growing: Vec<(f64, &Conduct, Draft)> = Vec::new();
    let mut rotated: Vec<FindingKey> = Vec::new();
    for file in WrittenFile::all(ledger).iter().filter(|file| file.sums.repeats > 0) {
        let Some(line) = file.line() else { continue };
        if is_rotated(file) {
            rotated.extend(file.lines.iter().map(|(line, _)| key(line)));
        } else if let Some((rate, draft)) = judge(file, line, thresholds, now_ns) {
            growing.push((rate, line, draft));
        }
    }
    // A line that appends to several files is told once, of the one that grows fastest.
    growing.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut told = BTreeSet::new();
    for (_, line, draft) in growing {
        let key = key(line);
        rotated.retain(|gone| *gone != key);
        if told.insert(key) {
            verdicts.findings.push(draft.about(line, ledger, now_ns));
        }
    }
    verdicts.refuted.extend(rotated.into_iter().map(|key| (key, Refutation::RotatedLater)));
}

fn key(line: &Conduct) -> FindingKey {
    FindingKey {
        kind: Kind::UnboundedAppend,
        process: line.process,
        site: line.site.clone(),
        about: String::new(),
    }
}

/// Another file came in its place, or it began anew, or the handler that writes it sees to that.
fn is_rotated(file: &WrittenFile<'_>) -> bool {
    let handled = file.lines.iter().any(|(line, _)| {
        let frames = line.stack.iter().flat_map(|stack| &stack.frames);
        frames.take(12).any(|frame| frame.file.ends_with("/logging/handlers.py"))
    });
    handled || file.lives.len() > 1 || file.sums.starts > 1
}

fn judge(
    file: &WrittenFile<'_>,
    line: &Conduct,
    thresholds: &UnboundedAppendThresholds,
    now_ns: u64,
) -> Option<(f64, Draft)> {
    let span_ns = file.span_ns();
    if file.sums.repeats < thresholds.appends || span_ns < thresholds.suspected_span_ns {
        return None;
    }
    let hour = 3_600.0;
    let all = file.sums.bytes as f64 * hour * SECOND_NS as f64
        / now_ns.saturating_sub(file.first_ns).max(SECOND_NS) as f64;
    let lately = hour * file.per_second(now_ns, 20 * SECOND_NS, |sums| sums.bytes);
    let rate = all.min(lately);
    if rate < thresholds.bytes_per_hour {
        return None;
    }
    let certain = line.owner == Owner::Own && span_ns >= thresholds.confirmed_span_ns;
    let path = &file.path;
    let draft = Draft {
        kind: Kind::UnboundedAppend,
        severity: Severity::by_bands(rate, thresholds.medium_per_hour, thresholds.high_per_hour),
        confidence: if certain { Confidence::Confirmed } else { Confidence::Suspected },
        summary: format!(
            "`{path}` grows by {}/hour ({} a day): {} appended in {} writes over {}, and neither \
             rotated nor truncated.",
            wording::volume(rate),
            wording::volume(rate * 24.0),
            wording::volume(file.sums.bytes as f64),
            wording::count(file.sums.count),
            wording::duration(span_ns),
        ),
        advice:
            "Bound it: `logging.handlers.RotatingFileHandler(path, maxBytes=…, backupCount=…)` \
                 for a log, a new file by size or day for records."
                .into(),
        evidence: BTreeMap::from([
            ("path", Evidence::Text(path.clone())),
            ("bytes_per_hour", Evidence::Measure(rate.round())),
            ("bytes_per_day", Evidence::Measure((rate * 24.0).round())),
            ("appended_bytes", Evidence::Count(file.sums.bytes)),
            ("writes", Evidence::Count(file.sums.count)),
            ("lines", Evidence::Count(file.lines.len() as u64)),
            ("window_seconds", Evidence::Measure(wording::seconds(span_ns))),
        ]),
    };
    Some((rate, draft))
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, frame};
    use super::*;
    use crate::source::{Act, Sums};

    fn appended(bytes: u64, starts: u64) -> Sums {
        Sums { count: 1, bytes, repeats: 1, starts, ..Sums::default() }
    }

    /// Exercise a transcript of 5 kB five times a second, to which three lines write: one finding, at
    /// the line that writes most, with the growth of all.
    #[test]
    fn a_log_that_nobody_rotates() {
        let mut script = Script::default();
        let lines = [10, 20, 30].map(|line| script.line(line));
        let log = script.file("/srv/transcript.log");
        for n in 0..140 {
            let at = 0.1 + f64::from(n) * 0.2;
            for (line, bytes) in lines.iter().zip([1_000, 3_000, 1_000]) {
                script.act(at, *line, Act::Write, log, appended(bytes, 0));
            }
        }
        let story = script.play(28);
        let at = story.confirmed_at(Kind::UnboundedAppend).expect("confirmed");
        assert!((18.0..=20.0).contains(&at), "{at}");
        let found = story.of(Kind::UnboundedAppend);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].site, Some(frame("/srv/app.py", 20)));
        assert_eq!(found[0].evidence["lines"], Evidence::Count(3));
        assert_eq!(found[0].severity, Severity::Medium);
        assert!(found[0].summary.contains("MB/hour"), "{}", found[0].summary);
    }

    /// Exercise a file that is rotated late: it is taken back.
    #[test]
    fn rotated_after_all() {
        let mut script = Script::default();
        let line = script.line(10);
        let files = [(); 2].map(|()| script.file("/srv/a.log"));
        for n in 0..300 {
            let file = files[usize::from(n >= 200)];
            script.act(0.1 + f64::from(n) * 0.2, line, Act::Write, file, appended(5_000, 0));
        }
        let story = script.play(62);
        assert!(story.confirmed_at(Kind::UnboundedAppend).is_some());
        let found = story.of(Kind::UnboundedAppend);
        assert!(found.iter().all(|one| one.confidence == Confidence::Suspected), "{found:?}");
    }

    /// Exercise near misses: a log of ten lines a second, one that a start-up fills, one that is
    /// truncated, and one whose handler rotates.
    #[test]
    fn logs_as_they_should_be() {
        let mut script = Script::default();
        let [plain, start, truncates] = [1, 2, 3].map(|line| script.line(line));
        let rotates = script.stack(&[
            ("/usr/lib/python3.12/logging/__init__.py", 1_100),
            ("/usr/lib/python3.12/logging/handlers.py", 75),
            ("/srv/app.py", 4),
        ]);
        let [a, b, c, d] =
            ["/srv/a.log", "/srv/b.log", "/srv/c.log", "/srv/d.log"].map(|path| script.file(path));
        for n in 0..300 {
            let at = 0.1 + f64::from(n) * 0.1;
            script.act(at, plain, Act::Write, a, appended(120, 0));
            if n < 40 {
                script.act(at, start, Act::Write, b, appended(5_000, 0));
            }
            script.act(at, truncates, Act::Write, c, appended(5_000, u64::from(n % 40 == 0)));
            script.act(at, rotates, Act::Write, d, appended(5_000, 0));
        }
        let story = script.play(30);
        let found = story.of(Kind::UnboundedAppend);
        assert!(found.iter().all(|one| one.confidence == Confidence::Suspected), "{found:?}");
        assert!(story.confirmed_at(Kind::UnboundedAppend).is_none());
    }
}
