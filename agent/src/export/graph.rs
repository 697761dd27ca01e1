//! What flame graphs are of: how much each stack weighs in them, and what they say of themselves.
//!
//! Where the native frames above a Python frame are known, they stand there; what they do is
//! booked on the Python line that called them in any case.

use std::sync::Arc;

use crate::event::ProcessId;
use crate::ledger::Ledger;
use crate::python::Stack;
use crate::source::{Act, ActCounters, Mapped, WaitClass};

/// What a flame graph is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// Descriptors that were opened.
    Opened,
    /// Of those, the ones that are open.
    Alive,
    /// Processes that were started, by the line or by those that it started.
    Spawns,
    /// Connections that were begun.
    Connections,
    /// Time in slow calls.
    Blocking {
        /// The waits of event loops for their next event count too.
        loops: bool,
    },
    /// Time off the CPU, in calls and outside of them.
    OffCpu,
    /// Samples on the CPU.
    OnCpu,
    /// Bytes that were mapped.
    Mapped,
    /// Of those, the ones that are mapped still.
    MappedAlive,
    /// Bytes that were read from files.
    Read,
    /// Bytes that were written to files.
    Written,
}

/// A stack of a process and what it weighs: what every format of a graph is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// The process.
    pub process: ProcessId,
    /// The stack; `None` where there are no frames.
    pub stack: Option<Arc<Stack>>,
    /// In the graph's unit.
    pub weight: u64,
}

impl Graph {
    /// Whether the source forgets stacks of it that rest, when room is short: what they weigh is then
    /// that of no stack.
    pub fn forgets_stacks(self) -> bool {
        matches!(self, Graph::OnCpu | Graph::OffCpu)
    }

    /// The headline.
    pub fn title(self) -> &'static str {
        match self {
            Self::Opened => "Descriptors opened, by Python line",
            Self::Alive => "Descriptors opened and still open, by Python line",
            Self::Spawns => "Processes started, by Python line",
            Self::Connections => "Connections begun, by Python line",
            Self::Blocking { .. } => "Time in blocking calls, by Python line",
            Self::OffCpu => "Time off the CPU, by Python line",
            Self::OnCpu => "Time on the CPU, by Python line",
            Self::Mapped => "Bytes mapped, by Python line",
            Self::MappedAlive => "Bytes mapped and still mapped, by Python line",
            Self::Read => "Bytes read from files, by Python line",
            Self::Written => "Bytes written to files, by Python line",
        }
    }

    /// The unit of the weights.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Opened | Self::Alive => "descriptors",
            Self::Spawns => "processes",
            Self::Connections => "connections",
            Self::Blocking { .. } | Self::OffCpu => "µs",
            Self::OnCpu => "samples",
            Self::Mapped | Self::MappedAlive | Self::Read | Self::Written => "bytes",
        }
    }

    /// What counts, where the title does not say it all.
    pub fn note(self) -> Option<&'static str> {
        Some(match self {
            Self::Opened | Self::Alive => return None,
            Self::Spawns => "what these start in their turn counts for the line too",
            Self::Connections => "failed ones too",
            Self::Blocking { loops: false } => {
                "calls of 10 ms and more and waits that ran out, sleeps and locks too, but not \
                 event loops that wait for events"
            }
            Self::Blocking { loops: true } => {
                "calls of 10 ms and more and waits that ran out, sleeps, locks and idle event \
                 loops too"
            }
            Self::OffCpu => {
                "calls of 10 ms and more, idle event loops too, and what the scheduler saw \
                 outside of calls"
            }
            Self::OnCpu => "99 samples a second on each processor",
            Self::Mapped | Self::MappedAlive => {
                "address space that can be used, whether resident or not"
            }
            Self::Read | Self::Written => "regular files only",
        })
    }

    /// What to say when no stack has any weight.
    pub fn nothing(self) -> &'static str {
        match self {
            Self::Opened => "nothing was opened",
            Self::Alive => "nothing that was opened is still open",
            Self::Spawns => "no process was started",
            Self::Connections => "no connection was begun",
            Self::Blocking { .. } => "no call blocked",
            Self::OffCpu => "no thread was seen off the CPU",
            Self::OnCpu => "no sample met Python on the CPU",
            Self::Mapped => "nothing was mapped",
            Self::MappedAlive => "nothing that was mapped is still mapped",
            Self::Read => "no file was read",
            Self::Written => "no file was written",
        }
    }

    /// The name of its file among others.
    pub fn file_stem(self) -> &'static str {
        match self {
            Self::Opened => "descriptors-opened",
            Self::Alive => "descriptors-alive",
            Self::Spawns => "spawns",
            Self::Connections => "connections",
            Self::Blocking { .. } => "blocking",
            Self::OffCpu => "off-cpu",
            Self::OnCpu => "on-cpu",
            Self::Mapped => "mapped-all",
            Self::MappedAlive => "mapped",
            Self::Read => "read",
            Self::Written => "written",
        }
    }

    /// Every stack's weight; stacks without any are left out.
    pub fn weights(self, ledger: &Ledger) -> Vec<Weighed> {
        let mut weights = match self {
            Self::Opened | Self::Alive => self.of_descriptors(ledger),
            Self::MappedAlive => still_mapped(ledger),
            _ => {
                let acts = ledger.acts().iter();
                acts.flat_map(|act| weighed(ledger, act, self.weight(act))).collect()
            }
        };
        weights.retain(|weighed| weighed.weight > 0);
        weights
    }

    fn of_descriptors(self, ledger: &Ledger) -> Vec<Weighed> {
        let weighed = ledger.all_stacks().map(|(process, totals)| Weighed {
            process,
            stack: totals
                .stack
                .map(|stack| stack.with_native(stack.natives.of_descriptors(|_| true))),
            weight: if self == Self::Alive { totals.alive } else { totals.opened },
        });
        weighed.collect()
    }

    fn weight(self, counters: &ActCounters) -> u64 {
        let sums = &counters.sums;
        match (self, counters.act) {
            (Self::Blocking { loops: false }, Act::Wait(WaitClass::Epoll)) => 0,
            (Self::Blocking { .. } | Self::OffCpu, Act::Wait(_)) => sums.ns / 1_000,
            (Self::OffCpu, Act::OffCpu) => sums.ns / 1_000,
            (Self::Spawns, Act::Spawn)
            | (Self::Connections, Act::Connect)
            | (Self::OnCpu, Act::OnCpu) => sums.count,
            (Self::Mapped, Act::Map(mapped)) if mapped != Mapped::Reserved => sums.bytes,
            (Self::Read, Act::Read) | (Self::Written, Act::Write) => sums.bytes,
            _ => 0,
        }
    }
}

/// The stack of an act with its native frames. Samples on the CPU met different ones: each has its
/// share, and what is known of none goes to the Python frames alone.
fn weighed(ledger: &Ledger, counters: &ActCounters, weight: u64) -> Vec<Weighed> {
    let of = |stack, weight| Weighed { process: counters.process, stack, weight };
    let Some(stack) = ledger.stack(counters.process, counters.stack).filter(|_| weight > 0) else {
        return vec![of(None, weight)];
    };
    let native = match counters.act {
        Act::OnCpu => None,
        Act::Wait(_) => stack.natives.of_call(counters.call),
        act => stack.natives.of_act(act),
    };
    let mut left = weight;
    let mut parts = Vec::new();
    if counters.act == Act::OnCpu {
        for (native, samples) in stack.natives.samples() {
            let part = samples.min(left);
            left -= part;
            parts.push(of(Some(stack.with_native(Some(native))), part));
        }
    }
    parts.push(of(Some(stack.with_native(native)), left));
    parts
}

/// What was mapped less what was unmapped of it. The heap shrinks at its end, whoever made it grow:
/// what is left of its growth is shared out among those that did.
fn still_mapped(ledger: &Ledger) -> Vec<Weighed> {
    use std::collections::BTreeMap;

    let mut lines = BTreeMap::new();
    let mut heaps: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for act in ledger.acts() {
        let (mapped, came) = match act.act {
            Act::Map(mapped) => (mapped, true),
            Act::Unmap(mapped) => (mapped, false),
            _ => continue,
        };
        if mapped == Mapped::Reserved {
            continue;
        }
        let heap = mapped == Mapped::Heap;
        if heap {
            let (grown, shrunk) = heaps.entry(act.process).or_default();
            *(if came { grown } else { shrunk }) += act.sums.bytes;
        }
        let line = lines.entry((act.process, act.stack)).or_insert((act, 0u64, 0u64, 0u64));
        let sum = match (heap, came) {
            (true, true) => &mut line.3,
            (true, false) => continue,
            (false, true) => &mut line.1,
            (false, false) => &mut line.2,
        };
        *sum += act.sums.bytes;
    }
    let left = |process| {
        let (grown, shrunk) = heaps.get(&process).copied().unwrap_or_default();
        if grown == 0 { 0.0 } else { grown.saturating_sub(shrunk) as f64 / grown as f64 }
    };
    let lines = lines.into_values().flat_map(|(act, mapped, unmapped, heap)| {
        let heap = (heap as f64 * left(act.process)) as u64;
        weighed(ledger, act, mapped.saturating_sub(unmapped) + heap)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Object, ObjectId, StackId};
    use crate::export::folded;
    use crate::ledger::{Limits, ObjectNames, StackNames};
    use crate::python::Frame;
    use crate::source::{Snapshot, Sums};

    /// Stack `n` is line `n` of the application; no object has a name.
    struct Names;

    impl StackNames for Names {
        fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
            let frame = Frame::new("/srv/app.py", "f", None, id as u32);
            Some(Arc::new(Stack { frames: vec![frame], ..Stack::default() }))
        }
    }

    impl ObjectNames for Names {
        fn object(&self, _id: ObjectId) -> Option<&Object> {
            None
        }
    }

    fn act(stack: StackId, act: Act, count: u64, bytes: u64, ns: u64) -> ActCounters {
        ActCounters {
            process: ProcessId(1),
            stack,
            act,
            call: 0,
            object: 0,
            sums: Sums { count, bytes, ns, ..Sums::default() },
            first_ns: 1,
            last_ns: 2,
            mode: 0,
            made_by: 0,
            flags: 0,
        }
    }

    fn drawn(graph: Graph, acts: &[ActCounters]) -> Vec<String> {
        let mut ledger = Ledger::new(Limits::default());
        let snapshot = Snapshot { time_ns: 1, acts: acts.to_vec(), ..Snapshot::default() };
        ledger.observe(&snapshot, &Names);
        ledger.observe_acts(&snapshot, &Names, &Names);
        let weights = graph.weights(&ledger);
        folded::lines(weights.iter().map(|w| (w.stack.as_deref(), w.weight)))
    }

    /// Exercise each sort over acts of every sort: it takes its own and nothing else.
    #[test]
    fn each_sort_takes_its_own() {
        let acts = [
            act(1, Act::Spawn, 3, 0, 0),
            act(2, Act::Connect, 4, 0, 70_000),
            act(3, Act::Wait(WaitClass::Sleep), 1, 0, 20_000_000),
            act(4, Act::Wait(WaitClass::Epoll), 1, 0, 30_000_000),
            act(5, Act::OffCpu, 1, 0, 5_000),
            act(6, Act::OnCpu, 42, 0, 0),
            act(7, Act::Read, 2, 100, 9),
            act(8, Act::Write, 2, 200, 9),
            act(9, Act::Map(Mapped::Anonymous), 1, 4_096, 0),
            act(10, Act::Map(Mapped::Reserved), 1, 1 << 40, 0),
            act(11, Act::Stall, 9, 9, 9),
        ];
        let line = |number: u64, weight: u64| format!("f (app.py:{number}) {weight}");
        for (graph, lines) in [
            (Graph::Spawns, vec![line(1, 3)]),
            (Graph::Connections, vec![line(2, 4)]),
            (Graph::Blocking { loops: false }, vec![line(3, 20_000)]),
            (Graph::Blocking { loops: true }, vec![line(3, 20_000), line(4, 30_000)]),
            (Graph::OffCpu, vec![line(3, 20_000), line(4, 30_000), line(5, 5)]),
            (Graph::OnCpu, vec![line(6, 42)]),
            (Graph::Read, vec![line(7, 100)]),
            (Graph::Written, vec![line(8, 200)]),
            (Graph::Mapped, vec![line(9, 4_096)]),
            (Graph::MappedAlive, vec![line(9, 4_096)]),
            (Graph::Opened, vec![]),
        ] {
            assert_eq!(drawn(graph, &acts), lines, "{graph:?}");
        }
    }

    /// Exercise what is unmapped again: by the line that had mapped it, and of the heap by another.
    #[test]
    fn what_is_unmapped_is_gone() {
        let acts = [
            act(1, Act::Map(Mapped::Anonymous), 2, 8_192, 0),
            act(1, Act::Unmap(Mapped::Anonymous), 1, 4_096, 0),
            act(2, Act::Map(Mapped::File), 1, 4_096, 0),
            act(2, Act::Unmap(Mapped::File), 1, 4_096, 0),
            act(0, Act::Unmap(Mapped::Reserved), 1, 1 << 30, 0),
            act(3, Act::Map(Mapped::Heap), 3, 300, 0),
            act(4, Act::Map(Mapped::Heap), 1, 100, 0),
            act(5, Act::Unmap(Mapped::Heap), 1, 200, 0),
        ];
        assert_eq!(
            drawn(Graph::MappedAlive, &acts),
            ["f (app.py:1) 4096", "f (app.py:3) 150", "f (app.py:4) 50"]
        );
        assert_eq!(
            drawn(Graph::Mapped, &acts),
            ["f (app.py:1) 8192", "f (app.py:2) 4096", "f (app.py:3) 300", "f (app.py:4) 100"]
        );
    }

    /// Exercise children that ended: what they did stays in the picture.
    #[test]
    fn ended_processes_stay() {
        let mut ledger = Ledger::new(Limits::default());
        let child = ActCounters { process: ProcessId(2), ..act(1, Act::Spawn, 3, 0, 0) };
        let own = act(2, Act::Spawn, 1, 0, 0);
        for (time_ns, acts) in [(1, vec![child, own]), (2, vec![own]), (3, vec![own])] {
            let snapshot = Snapshot { time_ns, acts, ..Snapshot::default() };
            ledger.observe(&snapshot, &Names);
            ledger.observe_acts(&snapshot, &Names, &Names);
        }
        let mut weights: Vec<u64> =
            Graph::Spawns.weights(&ledger).into_iter().map(|w| w.weight).collect();
        weights.sort_unstable();
        assert_eq!(weights, [1, 3]);
    }
}
