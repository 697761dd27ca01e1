//! What is written to each file, by whichever lines: a log has as many as there are statements.
//!
//! Files are put together by path, so that one that is rotated, or replaced by a rename, stays one.

use std::collections::BTreeMap;

use crate::event::{ObjectId, ProcessId};
use crate::ledger::{Conduct, Ledger, SECOND_NS};
use crate::source::{Act, Sums};

use super::file_use;

/// A file, and what was written to it since the attach.
pub(super) struct WrittenFile<'a> {
    pub(super) path: String,
    pub(super) sums: Sums,
    /// Monotonic nanoseconds of the first write.
    pub(super) first_ns: u64,
    /// Monotonic nanoseconds of the last write.
    pub(super) last_ns: u64,
    /// The files that had this path, one after the other: writes to each.
    pub(super) lives: BTreeMap<ObjectId, Sums>,
    /// Who wrote, and what of it.
    pub(super) lines: Vec<(&'a Conduct, Sums)>,
}

impl<'a> WrittenFile<'a> {
    /// All that is no database, of every process.
    pub(super) fn all(ledger: &'a Ledger) -> Vec<Self> {
        let mut files: BTreeMap<(ProcessId, String), Self> = BTreeMap::new();
        for conduct in ledger.conducts_of(Act::Write) {
            for (id, deed) in conduct.known_objects() {
                let Some(path) = file_use::path(ledger, id) else { continue };
                if file_use::is_database(&path, deed) || file_use::is_of_the_system(&path) {
                    continue;
                }
                let key = (conduct.process, path.into_owned());
                let file = files.entry(key).or_insert_with_key(|(_, path)| Self {
                    path: path.clone(),
                    sums: Sums::default(),
                    first_ns: deed.first_ns,
                    last_ns: 0,
                    lives: BTreeMap::new(),
                    lines: Vec::new(),
                });
                file.sums.add(&deed.sums);
                file.first_ns = file.first_ns.min(deed.first_ns);
                file.last_ns = file.last_ns.max(deed.last_ns);
                file.lives.entry(id).or_default().add(&deed.sums);
                match file.lines.last_mut() {
                    Some((line, sums)) if std::ptr::eq(*line, conduct) => sums.add(&deed.sums),
                    _ => file.lines.push((conduct, deed.sums)),
                }
            }
        }
        files.into_values().collect()
    }

    /// The line that wrote the most bytes.
    pub(super) fn line(&self) -> Option<&'a Conduct> {
        let most = self.lines.iter().max_by_key(|(_, sums)| sums.bytes)?;
        Some(most.0)
    }

    /// How much a second, of what `of` takes from the sums, over the last `span_ns` (or since the
    /// first, but at least 5 s).
    pub(super) fn per_second(&self, now_ns: u64, span_ns: u64, of: fn(&Sums) -> u64) -> f64 {
        let lines = self.lines.iter().map(|(line, sums)| {
            let (window, covered_ns) = line.window(now_ns, span_ns);
            // A line may write to other files too.
            let share = of(sums) as f64 / of(&line.total.sums).max(1) as f64;
            let seconds = covered_ns.max(5 * SECOND_NS) as f64 / SECOND_NS as f64;
            of(&window) as f64 * share / seconds
        });
        lines.sum()
    }

    /// Time from the first write to the last.
    pub(super) fn span_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.first_ns)
    }
}
