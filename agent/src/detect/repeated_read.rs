//! `repeated-read`: an unchanged file that is read again and again.
//!
//! The kernel side tells of each pass whether the file had the same size and time of modification
//! when the process last read it. What a cache would have saved is then a sum, not a guess.

use std::collections::BTreeMap;

use crate::event::ObjectId;
use crate::ledger::{Conduct, Deed, Ledger, Owner, SECOND_NS};
use crate::source::Act;

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::{Verdicts, file_use, wording};

thresholds! {
    /// Thresholds of `repeated-read`.
    pub struct RepeatedReadThresholds {
        /// Unneeded passes over one file that are suspected: 3. Reading a file twice or three times
        /// while starting is common, and costs nothing.
        pub suspected_passes: u64 = 3,
        /// Time between the first and the last pass over that file, to be suspected: 5 s.
        pub suspected_span_ns: u64 = 5 * SECOND_NS,
        /// Unneeded passes over one file that are confirmed: 5.
        pub confirmed_passes: u64 = 5,
        /// The same time, to be confirmed: 15 s. What a start-up reads often it reads within less.
        pub confirmed_span_ns: u64 = 15 * SECOND_NS,
        /// Share of the bytes read by the line that a cache would have saved: 0.5. A line that
        /// mostly reads what is new is not mended by a cache.
        pub saved_share: f64 = 0.5,
        /// Unneeded bytes a minute from which it is worth a word: 1 MB. A small setting that is
        /// looked at once a second is not.
        pub bytes_per_minute: f64 = 1e6,
        /// Unneeded passes a minute from which it is, however small the files: 300, five a second.
        /// Each costs an open, two reads, a close, and the parsing.
        pub passes_per_minute: f64 = 300.0,
        /// Bytes that a cache would have to hold, above which it stays a suspicion: 256 MB.
        /// Training data is read once an epoch because it does not fit.
        pub cacheable_bytes: u64 = 256_000_000,
        /// Unneeded bytes a minute that are medium: 10 MB.
        pub medium_bytes_per_minute: f64 = 10e6,
        /// Unneeded bytes a minute that are high: 1 GB.
        pub high_bytes_per_minute: f64 = 1e9,
    }
}

/// What a line read, of all files that count.
#[derive(Default)]
struct Reading<'a> {
    bytes: u64,
    passes: u64,
    saved_bytes: u64,
    saved_passes: u64,
    /// Files that were read in vain, and their bytes.
    files: u64,
    cache_bytes: u64,
    worst: Option<(ObjectId, &'a Deed)>,
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &RepeatedReadThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let lines = ledger
        .conducts_of(Act::Read)
        .filter(|conduct| !file_use::imports(conduct) && !file_use::hands_on(conduct));
    verdicts.findings.extend(lines.filter_map(|line| judge(line, ledger, thresholds, now_ns)));
}

fn reading<'a>(conduct: &'a Conduct, ledger: &Ledger) -> Reading<'a> {
    let mut reading = Reading::default();
    for (id, deed) in &conduct.objects {
        let counts = file_use::path(ledger, *id).is_some_and(|path| {
            !file_use::is_database(&path, deed)
                && !file_use::is_of_the_system(&path)
                && !file_use::is_module(&path)
        });
        if !counts {
            continue;
        }
        let sums = &deed.sums;
        reading.bytes += sums.bytes;
        reading.passes += sums.starts;
        if sums.repeats == 0 || sums.repeat_bytes == 0 {
            continue;
        }
        reading.saved_bytes += sums.repeat_bytes;
        reading.saved_passes += sums.repeats;
        reading.files += 1;
        reading.cache_bytes += sums.repeat_bytes / sums.repeats;
        let weight = |deed: &Deed| (deed.sums.repeats, deed.sums.repeat_bytes);
        if reading.worst.is_none_or(|(_, worst)| weight(deed) > weight(worst)) {
            reading.worst = Some((*id, deed));
        }
    }
    reading
}

/// How much of it a minute: over the last minute, or since the first, whichever says more. Passes may
/// be far apart, or may have begun late in a long watch.
fn per_minute(conduct: &Conduct, reading: &Reading<'_>, now_ns: u64) -> (f64, f64) {
    let minute_ns = 60.0 * SECOND_NS as f64;
    let (window, covered_ns) = conduct.window(now_ns, 60 * SECOND_NS);
    let scale = minute_ns / covered_ns.max(10 * SECOND_NS) as f64;
    let since = minute_ns / conduct.span_ns().max(10 * SECOND_NS) as f64;
    // The line may read other files too, which do not count.
    let share = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 / all as f64 };
    let total = &conduct.total.sums;
    let bytes = window.repeat_bytes as f64 * share(reading.saved_bytes, total.repeat_bytes);
    let passes = window.repeats as f64 * share(reading.saved_passes, total.repeats);
    (
        (bytes * scale).max(reading.saved_bytes as f64 * since),
        (passes * scale).max(reading.saved_passes as f64 * since),
    )
}

fn judge(
    conduct: &Conduct,
    ledger: &Ledger,
    thresholds: &RepeatedReadThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let reading = reading(conduct, ledger);
    let (id, worst) = reading.worst?;
    let span_ns = worst.last_ns.saturating_sub(worst.first_ns);
    let share = reading.saved_bytes as f64 / reading.bytes.max(1) as f64;
    let (bytes_rate, passes_rate) = per_minute(conduct, &reading, now_ns);
    let often =
        bytes_rate >= thresholds.bytes_per_minute || passes_rate >= thresholds.passes_per_minute;
    let held = |passes: u64, least_ns: u64| worst.sums.repeats >= passes && span_ns >= least_ns;
    if !often
        || share < thresholds.saved_share
        || !held(thresholds.suspected_passes, thresholds.suspected_span_ns)
    {
        return None;
    }
    let certain = conduct.owner == Owner::Own
        && reading.cache_bytes <= thresholds.cacheable_bytes
        && held(thresholds.confirmed_passes, thresholds.confirmed_span_ns);
    let path = file_use::path(ledger, id)?.into_owned();
    let draft = Draft {
        kind: Kind::RepeatedRead,
        severity: Severity::by_bands(
            bytes_rate,
            thresholds.medium_bytes_per_minute,
            thresholds.high_bytes_per_minute,
        ),
        confidence: if certain { Confidence::Confirmed } else { Confidence::Suspected },
        summary: summary(&reading, &path, share, bytes_rate, span_ns),
        advice: "Keep what was parsed, by path, and read the file again only when `os.stat` shows \
                 another size or `st_mtime_ns`."
            .into(),
        evidence: BTreeMap::from([
            ("path", Evidence::Text(path)),
            ("files", Evidence::Count(reading.files)),
            ("reads", Evidence::Count(reading.passes)),
            ("unchanged_reads", Evidence::Count(reading.saved_passes)),
            ("unchanged_reads_per_minute", Evidence::Measure(wording::rounded(passes_rate))),
            ("unchanged_bytes", Evidence::Count(reading.saved_bytes)),
            ("unchanged_bytes_per_minute", Evidence::Measure(wording::rounded(bytes_rate))),
            ("cache_hit_rate", Evidence::Measure(wording::rounded(share))),
            ("cache_bytes", Evidence::Count(reading.cache_bytes)),
            ("window_seconds", Evidence::Measure(wording::seconds(span_ns))),
        ]),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

fn summary(reading: &Reading<'_>, path: &str, share: f64, rate: f64, span_ns: u64) -> String {
    let others = match reading.files {
        0 | 1 => String::new(),
        2 => " and another file".into(),
        files => format!(" and {} other files", wording::count(files - 1)),
    };
    format!(
        "`{path}`{others} read again {} times in {} without having changed: a cache of {} would \
         have saved {:.0} % of the bytes read here, {}/min.",
        wording::count(reading.saved_passes),
        wording::duration(span_ns),
        wording::volume(reading.cache_bytes as f64),
        share * 100.0,
        wording::volume(rate),
    )
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story, frame};
    use super::*;
    use crate::source::{BY_POSITION, Sums};

    /// A pass over `bytes`, which a cache would have saved or not.
    fn pass(bytes: u64, again: bool) -> Sums {
        let repeats = u64::from(again);
        Sums {
            count: 2,
            bytes,
            starts: 1,
            repeats,
            repeat_bytes: bytes * repeats,
            ..Sums::default()
        }
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::RepeatedRead)
    }

    /// Exercise four files parsed anew five times a second: one finding, with the share that a cache
    /// would have saved.
    #[test]
    fn files_parsed_again_and_again() {
        let mut script = Script::default();
        let line = script.line(40);
        let files: Vec<_> =
            (0..4).map(|n| script.file(&format!("/srv/settings/{n}.json"))).collect();
        for turn in 0..150 {
            for file in &files {
                let at = 0.1 + f64::from(turn) * 0.2;
                script.act(at, line, Act::Read, *file, pass(20_000, turn > 0));
            }
        }
        let story = script.play(30);
        let at = story.confirmed_at(Kind::RepeatedRead).expect("confirmed");
        assert!((15.0..=17.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 40)));
        assert_eq!(finding.evidence["files"], Evidence::Count(4));
        assert_eq!(finding.evidence["cache_hit_rate"], Evidence::Measure(0.993));
        assert_eq!(finding.evidence["cache_bytes"], Evidence::Count(80_000));
        assert_eq!(finding.severity, Severity::Medium);
        assert!(finding.summary.contains("3 other files"), "{}", finding.summary);
    }

    /// Exercise near misses: a burst at start, a small setting looked at each second, a line that
    /// reads what is new, a database, the C library's files, and what is served to others.
    #[test]
    fn what_is_no_repeated_read() {
        let mut script = Script::default();
        let (start, setting) = (script.line(1), script.line(2));
        let (news, base, name) = (script.line(3), script.line(4), script.line(5));
        let serve = script.stack(&[("/usr/lib/python3.12/shutil.py", 9), ("/srv/app.py", 6)]);
        let [big, small, feed, data, hosts, page] = [
            "/srv/big.json",
            "/srv/set.ini",
            "/srv/feed.json",
            "/srv/data",
            "/etc/hosts",
            "/srv/page.html",
        ]
        .map(|path| script.file(path));
        for n in 0..40 {
            let at = 0.5 + f64::from(n);
            script.act(0.5 + f64::from(n) * 0.1, start, Act::Read, big, pass(500_000, n > 0));
            script.act(at, setting, Act::Read, small, pass(2_000, n > 0));
            script.act(at, news, Act::Read, feed, pass(500_000, n % 3 == 0));
            let by_position = About { flags: BY_POSITION, ..About::default() };
            script.act_about(at, base, Act::Read, data, pass(500_000, true), by_position);
            script.act(at, name, Act::Read, hosts, pass(500_000, true));
            script.act(at, serve, Act::Read, page, pass(2_000, true));
        }
        let story = script.play(45);
        assert!(found(&story).is_empty(), "{:?}", found(&story));
    }
}
