//! Processes that live, with their labels. Pids and services come from the target, so only so many
//! get labels of their own; the rest is summed up as `~other`.

use std::collections::BTreeMap;

use super::OTHER;
use super::continuity::{Continuity, Place};
use super::family::{Family, Scrape, Series};
use crate::event::ProcessId;
use crate::export::visible;
use crate::ledger::{Ledger, Process};

/// Characters of a service's name.
const SERVICE: usize = 80;

/// The labels of one process.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pid: String,
    service: String,
    retiring: bool,
}

/// Values of labels, in the order of the family's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    values: Vec<String>,
    retiring: bool,
}

impl From<Vec<String>> for Labels {
    fn from(values: Vec<String>) -> Self {
        Self { values, retiring: false }
    }
}

impl Labels {
    pub(super) fn values(&self) -> &[String] {
        &self.values
    }

    /// What has this has ended, and its counters stay with `~other`.
    pub(super) fn is_retiring(&self) -> bool {
        self.retiring
    }

    /// The same of those that live on.
    pub(super) fn retired(self) -> Self {
        Self { retiring: false, ..self }
    }
}

impl Name {
    /// The process alone.
    pub(super) fn alone(&self) -> Labels {
        self.with(&[])
    }

    /// It stands for several.
    pub(super) fn is_other(&self) -> bool {
        self.pid == OTHER
    }

    /// The process and more.
    pub(super) fn with(&self, more: &[&str]) -> Labels {
        let own = [self.pid.as_str(), self.service.as_str()];
        let values = own.into_iter().chain(more.iter().copied()).map(str::to_owned).collect();
        Labels { values, retiring: self.retiring }
    }
}

pub(super) struct Alive<'a> {
    /// With those that have just ended behind `~other`, for its counters.
    pub(super) processes: Vec<(Name, &'a Process)>,
    names: BTreeMap<ProcessId, Name>,
    folded: u64,
}

impl<'a> Alive<'a> {
    pub(super) fn of(ledger: &'a Ledger, continuity: &mut Continuity) -> Self {
        let mut processes = Vec::new();
        let mut names = BTreeMap::new();
        let mut folded = 0;
        for (id, place) in continuity.places(ledger) {
            let Some(process) = ledger.process(id) else { continue };
            folded += u64::from(place == Place::Other);
            let name = if place == Place::Own {
                let service = visible(&process.info.service, SERVICE);
                Name { pid: process.info.pid.to_string(), service, retiring: false }
            } else {
                let retiring = place == Place::Retiring;
                Name { pid: OTHER.to_owned(), service: OTHER.to_owned(), retiring }
            };
            names.insert(id, name.clone());
            processes.push((name, process));
        }
        Self { processes, names, folded }
    }

    /// How many processes live.
    pub(super) fn count(&self) -> usize {
        self.processes.iter().filter(|(name, _)| !name.retiring).count()
    }

    /// The labels of a process, if it lives or counts on.
    pub(super) fn name(&self, process: ProcessId) -> Option<&Name> {
        self.names.get(&process)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (ProcessId, &Name)> {
        self.names.iter().map(|(id, name)| (*id, name))
    }

    /// What went into `~other`, beside `types` of resources and `lines` of findings.
    pub(super) fn folded(&self, scrape: &mut Scrape<'_>, types: u64, lines: u64) {
        let help = "Values of a label that have no series of their own and are summed as ~other";
        let series = Series::counts([("pid", self.folded), ("type", types), ("line", lines)]);
        scrape.gauge(Family::new("folded_labels", help).of(&["label"]), series);
    }
}
