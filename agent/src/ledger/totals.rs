//! The sums that every report ends with: what was seen, what was lost, and whether both add up.

use std::collections::BTreeMap;

use crate::source::{Flow, StackOutcomes, TableCheck};

/// The loss ledger of one process's report. Events and stacks are those of the whole source,
/// descriptors those of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries of the kernel side's tables and how many fit, at the end of a run.
    pub fill: BTreeMap<&'static str, (u64, u64)>,
    /// Events by kind.
    pub flows: BTreeMap<&'static str, Flow>,
    /// How the walks of stacks went.
    pub stacks: StackOutcomes,
    /// Descriptors.
    pub descriptors: DescriptorTotals,
}

/// Descriptors, as the ledger and as the kernel's own table count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DescriptorTotals {
    /// In the ledger.
    pub tracked: u64,
    /// In the process's own table at the last reconciliation; `None` when there was none.
    pub actual: Option<u64>,
    /// Of those tracked, open before the attach.
    pub before_attach: u64,
}

impl DescriptorTotals {
    pub(super) fn of(check: Option<&TableCheck>, open: u64, before_attach: u64) -> Self {
        // Both numbers of a check are of one moment; a later one of the ledger would not match.
        Self {
            tracked: check.map_or(open, |check| check.tracked),
            actual: check.map(|check| check.actual),
            before_attach,
        }
    }

    /// `tracked − actual`; `None` when `actual` is unknown.
    pub fn drift(&self) -> Option<i64> {
        let actual = i64::try_from(self.actual?).ok()?;
        i64::try_from(self.tracked).ok()?.checked_sub(actual)
    }
}

impl Totals {
    /// Events that happened.
    pub fn emitted(&self) -> u64 {
        self.flows.values().fold(0, |sum, flow| sum.saturating_add(flow.emitted))
    }

    /// Events that arrived.
    pub fn received(&self) -> u64 {
        self.flows.values().fold(0, |sum, flow| sum.saturating_add(flow.received))
    }

    /// Events that did not arrive, by cause, over all kinds.
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let mut dropped = BTreeMap::new();
        for (cause, lost) in self.flows.values().flat_map(|flow| &flow.dropped) {
            let sum: &mut u64 = dropped.entry(*cause).or_default();
            *sum = sum.saturating_add(*lost);
        }
        dropped
    }
}
