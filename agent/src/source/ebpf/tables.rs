//! Reading the kernel side's aggregates into a [`Snapshot`].

use std::collections::BTreeSet;

use libbpf_rs::{MapCore, MapFlags, MapMut};
use pitviper_probes::types::descriptor_origin as Origin;
use pitviper_probes::{PitviperSkel, types};

use super::counters::Aggregated;
use super::decode::{self, Plain};
use super::entries::entries;
use super::{Ebpf, EbpfError, acts, stack_id, target};
use crate::event::ProcessId;
use crate::python::read_maps;
use crate::source::{
    DescriptorOrigin, LiveDescriptor, SiteCounters, Snapshot, TableCheck, UnclosedCounters,
};

/// `ORIGIN_MASK` of the kernel side.
const ORIGIN_MASK: u32 = 0xff;

/// A warning whose close has not come after this long will not get one: the close was before it.
const WARNING_AGE_NS: u64 = 1_000_000_000;

/// Monotonic nanoseconds, the clock of `bpf_ktime_get_ns`.
pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Plain for u64 {}
impl Plain for u32 {}

/// Enters the collector of what has no stack.
pub(super) fn enter_process(
    skeleton: &PitviperSkel<'static>,
    process: ProcessId,
) -> Result<(), EbpfError> {
    let none = types::site { process: process.0, sent: 1, ..Default::default() };
    skeleton
        .maps
        .sites
        .update(&u64::from(process.0).to_ne_bytes(), decode::bytes(&none), MapFlags::ANY)
        .map_err(|cause| EbpfError::Map { action: "write", map: "sites", cause })
}

/// Where the heap of a process ends now; 0 when it has none.
pub(super) fn heap_end(pid: u32) -> u64 {
    let maps = i32::try_from(pid).ok().and_then(|pid| read_maps(pid).ok()).unwrap_or_default();
    // A file may bear any name: the heap is no file.
    let heap = maps.iter().find(|m| m.inode == 0 && m.path.as_os_str() == "[heap]");
    heap.map_or(0, |heap| heap.end)
}

/// Takes out all entries that `dead` says, and sums up `worth` of them.
fn take_out<K: Plain, V: Plain>(
    map: &MapMut<'_>,
    name: &'static str,
    dead: impl Fn(&K, &V) -> bool,
    mut worth: impl FnMut(&V),
) -> Result<(), EbpfError> {
    for (key, value) in entries::<K, V>(map, name)? {
        // A failed delete means that it is gone already.
        if dead(&key, &value) && map.delete(decode::bytes(&key)).is_ok() {
            worth(&value);
        }
    }
    Ok(())
}

/// What an entry is, without how often it was born again.
pub(super) fn state(entry: &types::descriptor) -> u32 {
    entry.origin & ORIGIN_MASK
}

fn origin(raw: u32, forked: bool) -> DescriptorOrigin {
    match Origin(raw) {
        Origin::ORIGIN_TRACED => DescriptorOrigin::Traced,
        Origin::ORIGIN_BEFORE_ATTACH if forked => DescriptorOrigin::Inherited,
        Origin::ORIGIN_BEFORE_ATTACH => DescriptorOrigin::BeforeAttach,
        Origin::ORIGIN_INHERITED => DescriptorOrigin::Inherited,
        _ => DescriptorOrigin::Found,
    }
}

impl Ebpf {
    /// Takes out everything of processes that ended; the sums stay.
    pub(super) fn bury(&mut self, dead: &BTreeSet<ProcessId>) -> Result<(), EbpfError> {
        let spaces: BTreeSet<u32> = dead
            .iter()
            .filter_map(|process| self.watched.remove(process))
            .flat_map(|watched| watched.spaces)
            .collect();
        let is_dead = |process| dead.contains(&ProcessId(process));
        let maps = &self.skeleton.maps;
        let buried = &mut self.buried;
        buried.acts += self.folded.forget(dead);
        take_out(
            &maps.descriptors,
            "descriptors",
            |key: &types::descriptor_key, _: &types::descriptor| is_dead(key.process),
            |_| {},
        )?;
        take_out(
            &maps.sites,
            "sites",
            |_: &u64, site: &types::site| is_dead(site.process),
            |site| {
                buried.opened += site.opened;
                buried.closed += site.closed;
            },
        )?;
        take_out(
            &maps.unclosed_pairs,
            "unclosed_pairs",
            |key: &types::unclosed_key, _: &types::unclosed| is_dead(key.process),
            |pair| buried.unclosed += pair.count,
        )?;
        take_out(
            &maps.acts,
            "acts",
            |key: &types::act_key, _: &types::act_sum| is_dead(key.process),
            |sum| buried.acts += sum.count,
        )?;
        take_out(
            &maps.objects,
            "objects",
            |_: &u64, life: &types::object_life| is_dead(life.process),
            |_| {},
        )?;
        take_out(
            &maps.task_names,
            "task_names",
            |_: &u64, life: &types::object_life| is_dead(life.process),
            |_| {},
        )?;
        take_out(
            &maps.asyncios,
            "asyncios",
            |_: &u32, asyncio: &types::asyncio| is_dead(asyncio.process),
            |_| {},
        )?;
        take_out(
            &maps.trios,
            "trios",
            |_: &u32, trio: &types::trio| is_dead(trio.process),
            |_| {},
        )?;
        take_out(
            &maps.files,
            "files",
            |key: &types::file_key, _: &types::file_state| is_dead(key.process),
            |_| {},
        )?;
        take_out(
            &maps.mappings,
            "mappings",
            |key: &types::mapping_key, _: &types::mapping| is_dead(key.process),
            |_| {},
        )?;
        take_out(
            &maps.waits,
            "waits",
            |key: &types::wait_key, _: &types::wait_sum| is_dead(key.process),
            |_| {},
        )?;
        take_out(
            &maps.children,
            "children",
            |_: &u32, child: &types::child| is_dead(child.process),
            |_| {},
        )?;
        take_out(
            &maps.codes,
            "codes",
            |key: &types::code_key, _: &types::code_life| spaces.contains(&key.space),
            |_| {},
        )
    }

    /// Reads everything that is aggregated.
    pub(super) fn aggregate(&mut self) -> Result<Snapshot, EbpfError> {
        let counters = self.counters()?;
        let now_ns = now_ns();
        let mut snapshot =
            Snapshot { time_ns: now_ns, stacks: counters.stacks(), ..Snapshot::default() };
        let mut acts = self.acts_with_room(now_ns)?;
        let sites = entries::<u64, types::site>(&self.skeleton.maps.sites, "sites")?;
        snapshot.forgotten = self.make_room_for_stacks(&sites, &mut acts, now_ns)?;
        self.make_room_for_objects(&acts)?;
        let told = acts.iter().filter_map(|(key, sum)| acts::counters(key, sum));
        snapshot.acts = told.chain(self.folded.counters().copied()).collect();
        let (mut opened, mut closed) = (self.buried.opened, self.buried.closed);
        let forgotten: BTreeSet<u64> = snapshot.forgotten.iter().map(|(_, key)| *key).collect();
        for (key, site) in sites.into_iter().filter(|(key, _)| !forgotten.contains(key)) {
            opened += site.opened;
            closed += site.closed;
            let missed = self
                .watched
                .get(&ProcessId(site.process))
                .map_or(0, |w| w.checks.closed_unseen(key));
            snapshot.sites.push(SiteCounters {
                process: ProcessId(site.process),
                stack: stack_id(key),
                opened: site.opened,
                closed: site.closed + missed,
                first_ns: site.first_ns,
                last_ns: site.last_ns,
            });
        }
        snapshot.descriptors = self.descriptors()?;
        snapshot.unclosed = self.unclosed(snapshot.time_ns)?;
        let unclosed: u64 = snapshot.unclosed.iter().map(|pair| pair.count).sum();
        let unclosed = unclosed + self.buried.unclosed;
        snapshot.children = self.children()?;
        if self.links.is_empty() {
            snapshot.fill = self.fill()?;
        }
        snapshot.waits = self.waits()?;
        let acts: u64 = snapshot.acts.iter().map(|act| act.sums.count).sum();
        let acts = acts + self.buried.acts;
        snapshot.flows = self.flows(&counters, Aggregated { opened, closed, unclosed, acts });
        for (process, watched) in &self.watched {
            if let Some(actual) = watched.checks.actual() {
                let of_process = |d: &&LiveDescriptor| d.process == *process;
                let tracked = snapshot.descriptors.iter().filter(of_process).count() as u64;
                let drift = watched.checks.drift();
                snapshot.tables.push(TableCheck { process: *process, actual, tracked, drift });
            }
            if target(&self.skeleton, watched.pid)
                .is_some_and(|t| t.process == process.0 && t.uring != 0)
            {
                snapshot.io_uring.push(*process);
            }
        }
        Ok(snapshot)
    }

    /// The ledger's entries of living descriptors; others are kept for the next of their number.
    pub(super) fn living(
        &self,
    ) -> Result<Vec<(types::descriptor_key, types::descriptor)>, EbpfError> {
        let mut all = entries(&self.skeleton.maps.descriptors, "descriptors")?;
        all.retain(|(_, entry)| state(entry) < Origin::ORIGIN_CLOSED.0);
        Ok(all)
    }

    fn descriptors(&self) -> Result<Vec<LiveDescriptor>, EbpfError> {
        Ok(self
            .living()?
            .into_iter()
            .map(|(key, entry)| {
                let process = ProcessId(key.process);
                let forked = self.watched.get(&process).is_some_and(|w| w.checks.is_forked());
                LiveDescriptor {
                    process,
                    fd: key.fd,
                    stack: stack_id(entry.stack),
                    call: entry.call,
                    mode: entry.mode,
                    born_ns: entry.born_ns,
                    used_ns: entry.used_ns,
                    origin: origin(state(&entry), forked),
                }
            })
            .collect())
    }

    pub(super) fn unclosed_pairs(
        &self,
    ) -> Result<Vec<(types::unclosed_key, types::unclosed)>, EbpfError> {
        entries(&self.skeleton.maps.unclosed_pairs, "unclosed_pairs")
    }

    fn unclosed(&self, now_ns: u64) -> Result<Vec<UnclosedCounters>, EbpfError> {
        let maps = &self.skeleton.maps;
        let mut all: Vec<UnclosedCounters> = self
            .unclosed_pairs()?
            .into_iter()
            .filter(|(_, pair)| pair.count > 0) // else another CPU begins it at this moment
            .map(|(key, pair)| UnclosedCounters {
                process: ProcessId(key.process),
                opened_by: stack_id(key.opened_by),
                dropped_by: stack_id(key.dropped_by),
                by_python: key.python != 0,
                type_name: decode::c_string(&pair.type_name),
                count: pair.count,
                lifetime_ns: pair.lifetime_ns,
                first_ns: pair.first_ns,
                last_ns: pair.last_ns,
            })
            .collect();
        // Warnings whose close was before them wait for the thread's next warning, or its end.
        for (_, warning) in entries::<u32, types::warning>(&maps.warnings, "warnings")? {
            let running = !self.links.is_empty();
            if running && now_ns.saturating_sub(warning.time_ns) < WARNING_AGE_NS {
                continue;
            }
            all.push(UnclosedCounters {
                process: ProcessId(warning.process),
                opened_by: 0,
                dropped_by: stack_id(warning.dropped_by),
                by_python: warning.python != 0,
                type_name: decode::c_string(&warning.type_name),
                count: 1,
                lifetime_ns: 0,
                first_ns: warning.time_ns,
                last_ns: warning.time_ns,
            });
        }
        Ok(all)
    }
}
