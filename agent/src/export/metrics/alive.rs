//! Processes that live, with their labels. Pids and services come from the target, so only so many
//! get labels of their own; the rest is summed up as `~other`.

use std::collections::BTreeMap;

use super::family::{Family, Scrape, Series};
use super::{OTHER, PIDS};
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
}

impl Name {
    /// The process alone.
    pub(super) fn alone(&self) -> Vec<String> {
        self.with(&[])
    }

    /// It stands for several.
    pub(super) fn is_other(&self) -> bool {
        self.pid == OTHER
    }

    /// The process and more.
    pub(super) fn with(&self, more: &[&str]) -> Vec<String> {
        let own = [self.pid.as_str(), self.service.as_str()];
        own.into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
    }
}

pub(super) struct Alive<'a> {
    pub(super) processes: Vec<(Name, &'a Process)>,
    names: BTreeMap<ProcessId, Name>,
}

impl<'a> Alive<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Self {
        let alive = ledger.processes().filter(|(_, process)| process.ended_ns.is_none());
        let mut processes = Vec::new();
        let mut names = BTreeMap::new();
        // In the order in which they came: a process keeps its labels.
        for (index, (id, process)) in alive.enumerate() {
            let name = if index < PIDS {
                let service = visible(&process.info.service, SERVICE);
                Name { pid: process.info.pid.to_string(), service }
            } else {
                Name { pid: OTHER.to_owned(), service: OTHER.to_owned() }
            };
            names.insert(id, name.clone());
            processes.push((name, process));
        }
        Self { processes, names }
    }

    /// The labels of a process, if it lives.
    pub(super) fn name(&self, process: ProcessId) -> Option<&Name> {
        self.names.get(&process)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (ProcessId, &Name)> {
        self.names.iter().map(|(id, name)| (*id, name))
    }

    /// What went into `~other`, beside `types` of resources.
    pub(super) fn folded(&self, scrape: &mut Scrape, types: u64) {
        let pids = self.processes.len().saturating_sub(PIDS) as u64;
        let help = "Values of a label that have no series of their own and are summed as ~other; \
                    a counter of ~other falls when one of its processes ends";
        let series = Series::counts([("pid", pids), ("type", types)]);
        scrape.gauge(Family::new("folded_labels", help).of(&["label"]), series);
    }
}
