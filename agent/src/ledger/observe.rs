//! Books one snapshot. The work follows the number of stacks and of open descriptors, never the
//! number of events.

use std::path::Path;

use crate::event::{ProcessId, StackId};
use crate::python::{Frame, Stack};
use crate::source::{DescriptorOrigin, LiveDescriptor, SiteCounters, Snapshot, UnclosedCounters};

use super::stacks::{AccountId, StackNames};
use super::{
    Account, DescriptorKind, Ledger, Living, Owner, Process, SECOND_NS, UnclosedKey, is_accepted,
};

/// Untouched for longer than this is "idle" in the totals by kind: a minute is longer than most
/// polling intervals and keep-alive probes.
const IDLE_NS: u64 = 60 * SECOND_NS;

/// An account that has held nothing for this long may make room for another.
const ROOM_AFTER_NS: u64 = 60 * SECOND_NS;

/// What is said to be unclosed without a type.
const UNNAMED: &str = "resource";

/// Characters of a type's name that are kept.
const TYPE_NAME: usize = 200;

impl Ledger {
    /// Takes in what a source has aggregated. A snapshot that is not newer than the last is counted
    /// and left out. Processes that nobody has announced are taken in with empty particulars.
    pub fn observe(&mut self, snapshot: &Snapshot, names: &dyn StackNames) {
        let now_ns = snapshot.time_ns;
        if self.first_ns.is_some() && now_ns <= self.time_ns {
            self.overflow.stale_snapshots += 1;
            return;
        }
        let before_ns = self.time_ns;
        self.first_ns.get_or_insert(now_ns);
        self.time_ns = now_ns;
        self.forget_stacks(&snapshot.forgotten);
        self.flows.clone_from(&snapshot.flows);
        self.outcomes = snapshot.stacks;
        self.fill.clone_from(&snapshot.fill);
        self.losses.observe(&snapshot.flows, now_ns);

        self.clear(&snapshot.io_uring);
        for descriptor in &snapshot.descriptors {
            self.book_descriptor(descriptor, names);
        }
        for counters in &snapshot.sites {
            self.book_counters(counters, names);
        }
        for check in &snapshot.tables {
            if let Some(process) = self.processes.get_mut(&check.process) {
                process.table = Some(*check);
            }
        }
        self.find_largest_stacks();
        for account in self.accounts.values_mut() {
            account.settle(before_ns, now_ns);
        }
        for process in self.processes.values_mut().filter(|process| process.ended_ns.is_none()) {
            process.settle(now_ns);
        }
        self.book_unclosed(&snapshot.unclosed, names);
    }

    /// Forgets what every snapshot tells anew.
    fn clear(&mut self, io_uring: &[ProcessId]) {
        for (id, process) in &mut self.processes {
            process.forget_open();
            process.io_uring |= io_uring.contains(id);
        }
        for entry in self.stacks.entries.values_mut() {
            entry.alive = 0;
        }
        for account in self.accounts.values_mut() {
            account.stacks = 0;
            account.largest_stack = None;
        }
    }

    /// Makes room for a process; false when there is none.
    pub(super) fn admit(&mut self, id: ProcessId) -> bool {
        if self.processes.contains_key(&id) {
            return true;
        }
        if self.processes.len() >= self.limits.processes {
            let mut ended = self.processes.iter().filter_map(|(id, p)| Some((p.ended_ns?, *id)));
            let Some((_, oldest)) = ended.by_ref().min() else {
                self.overflow.processes += 1;
                return false;
            };
            self.forget(oldest);
        }
        self.processes.insert(id, Process::default());
        true
    }

    fn book_descriptor(&mut self, descriptor: &LiveDescriptor, names: &dyn StackNames) {
        let LiveDescriptor { process: id, stack, .. } = *descriptor;
        let kind = DescriptorKind::of(descriptor.call, descriptor.mode);
        let now_ns = self.time_ns;
        if !self.admit(id) {
            return;
        }
        if let Some(process) = self.processes.get_mut(&id).filter(|p| p.ended_ns.is_none()) {
            *process.by_origin.entry(descriptor.origin).or_default() += 1;
            let limit = process.info.descriptor_limit;
            process.below_limit +=
                u64::from(limit.is_none_or(|limit| u64::from(descriptor.fd) < limit));
            let totals = process.by_kind.entry(kind).or_default();
            let idle = now_ns.saturating_sub(descriptor.used_ns) > IDLE_NS;
            *(if idle { &mut totals.idle } else { &mut totals.used }) += 1;
            if descriptor.origin == DescriptorOrigin::BeforeAttach {
                process.count_before_attach(kind);
            }
        } else {
            return;
        }
        // Only a birth that was seen can be laid at a line's door.
        if descriptor.origin != DescriptorOrigin::Traced {
            return;
        }
        let account = match self.stack_entry(id, stack, names) {
            Some(entry) => {
                entry.alive += 1;
                entry.kind = Some(kind);
                if entry.line().is_none() {
                    return;
                }
                self.account_of_stack(id, stack, kind)
            }
            None => self.overflow_account(id),
        };
        if let Some(account) = account.and_then(|account| self.accounts.get_mut(&account)) {
            account.next.push(Living {
                born_ns: descriptor.born_ns,
                fd: descriptor.fd,
                used_ns: descriptor.used_ns.max(descriptor.born_ns),
                accepted: is_accepted(descriptor.call),
            });
        }
    }

    fn book_counters(&mut self, counters: &SiteCounters, names: &dyn StackNames) {
        let SiteCounters { process: id, stack, .. } = *counters;
        if !self.admit(id) {
            return;
        }
        let Some(entry) = self.stack_entry(id, stack, names) else {
            // Without an entry there is no last state to tell what is new: its open descriptors are
            // on the overflow account, its counters are not.
            return;
        };
        // Counters that went back belong to a new life of the same stack.
        let opened = counters.opened.checked_sub(entry.opened).unwrap_or(counters.opened);
        let closed = counters.closed.checked_sub(entry.closed).unwrap_or(counters.closed);
        entry.opened = counters.opened;
        entry.closed = counters.closed;
        entry.span_ns = (counters.first_ns, counters.last_ns);
        entry.held.0 = entry.held.0.saturating_add(opened);
        entry.held.1 = entry.held.1.saturating_add(closed);
        let kind = entry.kind;
        if opened > 0 || closed > 0 {
            let Some(process) = self.processes.get_mut(&id) else { return };
            let totals = process.by_kind.entry(kind.unwrap_or(DescriptorKind::Other)).or_default();
            totals.opened = totals.opened.saturating_add(opened);
            totals.closed = totals.closed.saturating_add(closed);
            if process.ended_ns.is_some() {
                return;
            }
        }
        let account = kind.and_then(|kind| self.account_of_stack(id, stack, kind));
        let Some(account) = account.and_then(|account| self.accounts.get_mut(&account)) else {
            return;
        };
        let Some(entry) = self.stacks.entries.get_mut(&(id, stack)) else { return };
        let (opened, closed) = std::mem::take(&mut entry.held);
        if opened > 0 || closed > 0 {
            account.opened = account.opened.saturating_add(opened);
            account.closed = account.closed.saturating_add(closed);
            account.active_ns = self.time_ns;
        }
    }

    /// The entry of a stack, with its line worked out if that can be done; `None` when full.
    pub(super) fn stack_entry(
        &mut self,
        process: ProcessId,
        stack: StackId,
        names: &dyn StackNames,
    ) -> Option<&mut super::stacks::StackEntry> {
        let directory = self.processes.get(&process);
        let directory = directory.and_then(|known| known.info.working_directory.as_deref());
        resolve(
            &mut self.stacks,
            &self.ownership,
            (process, stack),
            names,
            directory,
            &self.limits,
            self.time_ns,
        )
        .or_else(|| {
            self.overflow.stacks += 1;
            None
        })
    }

    fn account_of_stack(
        &mut self,
        process: ProcessId,
        stack: StackId,
        kind: DescriptorKind,
    ) -> Option<AccountId> {
        let entry = self.stacks.entries.get(&(process, stack))?;
        let known = entry.accounts.iter().find(|(of, _)| *of == kind).map(|(_, id)| *id);
        if let Some(id) = known.filter(|id| self.accounts.contains_key(id)) {
            return Some(id);
        }
        let (site, owner) = entry.line()?;
        let site = site.cloned();
        let id = match self.account(process, site, owner, kind, false) {
            Some(id) => id,
            None => {
                self.overflow.accounts += 1;
                return self.overflow_account(process);
            }
        };
        if let Some(entry) = self.stacks.entries.get_mut(&(process, stack)) {
            entry.accounts.retain(|(of, _)| *of != kind);
            entry.accounts.push((kind, id));
        }
        Some(id)
    }

    /// One a process, beyond the bound: it has to be there when the bound is hit.
    fn overflow_account(&mut self, process: ProcessId) -> Option<AccountId> {
        self.account(process, None, Owner::Unknown, DescriptorKind::Other, true)
    }

    fn account(
        &mut self,
        process: ProcessId,
        site: Option<Frame>,
        owner: Owner,
        kind: DescriptorKind,
        overflow: bool,
    ) -> Option<AccountId> {
        let key = (process, site, kind, overflow);
        if let Some(id) = self.account_ids.get(&key) {
            return Some(*id);
        }
        if !overflow && self.accounts.len() >= self.limits.accounts {
            self.make_room();
            if self.accounts.len() >= self.limits.accounts {
                return None;
            }
        }
        let id = self.next_account;
        self.next_account += 1;
        let mut account = Account::new(process, key.1.clone(), owner, kind, overflow);
        account.active_ns = self.time_ns;
        self.accounts.insert(id, account);
        self.account_ids.insert(key, id);
        Some(id)
    }

    fn make_room(&mut self) {
        let now_ns = self.time_ns;
        let quiet = |account: &Account| {
            account.next.is_empty()
                && account.living.is_empty()
                && now_ns.saturating_sub(account.active_ns) > ROOM_AFTER_NS
        };
        self.accounts.retain(|_, account| !quiet(account));
        let accounts = &self.accounts;
        self.account_ids.retain(|_, id| accounts.contains_key(id));
    }

    fn find_largest_stacks(&mut self) {
        for ((_, stack), entry) in &self.stacks.entries {
            if entry.alive == 0 {
                continue;
            }
            for (_, id) in &entry.accounts {
                let Some(account) = self.accounts.get_mut(id) else { continue };
                account.stacks += 1;
                // Equal ones by id: the same stack is shown every time.
                let candidate = (entry.alive, *stack);
                if account.largest_stack.is_none_or(|(known, alive)| candidate > (alive, known)) {
                    account.largest_stack = Some((*stack, entry.alive));
                }
            }
        }
    }

    fn book_unclosed(&mut self, unclosed: &[UnclosedCounters], names: &dyn StackNames) {
        let now_ns = self.time_ns;
        self.unclosed.values_mut().for_each(super::UnclosedAccount::clear_sums);
        for counters in unclosed {
            let id = counters.process;
            if !self.admit(id) {
                continue;
            }
            let line = |ledger: &mut Self, stack: StackId| {
                // No stack, or no room for one: no line. `None` is a line that is on its way.
                let entry = if stack == 0 { None } else { ledger.stack_entry(id, stack, names) };
                let Some(entry) = entry else { return Some((None, Owner::Unknown)) };
                let (frame, owner) = entry.line()?;
                Some((frame.cloned(), owner))
            };
            // Frames that are still on their way: the sums come again with the next snapshot.
            let (Some(opened), Some(dropped)) =
                (line(self, counters.opened_by), line(self, counters.dropped_by))
            else {
                continue;
            };
            let outside =
                counters.by_python.then(|| self.outside_finaliser(id, counters.dropped_by));
            let dropped = outside.flatten().unwrap_or(dropped);
            let opened_known = opened.0.is_some();
            let stack = if opened_known { counters.opened_by } else { counters.dropped_by };
            let (site, owner) = if opened_known { opened } else { dropped.clone() };
            let type_name = match &*String::from_utf8_lossy(&counters.type_name) {
                "" => UNNAMED.to_owned(),
                name => name.chars().take(TYPE_NAME).collect(),
            };
            let key = UnclosedKey { process: id, site, type_name };
            if !self.unclosed.contains_key(&key) && self.unclosed.len() >= self.limits.unclosed {
                self.overflow.unclosed += 1;
                continue;
            }
            let at_exit = counters.dropped_by == 0
                || (counters.by_python && self.is_finaliser_alone(id, counters.dropped_by));
            let account = self.unclosed.entry(key).or_default();
            account.owner = owner;
            account.opened_known = opened_known;
            account.stack = stack;
            if at_exit {
                account.at_exit = account.at_exit.saturating_add(counters.count);
                continue;
            }
            account.count = account.count.saturating_add(counters.count);
            account.by_python &= counters.by_python;
            account.first_ns = account.first_ns.min(counters.first_ns);
            account.last_ns = account.last_ns.max(counters.last_ns);
            if counters.opened_by != 0 {
                account.timed = account.timed.saturating_add(counters.count);
                account.lifetime_ns = account.lifetime_ns.saturating_add(counters.lifetime_ns);
            }
            if let Some(frame) = dropped.0 {
                *account.dropped_at.entry(frame).or_default() += counters.count;
            }
        }
        self.unclosed.retain(|_, account| account.count > 0 || account.at_exit > 0);
        self.unclosed.values_mut().for_each(|account| account.settle(now_ns));
    }

    /// The line that dropped what the finaliser on this stack is about, where the finaliser itself
    /// is own code, so that the responsible line is its own.
    fn outside_finaliser(
        &self,
        process: ProcessId,
        stack: StackId,
    ) -> Option<(Option<Frame>, Owner)> {
        let entry = self.stacks.entries.get(&(process, stack))?;
        let frames = &entry.stack.as_ref()?.frames;
        let finaliser = frames.iter().position(|frame| &*frame.function == "__del__")?;
        let (inside, outside) = frames.split_at(finaliser + 1);
        if !inside.contains(entry.line()?.0?) {
            return None;
        }
        let known = self.processes.get(&process);
        let directory = known.and_then(|known| known.info.working_directory.as_deref());
        let outside = Stack { frames: outside.to_vec(), ..Stack::default() };
        let (frame, owner) = self.ownership.responsible_frame(&outside, directory)?;
        (owner == Owner::Own).then(|| (Some(frame.clone()), owner))
    }

    /// Whether no Python code called the finaliser that this stack is: an interpreter that ends
    /// does, and `weakref` does for it.
    fn is_finaliser_alone(&self, process: ProcessId, stack: StackId) -> bool {
        let entry = self.stacks.entries.get(&(process, stack));
        let outermost = entry.and_then(|entry| entry.stack.as_ref()?.frames.last());
        outermost.is_some_and(|frame| match &*frame.function {
            "__del__" => true,
            "_exitfunc" => frame.file.ends_with("weakref.py"),
            _ => false,
        })
    }
}

/// Free of `self`, so that the rest of the ledger stays in reach while an entry is held.
fn resolve<'a>(
    stacks: &'a mut super::stacks::StackBook,
    ownership: &super::Ownership,
    (process, stack): (ProcessId, StackId),
    names: &dyn StackNames,
    directory: Option<&Path>,
    limits: &super::Limits,
    now_ns: u64,
) -> Option<&'a mut super::stacks::StackEntry> {
    let entry = stacks.entry(process, stack, limits.stacks)?;
    entry.resolve(stack, names, ownership, directory, limits.unresolved_observations, now_ns);
    Some(entry)
}
