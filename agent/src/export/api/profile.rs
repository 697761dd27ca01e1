//! Weights of stacks at one moment or over a window, and their JSON.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::{Value, json};

use super::View;
use crate::event::ProcessId;
use crate::export::graph::{Graph, Weighed};
use crate::export::steps::{Step, root_first, shown_file};
use crate::export::{Report, flamegraph};
use crate::ledger::{Overflow, ProcessInfo};
use crate::python::Frame;

/// Stacks of one JSON answer; what is lighter is added up as `rest`.
const STACKS: usize = 4_000;

/// Weights of stacks, of one process or of all, and what every format says besides.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What it is of.
    pub graph: Graph,
    /// The stacks.
    pub stacks: Vec<Weighed>,
    /// A report without findings: names, times and sums.
    pub report: Report,
    /// The one process; `None` for all.
    pub process: Option<ProcessId>,
}

/// The weights since each process is watched. `None` when there is no process of that pid.
pub fn cumulative(view: &View<'_>, pid: Option<u32>, graph: Graph) -> Option<Profile> {
    let process = match pid {
        Some(pid) => Some(view.process(pid)?),
        None => None,
    };
    let mut stacks = graph.weights(view.ledger);
    if let Some((id, _)) = process {
        stacks.retain(|weighed| weighed.process == id);
    }
    let now_ns = view.ledger.time_ns();
    let first_ns = process.map_or(view.ledger.first_ns(), |(_, known)| known.history().first_ns());
    let all = || ProcessInfo { executable: "all processes".to_owned(), ..ProcessInfo::default() };
    let known = || view.ledger.processes();
    let report = Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        process: process.map_or_else(all, |(_, known)| known.info.clone()),
        pids: known().map(|(id, known)| (id, known.info.pid)).collect(),
        services: known().map(|(id, known)| (id, known.info.service.clone())).collect(),
        window_ns: (first_ns.unwrap_or(now_ns), now_ns),
        clock: view.clock,
        findings: Vec::new(),
        findings_left_out: 0,
        activity: Vec::new(),
        waits: Vec::new(),
        totals: view.ledger.totals(process.map_or(ProcessId(0), |(id, _)| id)),
        overflow: Overflow::default(),
    };
    Some(Profile { graph, stacks, report, process: process.map(|(id, _)| id) })
}

/// Names a stack over time: its frames, for one without may get them later.
type Key<'a> = (ProcessId, Option<(&'a [Frame], bool)>);

fn key(weighed: &Weighed) -> Key<'_> {
    let stack = weighed.stack.as_ref();
    (weighed.process, stack.map(|stack| (&stack.frames[..], stack.truncated)))
}

impl Profile {
    /// What came after `earlier`, which is of the same graph and processes. What can go down again
    /// (descriptors that are open, bytes that are mapped) counts where there is more than before.
    #[must_use]
    pub fn since(mut self, earlier: &Profile) -> Profile {
        let mut before: HashMap<Key<'_>, Cell<u64>> = HashMap::new();
        for weighed in &earlier.stacks {
            let sum = before.entry(key(weighed)).or_default();
            sum.set(sum.get().saturating_add(weighed.weight));
        }
        for weighed in &mut self.stacks {
            let known = before.get(&key(weighed)).map_or(0, |had| {
                let known = weighed.weight.min(had.get());
                had.set(had.get() - known);
                known
            });
            weighed.weight -= known;
        }
        if self.graph.forgets_stacks() {
            let mut gone: HashMap<ProcessId, u64> = HashMap::new();
            for ((process, stack), left) in before {
                *gone.entry(process).or_default() += if stack.is_some() { left.get() } else { 0 };
            }
            for weighed in self.stacks.iter_mut().filter(|weighed| weighed.stack.is_none()) {
                let moved = gone.get(&weighed.process).copied().unwrap_or(0);
                weighed.weight = weighed.weight.saturating_sub(moved);
            }
        }
        self.stacks.retain(|weighed| weighed.weight > 0);
        self.report.window_ns.0 = earlier.report.window_ns.1;
        self
    }

    /// What it says above the frames of a picture.
    pub fn titles(&self) -> flamegraph::Titles {
        let process = &self.report.process;
        let whose = match self.process {
            Some(_) => format!("process {} ({})", process.pid, process.executable),
            None => "all processes".to_owned(),
        };
        let mut subtitle = format!("{whose}, {:.0} s, {} events lost", self.seconds(), self.lost());
        if let Some(note) = self.graph.note() {
            subtitle = format!("{subtitle}; {note}");
        }
        flamegraph::Titles {
            title: self.graph.title().into(),
            subtitle,
            count_name: self.graph.unit().into(),
        }
    }

    fn seconds(&self) -> f64 {
        super::seconds_between(self.report.window_ns.0, self.report.window_ns.1)
    }

    fn lost(&self) -> u64 {
        self.report.totals.dropped().values().sum()
    }

    /// For the page: frames once each, and stacks as indices of frames.
    pub fn json(&self) -> Value {
        let mut table: HashMap<Step<'_>, usize> = HashMap::new();
        // Interpreters of other versions know other names of the same frame, which may look alike.
        let mut places: HashMap<Place, usize> = HashMap::new();
        let mut sums: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
        for weighed in &self.stacks {
            let steps = root_first(weighed.stack.as_deref()).into_iter().map(|step| {
                *table.entry(step).or_insert_with(|| {
                    let next = places.len();
                    *places.entry(Place::of(step)).or_insert(next)
                })
            });
            let sum = sums.entry(steps.collect()).or_default();
            *sum = sum.saturating_add(weighed.weight);
        }
        let total = sums.values().fold(0u64, |sum, weight| sum.saturating_add(*weight));
        let mut stacks: Vec<(Vec<usize>, u64)> = sums.into_iter().collect();
        stacks.sort_by_key(|(_, weight)| Reverse(*weight));
        let rest = stacks.iter().skip(STACKS).fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
        stacks.truncate(STACKS);
        let frames = used(places, &mut stacks);
        let stacks: Vec<Value> = stacks
            .into_iter()
            .map(|(frames, weight)| json!({ "frames": frames, "weight": weight }))
            .collect();
        let (start_ns, end_ns) = self.report.window_ns;
        let clock = &self.report.clock;
        json!({
            "title": self.graph.title(),
            "unit": self.graph.unit(),
            "note": self.graph.note(),
            "nothing": self.graph.nothing(),
            "pid": self.process.map(|_| self.report.process.pid),
            "window": {
                "start": clock.unix_seconds(start_ns),
                "end": clock.unix_seconds(end_ns),
                "seconds": self.seconds(),
            },
            "events_lost": self.lost(),
            "total": total,
            "rest": rest,
            "frames": frames,
            "stacks": stacks,
        })
    }
}

/// The frames that the stacks have, whose indices become those of the list.
fn used(places: HashMap<Place, usize>, stacks: &mut [(Vec<usize>, u64)]) -> Vec<Place> {
    let mut by_index: HashMap<usize, Place> = places.into_iter().map(|(p, i)| (i, p)).collect();
    let (mut frames, mut places) = (Vec::new(), HashMap::new());
    for index in stacks.iter_mut().flat_map(|(stack, _)| stack) {
        *index = *places.entry(*index).or_insert_with_key(|old| {
            frames.extend(by_index.remove(old));
            frames.len() - 1
        });
    }
    frames
}

/// A frame as it is shown: harmless and bounded.
#[derive(PartialEq, Eq, Hash, Serialize)]
struct Place {
    name: String,
    file: Option<String>,
    line: u32,
}

impl Place {
    fn of(step: Step<'_>) -> Self {
        let frame = step.frame();
        Self {
            name: step.name().into_owned(),
            file: frame.map(|frame| shown_file(&frame.file)),
            line: frame.map_or(0, |frame| frame.line),
        }
    }
}
