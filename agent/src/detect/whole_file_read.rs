//! `whole-file-read`: a large file that is read whole, into memory, again and again.
//!
//! Once is how a data job works. When the file has changed between two passes, most of what the
//! second one reads is known already; when it has not, `repeated-read` tells it.

use std::collections::BTreeMap;

use crate::ledger::{Conduct, Deed, Ledger, Owner, SECOND_NS};
use crate::source::Act;

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Kind, Severity};
use super::{Verdicts, file_use, wording};

thresholds! {
    /// Thresholds of `whole-file-read`.
    pub struct WholeFileReadThresholds {
        /// Bytes of one pass from which a file is large: 32 MB. Decoding it takes tens of
        /// milliseconds, and cut into lines it takes several times the memory.
        pub large_bytes: u64 = 32_000_000,
        /// Calls a pass up to which it is read at once: 8. `read()` and `read_text()` need two; a
        /// loop over lines or pieces needs one for each 8 kB or 1 MB.
        pub calls: u64 = 8,
        /// Passes of one line over one file that are suspected: 2. A job reads its input once.
        pub suspected_passes: u64 = 2,
        /// Passes that are confirmed: 3.
        pub confirmed_passes: u64 = 3,
        /// Time from the first to the last of those: 5 s. A start-up that reads it for each of its
        /// parts is over by then.
        pub span_ns: u64 = 5 * SECOND_NS,
        /// Share of the passes after the first over an unchanged file, above which `repeated-read`
        /// tells it: 0.5.
        pub unchanged_share: f64 = 0.5,
        /// Bytes of one pass that are medium: 100 MB.
        pub medium_bytes: u64 = 100_000_000,
        /// Bytes of one pass that are high: 1 GB. Small machines have 8.
        pub high_bytes: u64 = 1_000_000_000,
        /// Bytes a minute that are high: 1 GB.
        pub high_bytes_per_minute: f64 = 1e9,
    }
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &WholeFileReadThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for conduct in ledger.conducts_of(Act::Read) {
        let largest = conduct
            .objects
            .iter()
            .filter(|(_, deed)| is_read_whole(deed, thresholds))
            .filter_map(|(id, deed)| Some((file_use::path(ledger, *id)?, deed)))
            .filter(|(path, deed)| !file_use::is_database(path, deed))
            .max_by_key(|(_, deed)| deed.sums.bytes);
        if let Some((path, deed)) = largest.filter(|_| !file_use::hands_on(conduct)) {
            let draft = draft(conduct, &path, deed, thresholds);
            verdicts.findings.push(draft.about(conduct, ledger, now_ns));
        }
    }
}

fn is_read_whole(deed: &Deed, thresholds: &WholeFileReadThresholds) -> bool {
    let sums = &deed.sums;
    sums.starts >= thresholds.suspected_passes
        && sums.bytes / sums.starts >= thresholds.large_bytes
        && sums.count <= sums.starts * thresholds.calls
        && sums.repeats as f64 <= (sums.starts - 1) as f64 * thresholds.unchanged_share
}

fn draft(
    conduct: &Conduct,
    path: &str,
    deed: &Deed,
    thresholds: &WholeFileReadThresholds,
) -> Draft {
    let sums = &deed.sums;
    let (passes, bytes) = (sums.starts, sums.bytes / sums.starts.max(1));
    let span_ns = deed.last_ns.saturating_sub(deed.first_ns);
    let per_minute = sums.bytes as f64 * 60.0 * SECOND_NS as f64
        / (span_ns as f64 * passes as f64 / (passes - 1).max(1) as f64).max(SECOND_NS as f64);
    let certain = conduct.owner == Owner::Own
        && passes >= thresholds.confirmed_passes
        && span_ns >= thresholds.span_ns;
    Draft {
        kind: Kind::WholeFileRead,
        severity: if bytes >= thresholds.high_bytes
            || per_minute >= thresholds.high_bytes_per_minute
        {
            Severity::High
        } else if bytes >= thresholds.medium_bytes {
            Severity::Medium
        } else {
            Severity::Low
        },
        confidence: if certain { Confidence::Confirmed } else { Confidence::Suspected },
        summary: format!(
            "`{path}`, {}, read whole into memory {} times in {} ({} a call), {}/min; it had changed \
             in between, so most of it was read before.",
            wording::volume(bytes as f64),
            wording::count(passes),
            wording::duration(span_ns),
            wording::volume(sums.bytes as f64 / sums.count.max(1) as f64),
            wording::volume(per_minute),
        ),
        advice:
            "Keep the offset at which the last reading stopped, `seek` to it, and go on line by \
                 line (`for line in file:`) instead of `read()`."
                .into(),
        evidence: BTreeMap::from([
            ("path", Evidence::Text(path.to_owned())),
            ("file_bytes", Evidence::Count(bytes)),
            ("passes", Evidence::Count(passes)),
            ("bytes", Evidence::Count(sums.bytes)),
            ("bytes_per_minute", Evidence::Measure(per_minute.round())),
            ("mean_bytes_per_call", Evidence::Count(sums.bytes / sums.count.max(1))),
            ("longest_call_seconds", Evidence::Measure(wording::seconds(sums.max_ns))),
            ("window_seconds", Evidence::Measure(wording::seconds(span_ns))),
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, frame};
    use super::*;
    use crate::source::Sums;

    fn pass(bytes: u64, calls: u64, repeats: u64) -> Sums {
        let repeat_bytes = bytes * repeats;
        Sums { count: calls, bytes, starts: 1, repeats, repeat_bytes, ..Sums::default() }
    }

    /// Exercise an export that grows, read whole each 5 s: confirmed by the third pass, high by its
    /// rate.
    #[test]
    fn an_export_read_whole_each_time() {
        let mut script = Script::default();
        let line = script.line(26);
        let export = script.file("/srv/export.jsonl");
        for n in 0..6 {
            script.act(0.5 + f64::from(n) * 5.0, line, Act::Read, export, pass(100_000_000, 2, 0));
        }
        let story = script.play(28);
        assert_eq!(story.confirmed_at(Kind::WholeFileRead), Some(11.0));
        let finding = story.of(Kind::WholeFileRead)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 26)));
        assert_eq!(finding.severity, Severity::High);
        assert_eq!(finding.evidence["file_bytes"], Evidence::Count(100_000_000));
        assert_eq!(finding.evidence["bytes_per_minute"], Evidence::Measure(1.2e9));
    }

    /// Exercise near misses: many large files read once each, one read by pieces, a smaller one, and
    /// one that does not change.
    #[test]
    fn what_is_not_read_whole() {
        let mut script = Script::default();
        let lines = [1, 2, 3, 4].map(|line| script.line(line));
        let [pieces, small, unchanged] =
            ["/srv/p", "/srv/s", "/srv/u"].map(|path| script.file(path));
        for n in 0..20 {
            let at = 0.5 + f64::from(n);
            let own = script.file(&format!("/srv/part-{n}.csv"));
            script.act(at, lines[0], Act::Read, own, pass(100_000_000, 2, 0));
            script.act(at, lines[1], Act::Read, pieces, pass(100_000_000, 12_000, 0));
            script.act(at, lines[2], Act::Read, small, pass(3_000_000, 2, 0));
            script.act(at, lines[3], Act::Read, unchanged, pass(100_000_000, 2, u64::from(n > 0)));
        }
        let story = script.play(25);
        assert!(story.of(Kind::WholeFileRead).is_empty());
    }
}
