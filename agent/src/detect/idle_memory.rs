//! `idle-memory`: memory that is held while nothing is done.
//!
//! Every resting process holds some. Told is what was seen to come in large pieces, a model or a
//! table, and stays while the process does nothing at all; or very much for very long.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Ledger, MemorySample, Process, SECOND_NS};

use super::Verdicts;
use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::mapped;
use super::wording;

const MIB: u64 = 1 << 20;

thresholds! {
    /// Thresholds of `idle-memory`.
    pub struct IdleMemoryThresholds {
        /// Mean size of a line's mappings from which they are large pieces: 64 MiB.
        pub piece_bytes: u64 = 64 * MIB,
        /// Bytes of such pieces that have to be held: 128 MiB.
        pub held_bytes: u64 = 128 * MIB,
        /// Their share of the process's memory: 0.5.
        pub held_share: f64 = 0.5,
        /// Bytes from which a process is told of whatever holds them: 1 GiB, after `long_ns`.
        pub much_bytes: u64 = 1_024 * MIB,
        /// How long nothing has to be done to suspect it: 15 s.
        pub suspected_ns: u64 = 15 * SECOND_NS,
        /// And to confirm it: 25 s. Longer than a service under any load rests.
        pub confirmed_ns: u64 = 25 * SECOND_NS,
        /// And where the pieces were not seen to come: 10 minutes.
        pub long_ns: u64 = 600 * SECOND_NS,
        /// Share of a CPU below which nothing is done: 0.01, what a loop that looks once a second
        /// takes.
        pub idle_share: f64 = 0.01,
        /// Share of a CPU in any one second that ends it: 0.05.
        pub busy_share: f64 = 0.05,
        /// Share by which the memory may move meanwhile: 0.05.
        pub moved_share: f64 = 0.05,
        /// Bytes from which it is medium: 1 GiB.
        pub medium_bytes: u64 = 1_024 * MIB,
        /// Bytes from which it is high: 4 GiB, half of a small machine.
        pub high_bytes: u64 = 4_096 * MIB,
    }
}

/// Judges every process.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &IdleMemoryThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    for (id, process) in ledger.processes().filter(|(_, process)| process.ended_ns.is_none()) {
        verdicts.findings.extend(judge(ledger, id, process, thresholds, now_ns));
    }
}

fn judge(
    ledger: &Ledger,
    id: ProcessId,
    process: &Process,
    thresholds: &IdleMemoryThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let newest = process.memory.newest()?;
    if newest.anonymous < thresholds.held_bytes {
        return None;
    }
    let since = idle_since(process, newest, thresholds)?;
    let idle_ns = newest.time_ns - since.time_ns;
    let pieces = held_pieces(ledger, id, now_ns, thresholds);
    let held: u64 = pieces.iter().map(|(_, bytes)| bytes).sum();
    let seen = held >= thresholds.held_bytes
        && held as f64 >= newest.anonymous as f64 * thresholds.held_share;
    let long = newest.anonymous >= thresholds.much_bytes && idle_ns >= thresholds.long_ns;
    if !(long || seen && idle_ns >= thresholds.suspected_ns) {
        return None;
    }
    let sure = long || idle_ns >= thresholds.confirmed_ns;
    let mut evidence = BTreeMap::from([
        ("anonymous_bytes", Evidence::Count(newest.anonymous)),
        ("resident_bytes", Evidence::Count(newest.resident)),
        ("idle_seconds", Evidence::Measure(wording::seconds(idle_ns))),
        ("held_bytes", Evidence::Count(held)),
    ]);
    let mut mapped_at = String::new();
    if let Some((line, bytes)) = pieces.first().filter(|_| seen)
        && let Some(site) = &line.conduct.site
    {
        evidence.insert("mapped_at", Evidence::Place(site.clone()));
        mapped_at = format!(
            ", {} of it mapped at {}",
            wording::volume(*bytes as f64),
            wording::place(site)
        );
    }
    let draft = Draft {
        kind: Kind::IdleMemory,
        severity: Severity::by_bands(
            newest.anonymous,
            thresholds.medium_bytes,
            thresholds.high_bytes,
        ),
        confidence: if sure { Confidence::Confirmed } else { Confidence::Suspected },
        evidence,
        summary: format!(
            "The process has held {} for {} without doing anything{mapped_at}.",
            wording::volume(newest.anonymous as f64),
            wording::duration(idle_ns),
        ),
        advice:
            "Let go of it when nobody has asked for a while (the audits say five minutes), and \
                 load it again with the next request; or map the file (`mmap`), so that the system \
                 can take the pages back."
                .to_owned(),
    };
    Some(draft.about_process(id, Some(since.time_ns), ledger, now_ns))
}

/// The sample since which the process has done nothing and its memory has not moved.
fn idle_since<'p>(
    process: &'p Process,
    newest: &'p MemorySample,
    thresholds: &IdleMemoryThresholds,
) -> Option<&'p MemorySample> {
    let samples: Vec<&MemorySample> = process.memory.last(u64::MAX / 2).collect();
    let used = |from: &MemorySample, to: &MemorySample| {
        let ns = to.time_ns.saturating_sub(from.time_ns).max(1) as f64;
        to.cpu_ns.saturating_sub(from.cpu_ns) as f64 / ns
    };
    let near = |sample: &MemorySample| {
        let moved = sample.anonymous.abs_diff(newest.anonymous) as f64;
        moved <= newest.anonymous as f64 * thresholds.moved_share
    };
    let mut since = None;
    for pair in samples.windows(2).rev() {
        if used(pair[0], pair[1]) > thresholds.busy_share || !near(pair[0]) {
            break;
        }
        if used(pair[0], newest) <= thresholds.idle_share {
            since = Some(pair[0]);
        }
    }
    since
}

/// Lines whose mappings are large pieces, with what is still mapped of them, the most first.
fn held_pieces<'l>(
    ledger: &'l Ledger,
    id: ProcessId,
    now_ns: u64,
    thresholds: &IdleMemoryThresholds,
) -> Vec<(mapped::MappedByLine<'l>, u64)> {
    mapped::lines(ledger, id, now_ns, u64::MAX)
        .into_iter()
        .filter(|line| line.mapped / line.calls.max(1) >= thresholds.piece_bytes)
        .map(|line| (line, line.net()))
        .filter(|(_, bytes)| *bytes > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, Story, frame};
    use super::*;
    use crate::source::{Act, Mapped, Sums};

    /// A process that loads `mib` at second 3 if `loads`, works until `until`, and lets it go at
    /// `goes`.
    fn process(mib: u64, loads: bool, until: u32, goes: u32) -> Story {
        let mut script = Script::default();
        let line = script.line(10);
        let one = Sums { count: 1, bytes: mib * MIB, ..Sums::default() };
        if loads {
            script.act(3.0, line, Act::Map(Mapped::Anonymous), 0, one);
            script.act(f64::from(goes), line, Act::Unmap(Mapped::Anonymous), 0, one);
        }
        let mut cpu_ns = 0;
        for second in 0..60 {
            let there = second < goes && (second >= 3 || !loads);
            let anonymous = 20 * MIB + if there { mib * MIB } else { 0 };
            cpu_ns += if second < until { SECOND_NS / 5 } else { SECOND_NS / 1_000 };
            let sample =
                MemorySample { anonymous, resident: anonymous, cpu_ns, ..Default::default() };
            script.memory(f64::from(second), sample);
        }
        script.play(60)
    }

    fn found(story: &Story) -> Vec<&Finding> {
        story.of(Kind::IdleMemory)
    }

    /// Exercise the audited fault: a model that stays through the night.
    #[test]
    fn a_model_that_nobody_asks() {
        let story = process(200, true, 12, 1_000);
        let at = story.confirmed_at(Kind::IdleMemory).expect("confirmed");
        assert!((36.0..40.0).contains(&at), "{at}");
        let finding = found(&story)[0];
        assert_eq!(finding.site, None);
        let place = Evidence::Place(frame("/srv/app.py", 10));
        assert_eq!(finding.evidence["mapped_at"], place);
    }

    /// Exercise what is no such thing: let go of, in use, small, there before.
    #[test]
    fn resting_processes_are_silent() {
        assert!(found(&process(200, true, 12, 16)).is_empty(), "let go of");
        assert!(found(&process(200, true, 60, 1_000)).is_empty(), "in use");
        assert!(found(&process(60, true, 12, 1_000)).is_empty(), "small");
        assert!(found(&process(500, false, 12, 1_000)).is_empty(), "it just rests");
    }
}
