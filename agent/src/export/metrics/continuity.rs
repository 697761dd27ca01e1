//! What a scrape has to know of those before it, so that no counter goes back.
//!
//! A process keeps the labels it has for as long as it lives: its own, or those of `~other`. What the
//! processes behind `~other` had counted when they ended stays in its counters.

use std::collections::{BTreeMap, BTreeSet};

use super::alive::Labels;
use super::family::{Histograms, Series};
use super::{PIDS, TYPES};
use crate::event::ProcessId;
use crate::ledger::Ledger;

/// From one scrape to the next.
#[derive(Debug, Default)]
pub struct Continuity {
    named: BTreeSet<ProcessId>,
    folded: BTreeSet<ProcessId>,
    types: BTreeSet<String>,
    counters: BTreeMap<String, Series>,
    histograms: BTreeMap<String, Histograms>,
}

/// What stands for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Labels of its own.
    Own,
    /// `~other`, for what is and for what has been counted.
    Other,
    /// It has ended: what it had counted stays with `~other`.
    Retiring,
}

impl Continuity {
    /// The place of each process, by the order in which they came.
    pub(super) fn places(&mut self, ledger: &Ledger) -> BTreeMap<ProcessId, Place> {
        let lives = |id: &ProcessId| ledger.process(*id).is_some_and(|p| p.ended_ns.is_none());
        self.named.retain(lives);
        let mut places = BTreeMap::new();
        for (id, process) in ledger.processes() {
            let folded = self.folded.contains(&id);
            if process.ended_ns.is_some() {
                if folded {
                    places.insert(id, Place::Retiring);
                }
            } else if self.named.contains(&id) || (!folded && self.named.len() < PIDS) {
                self.named.insert(id);
                places.insert(id, Place::Own);
            } else {
                self.folded.insert(id);
                places.insert(id, Place::Other);
            }
        }
        // Each retires once.
        self.folded.retain(lives);
        places
    }

    /// Whether a type has a label of its own; the first that come keep theirs for good.
    pub(super) fn names_type(&mut self, name: &str) -> bool {
        if !self.types.contains(name) && self.types.len() < TYPES {
            self.types.insert(name.to_owned());
        }
        self.types.contains(name)
    }

    /// A counter with what has been counted by those that are gone.
    pub(super) fn carry_on(&mut self, name: &str, series: Series) -> Series {
        let (gone, mut series) = series.partition(Labels::is_retiring);
        let past = self.counters.entry(name.to_owned()).or_default();
        past.extend(gone);
        series.extend(past.clone());
        series
    }

    /// The same for histograms.
    pub(super) fn carry_on_histograms(&mut self, name: &str, all: Histograms) -> Histograms {
        let (gone, mut all) = all.partition(Labels::is_retiring);
        let past = self.histograms.entry(name.to_owned()).or_default();
        past.extend(gone);
        all.extend(past.clone());
        all
    }
}
