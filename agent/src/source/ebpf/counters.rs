//! The kernel side's counters, summed over CPUs.

use std::collections::BTreeMap;

use libbpf_rs::{MapCore, MapFlags};
use pitviper_probes::types::counter as C;

use super::{Ebpf, EbpfError};
use crate::source::{Flow, StackOutcomes};

/// One value a counter.
pub(super) struct Counters(Vec<u64>);

impl Counters {
    pub(super) fn of(&self, counter: C) -> u64 {
        self.0.get(counter.0 as usize).copied().unwrap_or(0)
    }

    fn flow(&self, emitted: C, received: u64, causes: &[(&'static str, C)]) -> Flow {
        let dropped = causes
            .iter()
            .map(|(cause, counter)| (*cause, self.of(*counter)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Flow { emitted: self.of(emitted), received, dropped }
    }

    /// What is counted only where it is lost.
    fn lost(&self, causes: &[(&'static str, C)]) -> Flow {
        let lost = causes.iter().map(|(_, counter)| self.of(*counter)).sum();
        Flow { emitted: lost, ..self.flow(C::COUNTERS, 0, causes) }
    }

    pub(super) fn stacks(&self) -> StackOutcomes {
        StackOutcomes {
            complete: self.of(C::WALK_COMPLETE),
            truncated: self.of(C::WALK_TRUNCATED),
            unreadable: self.of(C::WALK_UNREADABLE),
            no_thread_state: self.of(C::WALK_NO_THREAD_STATE),
        }
    }
}

/// What stands in the aggregates, those of forgotten processes included.
#[derive(Clone, Copy)]
pub(super) struct Aggregated {
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) unclosed: u64,
    pub(super) acts: u64,
}

impl Ebpf {
    pub(super) fn counters(&self) -> Result<Counters, EbpfError> {
        let map = &self.skeleton.maps.counters;
        let sums: Result<Vec<u64>, libbpf_rs::Error> = (0..C::COUNTERS.0)
            .map(|counter| {
                let cpus = map.lookup_percpu(&counter.to_ne_bytes(), MapFlags::ANY)?;
                Ok(cpus
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|cpu| Some(u64::from_ne_bytes(cpu.get(..8)?.try_into().ok()?)))
                    .sum())
            })
            .collect();
        sums.map(Counters).map_err(|cause| EbpfError::Map {
            action: "read",
            map: "counters",
            cause,
        })
    }

    /// What became of each kind of event. What is aggregated (`opened`, `closed`, `unclosed`)
    /// counts as received when it stands in an aggregate, the rest when its event came.
    pub(super) fn flows(
        &self,
        counters: &Counters,
        aggregated: Aggregated,
    ) -> BTreeMap<&'static str, Flow> {
        let Aggregated { opened, closed, unclosed, acts } = aggregated;
        let came = |kind| self.received.get(kind).copied().unwrap_or(0);
        BTreeMap::from([
            (
                "opened",
                counters.flow(
                    C::OPENED_EMITTED,
                    opened,
                    &[
                        ("descriptors_full", C::OPENED_DESCRIPTORS_FULL),
                        ("sites_full", C::OPENED_SITES_FULL),
                    ],
                ),
            ),
            (
                "closed",
                counters.flow(C::CLOSED_EMITTED, closed, &[("birth_unknown", C::CLOSED_UNKNOWN)]),
            ),
            (
                "unclosed",
                counters.flow(
                    C::UNCLOSED_EMITTED,
                    unclosed,
                    &[("pairs_full", C::UNCLOSED_FULL), ("work_space_busy", C::UNCLOSED_BUSY)],
                ),
            ),
            ("act", counters.flow(C::ACT_EMITTED, acts, &[("acts_full", C::ACT_FULL)])),
            (
                "object",
                counters.flow(
                    C::OBJECT_EMITTED,
                    came("object"),
                    &[("ring_full", C::OBJECT_RING_FULL), ("objects_full", C::OBJECT_FULL)],
                ),
            ),
            (
                "task",
                counters.flow(
                    C::TASK_EMITTED,
                    counters.of(C::TASK_NAMED),
                    &[("unreadable", C::TASK_UNREADABLE), ("names_full", C::TASK_NAMES_FULL)],
                ),
            ),
            (
                "code",
                counters.flow(
                    C::CODE_EMITTED,
                    came("code"),
                    &[
                        ("ring_full", C::CODE_RING_FULL),
                        ("codes_full", C::CODE_CODES_FULL),
                        ("unreadable", C::CODE_UNREADABLE),
                    ],
                ),
            ),
            (
                "stack",
                counters.flow(
                    C::STACK_EMITTED,
                    came("stack"),
                    &[("ring_full", C::STACK_RING_FULL), ("sites_full", C::STACK_SITES_FULL)],
                ),
            ),
            (
                "descriptor",
                counters.flow(
                    C::DESCRIPTOR_EMITTED,
                    came("descriptor"),
                    &[("ring_full", C::DESCRIPTOR_RING_FULL)],
                ),
            ),
            (
                "native",
                counters.flow(
                    C::NATIVE_EMITTED,
                    came("native"),
                    &[("ring_full", C::NATIVE_RING_FULL)],
                ),
            ),
            ("mapping", counters.lost(&[("mappings_full", C::MAPPING_FULL)])),
            (
                "entry",
                counters.lost(&[
                    ("children_full", C::CHILD_FULL),
                    ("connecting_full", C::CONNECTING_FULL),
                    ("files_full", C::FILE_FULL),
                    ("threads_full", C::THREADS_FULL),
                    ("waits_full", C::WAIT_FULL),
                ]),
            ),
            ("call", counters.lost(&[("compat", C::COMPAT_CALLS)])),
            (
                "process",
                counters.flow(
                    C::PROCESS_EMITTED,
                    came("process"),
                    &[
                        ("ring_full", C::PROCESS_RING_FULL),
                        ("targets_full", C::PROCESS_TARGETS_FULL),
                    ],
                ),
            ),
        ])
    }
}
