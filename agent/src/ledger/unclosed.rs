//! Resources that the collector closed, by the line that opened them.

use std::collections::BTreeMap;

use crate::event::{ProcessId, StackId};
use crate::python::Frame;

use super::{History, Owner, Sample};

/// What one [`UnclosedAccount`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnclosedKey {
    /// The process.
    pub process: ProcessId,
    /// The responsible line of the stack that opened the resource; where that is unknown, of the
    /// stack that dropped it.
    pub site: Option<Frame>,
    /// The Python type (`_io.TextIOWrapper`), cut at 200 characters.
    pub type_name: String,
}

/// Implicit closes of one type, opened at one line.
#[derive(Debug, Clone, PartialEq)]
pub struct UnclosedAccount {
    /// Whose code the responsible line is.
    pub owner: Owner,
    /// The site is where the resource was opened (otherwise where it was dropped).
    pub opened_known: bool,
    /// Finalisers in Python told of all of them.
    pub by_python: bool,
    /// The stack that `site` was taken from; 0 when there is none.
    pub stack: StackId,
    /// How many, without those at exit.
    pub count: u64,
    /// How many while no Python code ran but the finaliser: what an interpreter that ends finds still
    /// open. Whatever a program keeps for all its life ends like that.
    pub at_exit: u64,
    /// Of those, how many whose open was seen.
    pub timed: u64,
    /// Sum of the lives of those, in nanoseconds.
    pub lifetime_ns: u64,
    /// Monotonic nanoseconds of the first.
    pub first_ns: u64,
    /// Monotonic nanoseconds of the last.
    pub last_ns: u64,
    /// Responsible lines of the stacks that dropped it, with counts.
    pub dropped_at: BTreeMap<Frame, u64>,
    pub(super) history: History,
}

impl Default for UnclosedAccount {
    fn default() -> Self {
        Self {
            owner: Owner::Unknown,
            opened_known: false,
            by_python: true,
            stack: 0,
            count: 0,
            at_exit: 0,
            timed: 0,
            lifetime_ns: 0,
            first_ns: u64::MAX,
            last_ns: 0,
            dropped_at: BTreeMap::new(),
            history: History::default(),
        }
    }
}

impl UnclosedAccount {
    /// How the count moved; it stands in `opened`.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The line at which most of them were dropped.
    pub fn mostly_dropped_at(&self) -> Option<&Frame> {
        self.dropped_at.iter().max_by_key(|(_, count)| **count).map(|(frame, _)| frame)
    }

    /// The mean life from open to implicit close, in nanoseconds; `None` when no open was seen.
    pub fn mean_life_ns(&self) -> Option<u64> {
        self.lifetime_ns.checked_div(self.timed)
    }

    /// Forgets the sums, which every snapshot brings anew, and keeps the history.
    pub(super) fn clear_sums(&mut self) {
        let history = std::mem::take(&mut self.history);
        *self = Self { history, ..Self::default() };
    }

    pub(super) fn settle(&mut self, now_ns: u64) {
        self.history.push(Sample {
            time_ns: now_ns,
            opened: self.count as f64,
            ..Sample::default()
        });
    }
}
