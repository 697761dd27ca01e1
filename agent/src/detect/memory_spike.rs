//! `memory-spike`: memory that comes and goes in large pieces.
//!
//! The large piece itself may be what the program is for. The spike is that it is there twice: the
//! new one is made while the old one is still held, and let go some time later; or that it comes and
//! goes again and again, very large, for moments.

use std::collections::BTreeMap;

use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::{Act, Mapped};

use super::Verdicts;
use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::same_line::{lately, same_line};
use super::wording;

const MIB: u64 = 1 << 20;

thresholds! {
    /// Thresholds of `memory-spike`.
    pub struct MemorySpikeThresholds {
        /// How far back is looked: 120 s, as far as sums of lines are kept.
        pub window_ns: u64 = 120 * SECOND_NS,
        /// Mean size of what a line maps from which it is a large piece: 64 MiB. The allocator maps
        /// each of that size by itself, so that it is known when it comes and goes.
        pub piece_bytes: u64 = 64 * MIB,
        /// The same where the piece is alone: 256 MiB.
        pub lone_piece_bytes: u64 = 256 * MIB,
        /// Its share of the most that the process had in that time: 0.2. Less is no spike in it.
        pub piece_share: f64 = 0.2,
        /// How often two at once have to be seen to be confirmed: 2. Once is suspected: a model is
        /// replaced when there is a better one.
        pub times: u64 = 2,
        /// How often a lone piece has to come and go: 4.
        pub lone_times: u64 = 4,
        /// How long the old piece is held beside the new one, at least: 0.5 s, beyond the time that
        /// the line itself reads. A loop over large files (`data = file.read()`) holds the last one
        /// until the next is read, and no longer.
        pub held_ns: u64 = SECOND_NS / 2,
        /// And at most: 6 s. What is held for longer is in use.
        pub longest_ns: u64 = 6 * SECOND_NS,
        /// How often a minute the line may map: 30. What maps more often computes with large
        /// arrays.
        pub most_per_minute: f64 = 30.0,
        /// Bytes above what it has otherwise from which it is high: 1 GiB.
        pub high_bytes: u64 = 1_024 * MIB,
        /// Bytes from which it is critical: 4 GiB, half of a small machine.
        pub critical_bytes: u64 = 4_096 * MIB,
    }
}

/// Judges every line that maps memory.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &MemorySpikeThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for conduct in ledger.conducts_of(Act::Map(Mapped::Anonymous)) {
        if conduct.total.sums.bytes / conduct.total.sums.count >= thresholds.piece_bytes {
            verdicts.findings.extend(judge(ledger, conduct, thresholds, now_ns));
        }
    }
}

fn judge(
    ledger: &Ledger,
    conduct: &Conduct,
    thresholds: &MemorySpikeThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let gone = same_line(ledger, conduct, Act::Unmap(Mapped::Anonymous))?;
    let (came, covered_ns) = conduct.window(now_ns, thresholds.window_ns);
    let went = lately(Some(gone), now_ns, thresholds.window_ns);
    let piece = came.bytes.checked_div(came.count)?;
    let times = came.count.min(went.count);
    let (low, high) = extremes(ledger, conduct, thresholds.window_ns)?;
    let excess = high.saturating_sub(low);
    let read = lately(same_line(ledger, conduct, Act::Read), now_ns, thresholds.window_ns);
    let together_ns = gone.total.last_ns.saturating_sub(conduct.total.last_ns);
    // One read may take much longer than the others do.
    let reading_ns = read.ns.checked_div(came.count)?.max(read.max_ns);
    let held_ns = together_ns.saturating_sub(reading_ns);
    if piece < thresholds.piece_bytes
        || times == 0
        || (piece as f64) < high as f64 * thresholds.piece_share
        || conduct.per_minute(now_ns, thresholds.window_ns) > thresholds.most_per_minute
        || !(thresholds.held_ns..=thresholds.longest_ns).contains(&held_ns)
    {
        return None;
    }
    // One went while one stays: two were there at once. What was mapped is only memory once it is
    // written, which the process's own account shows.
    let stays = conduct.total.sums.bytes.saturating_sub(gone.total.sums.bytes) >= piece / 2;
    let seen = excess >= piece / 2;
    let sure = if stays {
        times >= thresholds.times && seen
    } else if piece >= thresholds.lone_piece_bytes && seen {
        times >= thresholds.lone_times
    } else {
        return None;
    };
    if !stays && !sure {
        return None;
    }
    let evidence = BTreeMap::from([
        ("piece_bytes", Evidence::Count(piece)),
        ("times", Evidence::Count(times)),
        ("highest_bytes", Evidence::Count(high)),
        ("lowest_bytes", Evidence::Count(low)),
        ("held_seconds", Evidence::Measure(wording::seconds(held_ns))),
        ("at_once", Evidence::Count(if stays { 2 } else { 1 })),
        ("window_seconds", Evidence::Measure(wording::seconds(covered_ns))),
    ]);
    let how = if stays {
        format!("two of them at once for {}", wording::duration(held_ns))
    } else {
        format!("each for {}", wording::duration(held_ns))
    };
    let draft = Draft {
        kind: Kind::MemorySpike,
        severity: severity(piece, thresholds),
        confidence: if sure { Confidence::Confirmed } else { Confidence::Suspected },
        evidence,
        summary: format!(
            "{} × {} came and went in {}, {how}; the process had {} at most and {} at least.",
            wording::count(times),
            wording::volume(piece as f64),
            wording::duration(covered_ns),
            wording::volume(high as f64),
            wording::volume(low as f64),
        ),
        advice: if stays {
            "Let the old one go before the new one is made (`self.model = None` first), or map the \
             file (`mmap`), so that only what is used gets into memory."
        } else {
            "Work through it in pieces (an iterator over lines or chunks, `mmap`), or keep one \
             buffer and use it again."
        }
        .to_owned(),
    };
    Some(draft.about(conduct, ledger, now_ns))
}

/// The least and the most anonymous memory that the process had.
fn extremes(ledger: &Ledger, conduct: &Conduct, span_ns: u64) -> Option<(u64, u64)> {
    let (_, process) = ledger.processes().find(|(id, _)| *id == conduct.process)?;
    let all = || process.memory.last(span_ns).map(|sample| sample.anonymous);
    Some((all().min()?, all().max()?))
}

fn severity(piece: u64, thresholds: &MemorySpikeThresholds) -> Severity {
    match piece {
        bytes if bytes >= thresholds.critical_bytes => Severity::Critical,
        bytes if bytes >= thresholds.high_bytes => Severity::High,
        _ => Severity::Medium,
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::ledger::MemorySample;
    use crate::source::Sums;

    const MODEL: u64 = 200 * MIB;

    /// Pieces that come at `comes` and go at `goes`.
    fn pieces(bytes: u64, comes: &[f64], goes: &[f64]) -> Story {
        pieces_read(bytes, comes, goes, 0)
    }

    /// The same where the line itself reads for that long.
    fn pieces_read(bytes: u64, comes: &[f64], goes: &[f64], read_ns: u64) -> Story {
        let mut script = Script::default();
        let line = script.line(10);
        let one = Sums { count: 1, bytes, ..Sums::default() };
        for at in comes {
            script.act(*at, line, Act::Map(Mapped::Anonymous), 0, one);
        }
        for at in goes {
            script.act(*at, line, Act::Unmap(Mapped::Anonymous), 0, one);
        }
        for tick in 0..300u32 {
            let at = f64::from(tick) / 10.0;
            let there = |times: &[f64]| times.iter().filter(|time| **time <= at).count() as u64;
            let anonymous = 20 * MIB + (there(comes) - there(goes)) * bytes;
            script
                .memory(at, MemorySample { anonymous, resident: anonymous, ..Default::default() });
        }
        script.act(0.4, line, Act::Read, 0, Sums { count: 1, ns: read_ns, ..Sums::default() });
        script.play(30)
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::MemorySpike)
    }

    /// Exercise the audited fault: the new model is loaded beside the old one.
    #[test]
    fn two_models_at_once() {
        let story = pieces(MODEL, &[0.5, 3.5, 6.5, 9.5], &[4.6, 7.6, 10.6]);
        assert!(story.confirmed_at(Kind::MemorySpike).is_some_and(|at| at < 9.0));
        let finding = found(&story)[0];
        assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
        assert!(finding.summary.contains("two of them at once for 1.1 s"), "{}", finding.summary);
    }

    /// Exercise what is no spike: the old one goes first, one load, a loop over large files, arrays
    /// that are computed with, small pieces.
    #[test]
    fn other_large_pieces_are_silent() {
        let first = pieces(MODEL, &[0.5, 3.5, 6.5, 9.5], &[3.4, 6.4, 9.4, 19.0]);
        assert!(found(&first).is_empty(), "the old one goes first");
        assert!(found(&pieces(MODEL, &[0.5], &[])).is_empty(), "loaded once");
        let loop_over = pieces(MODEL, &[0.5, 2.5, 4.5, 6.5], &[2.7, 4.7, 6.7]);
        assert!(found(&loop_over).is_empty(), "a file after the other");
        let (comes, goes) = ([0.5, 3.5, 6.5, 9.5], [4.6, 7.6, 10.6]);
        let slowly = pieces_read(MODEL, &comes, &goes, 4 * SECOND_NS);
        assert!(found(&slowly).is_empty(), "a slow disk");
        let comes: Vec<f64> = (0..100).map(|n| f64::from(n) * 0.3).collect();
        let goes: Vec<f64> = (0..99).map(|n| f64::from(n) * 0.3 + 0.9).collect();
        assert!(found(&pieces(MODEL, &comes, &goes)).is_empty(), "it computes");
        let small = pieces(20 * MIB, &[0.5, 3.5, 6.5, 9.5], &[4.6, 7.6, 10.6]);
        assert!(found(&small).is_empty(), "small");
    }
}
