//! Room in the kernel side's tables.
//!
//! They hold what was done since the attach, by stack and by object; a process that goes on for days
//! meets ever new files, peers and stacks. When a table is three quarters full, what has rested for
//! longest leaves it until half is free. Its sums stay here, over all objects, and those of stacks
//! that only samples have met over all stacks: so no total goes back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libbpf_rs::{MapCore, MapFlags, MapMut};
use pitviper_probes::types;
use pitviper_probes::types::act as A;

use super::decode::{self, Plain};
use super::entries::entries;
use super::{Ebpf, EbpfError, acts, stack_id};
use crate::event::{ProcessId, StackId};
use crate::source::{Act, ActCounters};

/// An act that was not repeated for this long may go. A program that meets a thousand new objects a
/// second fills the table in half a minute, and what is new tells more than what is over.
const ACT_RESTS_NS: u64 = 5_000_000_000;

/// A stack on which nothing was met for this long may go: longer than the rules' windows, in which its
/// sums must not fall.
const STACK_RESTS_NS: u64 = 150_000_000_000;

/// How often tables of descriptions are looked at, in readings.
const DESCRIPTIONS_EACH: u64 = 10;

/// What has left the table of acts.
#[derive(Default)]
pub(super) struct Folded {
    sums: BTreeMap<(ProcessId, StackId, Act, u16), ActCounters>,
    readings: u64,
    /// Since when stacks are known to have no acts, while room is short.
    without_acts: HashMap<u64, u64>,
}

impl Folded {
    fn add(&mut self, counters: ActCounters) {
        let key = (counters.process, counters.stack, counters.act, counters.call);
        let of_all = ActCounters { object: 0, ..counters };
        let Some(known) = self.sums.get_mut(&key) else {
            self.sums.insert(key, of_all);
            return;
        };
        known.sums.add(&counters.sums);
        known.first_ns = known.first_ns.min(counters.first_ns);
        if counters.last_ns > known.last_ns {
            *known = ActCounters { sums: known.sums, first_ns: known.first_ns, ..of_all };
        }
    }

    /// What is folded, to be told beside what the table holds.
    pub(super) fn counters(&self) -> impl Iterator<Item = &ActCounters> {
        self.sums.values()
    }

    /// Forgets processes; returns how many acts that were.
    pub(super) fn forget(&mut self, dead: &BTreeSet<ProcessId>) -> u64 {
        let gone = |key: &(ProcessId, StackId, Act, u16)| dead.contains(&key.0);
        let acts = self.sums.iter().filter(|(key, _)| gone(key)).map(|(_, act)| act.sums.count);
        let acts = acts.sum();
        self.sums.retain(|key, _| !gone(key));
        acts
    }

    /// What such stacks did becomes what no stack did.
    fn forget_stacks(&mut self, stacks: &BTreeSet<(ProcessId, StackId)>) {
        for (key, counters) in std::mem::take(&mut self.sums) {
            let stack = if stacks.contains(&(key.0, key.1)) { 0 } else { key.1 };
            self.add(ActCounters { stack, ..counters });
        }
    }
}

type RawAct = (types::act_key, types::act_sum);

/// How many entries have to go; 0 while a quarter of the table is free.
fn excess(entries: usize, map: &impl MapCore) -> usize {
    let capacity = map.max_entries() as usize;
    if entries > capacity / 4 * 3 { entries - capacity / 2 } else { 0 }
}

/// Acts that tell where a thread was met, not what it did: there are as many stacks as places.
fn is_place(act: u16) -> bool {
    matches!(A(act.into()), A::ACT_ON_CPU | A::ACT_OFF_CPU | A::ACT_TOUCH)
}

impl Ebpf {
    /// Takes acts out of the table and keeps their sums.
    fn fold(&mut self, gone: &[RawAct], every_stack: bool) {
        let map = &self.skeleton.maps.acts;
        for (key, sum) in gone {
            // At once, so that what comes meanwhile is in it; before 5.14 that cannot be had.
            let last = match map.lookup_and_delete(decode::bytes(key)) {
                Ok(Some(value)) => decode::read(&value),
                _ if map.delete(decode::bytes(key)).is_ok() => *sum,
                _ => continue,
            };
            if let Some(counters) = acts::counters(key, &last) {
                let stack = if every_stack { 0 } else { counters.stack };
                self.folded.add(ActCounters { stack, ..counters });
            }
        }
    }

    /// The acts in the table, after those that rest have made room.
    pub(super) fn acts_with_room(&mut self, now_ns: u64) -> Result<Vec<RawAct>, EbpfError> {
        let map = &self.skeleton.maps.acts;
        let mut all = entries::<types::act_key, types::act_sum>(map, "acts")?;
        let excess = excess(all.len(), map);
        if excess > 0 {
            all.sort_unstable_by_key(|(_, sum)| sum.last_ns);
            let rests = |last_ns: u64| now_ns.saturating_sub(last_ns) > ACT_RESTS_NS;
            let resting = all.iter().take_while(|(_, sum)| rests(sum.last_ns)).take(excess).count();
            let gone: Vec<RawAct> = all.drain(..resting).collect();
            self.fold(&gone, false);
        }
        Ok(all)
    }

    /// Makes room among the stacks; returns those that are forgotten.
    pub(super) fn make_room_for_stacks(
        &mut self,
        sites: &[(u64, types::site)],
        acts: &mut Vec<RawAct>,
        now_ns: u64,
    ) -> Result<Vec<(ProcessId, StackId)>, EbpfError> {
        let excess = excess(sites.len(), &self.skeleton.maps.sites);
        if excess == 0 {
            self.folded.without_acts.clear();
            return Ok(Vec::new());
        }
        let rests = |last_ns: u64| now_ns.saturating_sub(last_ns) > STACK_RESTS_NS;
        let mut newest = HashMap::<u64, Option<u64>>::new();
        for (key, sum) in acts.iter() {
            let known = newest.entry(key.stack).or_insert(Some(0));
            let place = is_place(key.act) && rests(sum.last_ns);
            *known = known.filter(|_| place).map(|known| known.max(sum.last_ns));
        }
        for counters in self.folded.counters() {
            let place = matches!(counters.act, Act::OnCpu | Act::OffCpu | Act::Touch);
            let known = newest.entry(counters.stack).or_insert(Some(counters.last_ns));
            *known = known.filter(|_| place);
        }
        for (key, _) in self.unclosed_pairs()? {
            newest.insert(key.dropped_by, None);
            newest.insert(key.opened_by, None);
        }
        let mut resting: Vec<(u64, u64, ProcessId)> = sites
            .iter()
            .filter(|(key, site)| site.opened == 0 && stack_id(*key) != 0)
            .filter_map(|(key, site)| {
                // A call within a turn is walked for, and may turn out to be nobody's delay.
                let without_acts = || Some(*self.folded.without_acts.entry(*key).or_insert(now_ns));
                let last_ns = newest.get(key).copied().unwrap_or_else(without_acts)?;
                rests(last_ns).then_some((last_ns, *key, ProcessId(site.process)))
            })
            .collect();
        resting.sort_unstable();
        resting.truncate(excess);
        let stacks: BTreeSet<u64> = resting.iter().map(|(_, key, _)| *key).collect();
        let gone: Vec<RawAct> =
            acts.extract_if(.., |(key, _)| stacks.contains(&key.stack)).collect();
        self.fold(&gone, true);
        let forgotten: BTreeSet<(ProcessId, StackId)> =
            resting.into_iter().map(|(_, key, process)| (process, key)).collect();
        self.folded.forget_stacks(&forgotten);
        let mut gone = Vec::new();
        for (process, key) in forgotten {
            if self.take_out_site(key) {
                gone.push((process, key));
            }
        }
        Ok(gone)
    }

    /// Takes a stack out, unless it has made a descriptor meanwhile.
    fn take_out_site(&self, key: u64) -> bool {
        let map = &self.skeleton.maps.sites;
        match map.lookup_and_delete(&key.to_ne_bytes()) {
            Ok(Some(value)) if decode::read::<types::site>(&value).opened != 0 => {
                // It is refused where the stack has been met again since, and counts there.
                let _ = map.update(&key.to_ne_bytes(), &value, MapFlags::NO_EXIST);
                false
            }
            Ok(found) => found.is_some(),
            // Before 5.14 it cannot be had at once.
            Err(_) => map.delete(&key.to_ne_bytes()).is_ok(),
        }
    }

    /// Makes room among the descriptions of objects: what no act is about is described again when
    /// it is met again.
    pub(super) fn make_room_for_objects(&mut self, acts: &[RawAct]) -> Result<(), EbpfError> {
        self.folded.readings += 1;
        if !self.folded.readings.is_multiple_of(DESCRIPTIONS_EACH) {
            return Ok(());
        }
        let maps = &self.skeleton.maps;
        let mut used: BTreeSet<u64> = acts.iter().map(|(key, _)| key.object).collect();
        used.extend(self.living()?.iter().map(|(_, entry)| entry.peer));
        for (_, child) in entries::<u32, types::child>(&maps.children, "children")? {
            used.insert(child.command);
        }
        let unused = |id: &u64| !used.contains(id);
        make_room(&maps.objects, "objects", |id: &u64, _: &types::object_life| unused(id))?;
        make_room(&maps.task_names, "task_names", |id: &u64, _: &types::object_life| unused(id))?;
        make_room(&maps.files, "files", |key: &types::file_key, _: &types::file_state| {
            unused(&key.object)
        })
    }
}

/// Takes out what may go, when a table is nearly full.
fn make_room<K: Plain, V: Plain>(
    map: &MapMut<'_>,
    name: &'static str,
    may_go: impl Fn(&K, &V) -> bool,
) -> Result<(), EbpfError> {
    let all = entries::<K, V>(map, name)?;
    let excess = excess(all.len(), map);
    for (key, _) in all.iter().filter(|(key, value)| may_go(key, value)).take(excess) {
        // A failed delete means that it is gone already.
        let _ = map.delete(decode::bytes(key));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sums;

    fn act(process: u32, stack: u64, object: u64, count: u64, last_ns: u64) -> ActCounters {
        ActCounters {
            process: ProcessId(process),
            stack,
            act: Act::Read,
            call: 0,
            object,
            sums: Sums { count, ..Sums::default() },
            first_ns: last_ns,
            last_ns,
            mode: last_ns as u16,
            made_by: 0,
            flags: 0,
        }
    }

    #[test]
    fn sums_stay_over_all_objects_and_then_over_all_stacks() {
        let mut folded = Folded::default();
        for (stack, object, count, last) in [(9, 1, 5, 30), (9, 2, 7, 20), (8, 3, 11, 40)] {
            folded.add(act(1, stack, object, count, last));
        }
        let told: Vec<_> = folded.counters().copied().collect();
        let first = ActCounters { first_ns: 20, ..act(1, 9, 0, 12, 30) };
        assert_eq!(told, [act(1, 8, 0, 11, 40), first]);
        folded.forget_stacks(&BTreeSet::from([(ProcessId(1), 9), (ProcessId(2), 8)]));
        folded.forget_stacks(&BTreeSet::from([(ProcessId(1), 8)]));
        let all = ActCounters { first_ns: 20, ..act(1, 0, 0, 23, 40) };
        assert_eq!(folded.counters().copied().collect::<Vec<_>>(), [all]);
    }

    #[test]
    fn the_dead_take_their_acts_with_them() {
        let mut folded = Folded::default();
        folded.add(act(1, 9, 1, 5, 30));
        folded.add(act(2, 9, 1, 6, 30));
        assert_eq!(folded.forget(&BTreeSet::from([ProcessId(1)])), 5);
        assert_eq!(folded.counters().count(), 1);
    }
}
