//! What is known: processes, open descriptors, and the lines that hold them, over time.
//!
//! Once a second [`Ledger::observe`] takes what a source has aggregated and books each descriptor on
//! an [`Account`]: a pair of a responsible line and a kind of descriptor. An account remembers how it
//! moved ([`History`]) and how old and how idle its open descriptors are; the rules read nothing
//! else. No I/O; time is an argument; everything is bounded by [`Limits`], and what does not fit is
//! counted in [`Overflow`].

mod account;
mod bundled;
mod conduct;
mod history;
mod kind;
mod limits;
mod loss;
mod memory;
mod object;
mod observe;
mod process;
mod site;
mod stacks;
#[cfg(test)]
mod tests;
mod totals;
mod unclosed;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use account::{Account, Living, MATURE_NS};
pub use conduct::{Conduct, Deed, ObjectNames};
pub use history::{History, SECOND_NS, Sample};
pub use kind::{DescriptorKind, is_accepted};
pub use limits::{Limits, Overflow};
pub use loss::Losses;
pub use memory::{MemoryHistory, MemorySample};
pub use process::{KindTotals, Process, ProcessInfo};
pub use site::{Owner, Ownership};
pub use stacks::StackNames;
pub use totals::{DescriptorTotals, Totals};
pub use unclosed::{UnclosedAccount, UnclosedKey};

use crate::event::{ProcessId, StackId};
use crate::python::{Frame, Stack};
use crate::source::{Flow, StackOutcomes};
use stacks::{AccountId, StackBook};

type AccountKey = (ProcessId, Option<Frame>, DescriptorKind, bool);

/// One stack and what it holds, for flame graphs.
#[derive(Debug, Clone, PartialEq)]
pub struct StackTotals {
    /// The stack; `None` when its frames never came.
    pub stack: Option<Arc<Stack>>,
    /// What it was last seen to make; `None` when it closed everything before anybody looked.
    pub kind: Option<DescriptorKind>,
    /// Descriptors it opened.
    pub opened: u64,
    /// Of those, closed.
    pub closed: u64,
    /// Of those, open now.
    pub alive: u64,
    /// The responsible line.
    pub site: Option<Frame>,
    /// Monotonic nanoseconds of the first that it opened.
    pub first_ns: u64,
    /// Monotonic nanoseconds of the last.
    pub last_ns: u64,
}

/// What is known. See the module for what it holds.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    limits: Limits,
    ownership: Ownership,
    overflow: Overflow,
    first_ns: Option<u64>,
    time_ns: u64,
    processes: BTreeMap<ProcessId, Process>,
    accounts: BTreeMap<AccountId, Account>,
    account_ids: HashMap<AccountKey, AccountId>,
    next_account: AccountId,
    stacks: StackBook,
    unclosed: BTreeMap<UnclosedKey, UnclosedAccount>,
    losses: Losses,
    flows: BTreeMap<&'static str, Flow>,
    outcomes: StackOutcomes,
    fill: BTreeMap<&'static str, (u64, u64)>,
    conducts: conduct::ConductBook,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Sets what counts as the user's own code. Stacks that are already booked stay where they are,
    /// so call it first.
    pub fn set_ownership(&mut self, ownership: Ownership) {
        self.ownership = ownership;
    }

    /// A process is traced from now on (again, when it runs another program in place).
    pub fn process_started(&mut self, id: ProcessId, info: ProcessInfo) {
        if self.admit(id)
            && let Some(process) = self.processes.get_mut(&id)
        {
            process.info = info;
            process.ended_ns = None;
        }
    }

    /// A process has ended: what it held is gone, what is known of it stays until room is needed.
    pub fn process_ended(&mut self, id: ProcessId, now_ns: u64) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.ended_ns = Some(now_ns);
            process.forget_open();
        }
        self.forget_conducts(id);
        self.accounts.retain(|_, account| account.process != id);
        self.account_ids.retain(|key, _| key.0 != id);
        for entry in self.stacks.entries.iter_mut().filter(|(key, _)| key.0 == id) {
            entry.1.alive = 0;
            entry.1.accounts.clear();
        }
    }

    /// Forgets a process that has ended, with all that it did.
    pub fn forget(&mut self, id: ProcessId) {
        self.processes.remove(&id);
        self.stacks.entries.retain(|key, _| key.0 != id);
        self.unclosed.retain(|key, _| key.process != id);
        self.conducts.forget_acts(id);
    }

    /// Forgets stacks, whose frames come again if they do anything again.
    pub fn forget_stacks(&mut self, stacks: &[(ProcessId, StackId)]) {
        for stack in stacks {
            self.stacks.entries.remove(stack);
        }
        self.conducts.forget_stacks(stacks);
    }

    /// The soft limit on descriptors, which a process may change while it runs; `None` when it has
    /// none.
    pub fn set_descriptor_limit(&mut self, id: ProcessId, limit: Option<u64>) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.info.descriptor_limit = limit;
        }
    }

    /// What a process is called from now on.
    pub fn set_service(&mut self, id: ProcessId, service: String) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.info.service = service;
        }
    }

    /// Monotonic nanoseconds of the first observation.
    pub fn first_ns(&self) -> Option<u64> {
        self.first_ns
    }

    /// Monotonic nanoseconds of the newest observation.
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Every process, with those that ended.
    pub fn processes(&self) -> impl Iterator<Item = (ProcessId, &Process)> {
        self.processes.iter().map(|(id, process)| (*id, process))
    }

    /// One process.
    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.processes.get(&id)
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Implicit closes by line and type.
    pub fn unclosed(&self) -> impl Iterator<Item = (&UnclosedKey, &UnclosedAccount)> {
        self.unclosed.iter()
    }

    /// The frames of a stack, where they are known.
    pub fn stack(&self, process: ProcessId, id: StackId) -> Option<&Arc<Stack>> {
        self.stacks.entries.get(&(process, id))?.stack.as_ref()
    }

    /// Every stack of a process that made descriptors.
    pub fn stacks(&self, process: ProcessId) -> impl Iterator<Item = StackTotals> {
        self.all_stacks().filter(move |(of, _)| *of == process).map(|(_, totals)| totals)
    }

    /// Every stack of any process that made descriptors.
    pub fn all_stacks(&self) -> impl Iterator<Item = (ProcessId, StackTotals)> {
        let entries = self.stacks.entries.iter();
        let made = entries.filter(|(_, entry)| entry.opened > 0 || entry.alive > 0);
        made.map(|((process, _), entry)| {
            let totals = StackTotals {
                stack: entry.stack.clone(),
                kind: entry.kind,
                opened: entry.opened,
                closed: entry.closed,
                alive: u64::from(entry.alive),
                site: entry.line().and_then(|(site, _)| site).cloned(),
                first_ns: entry.span_ns.0,
                last_ns: entry.span_ns.1,
            };
            (*process, totals)
        })
    }

    /// Events that were lost.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Events by kind, as the newest snapshot has them.
    pub fn flows(&self) -> &BTreeMap<&'static str, Flow> {
        &self.flows
    }

    /// How the walks of stacks went, as the newest snapshot has it.
    pub fn outcomes(&self) -> StackOutcomes {
        self.outcomes
    }

    /// What did not fit.
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// The sums for a report about `process`.
    pub fn totals(&self, process: ProcessId) -> Totals {
        let known = self.processes.get(&process);
        Totals {
            fill: self.fill.clone(),
            flows: self.flows.clone(),
            stacks: self.outcomes,
            descriptors: DescriptorTotals::of(
                known.and_then(|known| known.table.as_ref()),
                known.map_or(0, Process::open),
                known.map_or(0, Process::before_attach),
            ),
        }
    }
}
