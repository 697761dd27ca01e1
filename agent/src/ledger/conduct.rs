//! What each line does: acts booked on the responsible line, with what they were about, over time.
//!
//! A [`Conduct`] is one sort of act of one line: all reads at `cache.py:40`, say, by file. The sums
//! are those since the attach; [`Conduct::window`] tells what came within the last seconds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::event::{Object, ObjectId, ProcessId, StackId};
use crate::python::{Frame, Stack};
use crate::source::{Act, ActCounters, LiveChild, Snapshot, Sums, WaitHistogram};

use super::stacks::StackNames;
use super::{Ledger, Owner, SECOND_NS};

/// How far back a window goes, in observations of about a second.
const WINDOW: usize = 128;

/// Objects that a conduct tells apart; what is less is summed as 0.
const OBJECTS: usize = 1_024;

/// Where objects are known by name.
pub trait ObjectNames {
    /// The object, if its description has come by now.
    fn object(&self, id: ObjectId) -> Option<&Object>;
}

/// What one line did with one object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deed {
    /// The sums.
    pub sums: Sums,
    /// Monotonic nanoseconds of the first.
    pub first_ns: u64,
    /// Monotonic nanoseconds of the last.
    pub last_ns: u64,
    /// The syscall's number, of waits.
    pub call: u16,
    /// `st_mode` of the descriptor that it was about; 0 when unknown.
    pub mode: u16,
    /// The syscall that made that descriptor; 0 when unknown.
    pub made_by: u16,
    /// See [`ActCounters::flags`].
    pub flags: u32,
}

impl Deed {
    fn add(&mut self, counters: &ActCounters) {
        let first = self.sums.count == 0;
        self.sums.add(&counters.sums);
        self.first_ns =
            if first { counters.first_ns } else { self.first_ns.min(counters.first_ns) };
        if counters.last_ns >= self.last_ns {
            self.last_ns = counters.last_ns;
            self.call = counters.call;
            self.mode = counters.mode;
            self.made_by = counters.made_by;
            self.flags = counters.flags;
        }
    }
}

/// Acts of one sort at one line.
#[derive(Debug, Clone)]
pub struct Conduct {
    /// The process.
    pub process: ProcessId,
    /// What is done.
    pub act: Act,
    /// The responsible line; `None` when there is no stack to take one from.
    pub site: Option<Frame>,
    /// Whose line it is.
    pub owner: Owner,
    /// The stack that did the most of it.
    pub stack: Option<Arc<Stack>>,
    /// All of it, the acts of children's children included.
    pub total: Deed,
    /// By what it was about.
    pub objects: BTreeMap<ObjectId, Deed>,
    /// Distinct objects that were summed as 0 because there were too many.
    pub others: u64,
    busiest: u64,
    /// The sums whenever they changed.
    window: VecDeque<(u64, Sums)>,
    /// It was dropped while it rested: what came before is no news.
    resumed: bool,
}

impl Conduct {
    fn new(process: ProcessId, act: Act, site: Option<Frame>, owner: Owner) -> Self {
        Self {
            process,
            act,
            site,
            owner,
            stack: None,
            total: Deed::default(),
            objects: BTreeMap::new(),
            others: 0,
            busiest: 0,
            window: VecDeque::new(),
            resumed: false,
        }
    }

    /// Notes the sums, if they have changed, and drops what no window reaches back to.
    fn settle(&mut self, now_ns: u64) {
        let Some((_, newest)) = self.window.back() else {
            self.resumed = rests(self.total.first_ns, now_ns);
            self.window.push_back((now_ns, self.total.sums));
            return;
        };
        // Stacks that are forgotten take their sums with them: of all times.
        if newest.count > self.total.sums.count {
            let gone = newest.since(&self.total.sums);
            self.window.iter_mut().for_each(|(_, sums)| *sums = sums.since(&gone));
        }
        if self.window.back().is_none_or(|(_, sums)| *sums != self.total.sums) {
            self.window.push_back((now_ns, self.total.sums));
        }
        let reach_ns = now_ns.saturating_sub(WINDOW as u64 * SECOND_NS);
        while self.window.len() > WINDOW || self.window.get(1).is_some_and(|(t, _)| *t <= reach_ns)
        {
            self.window.pop_front();
        }
        if self.window.capacity() > 4 * self.window.len().max(4) {
            self.window.shrink_to_fit();
        }
    }

    /// What was done within the last `span_ns`, and the time that this really covers (less, when
    /// the first was later than that). At most about two minutes back.
    pub fn window(&self, now_ns: u64, span_ns: u64) -> (Sums, u64) {
        let from = now_ns.saturating_sub(span_ns);
        let before = self.window.iter().rev().find(|(time, _)| *time <= from);
        match before.or(self.window.front()) {
            // All of it is younger than the window.
            Some((time, _)) if *time > from && self.window.len() < WINDOW && !self.resumed => {
                (self.total.sums, now_ns.saturating_sub(self.total.first_ns).min(span_ns))
            }
            Some((time, sums)) => {
                (self.total.sums.since(sums), now_ns.saturating_sub(*time.max(&from)))
            }
            None => (self.total.sums, now_ns.saturating_sub(self.total.first_ns).min(span_ns)),
        }
    }

    /// By what it was about, of those that are told apart: 0 is what was not about anything, or what
    /// has been summed up.
    pub fn known_objects(&self) -> impl Iterator<Item = (ObjectId, &Deed)> {
        self.objects.iter().filter(|(id, _)| **id != 0).map(|(id, deed)| (*id, deed))
    }

    /// How often a minute, over the last `span_ns` (or since the first, but at least 5 s).
    pub fn per_minute(&self, now_ns: u64, span_ns: u64) -> f64 {
        let (sums, covered) = self.window(now_ns, span_ns);
        sums.count as f64 * 60.0 * SECOND_NS as f64 / covered.max(5 * SECOND_NS) as f64
    }

    /// The innermost frame of all.
    pub fn origin(&self) -> Option<&Frame> {
        self.stack.as_ref()?.frames.first()
    }

    /// Nanoseconds from the first to the last.
    pub fn span_ns(&self) -> u64 {
        self.total.last_ns.saturating_sub(self.total.first_ns)
    }
}

/// Whether something is longer ago than any window reaches.
fn rests(last_ns: u64, now_ns: u64) -> bool {
    now_ns.saturating_sub(last_ns) > WINDOW as u64 * SECOND_NS
}

type ConductKey = (ProcessId, Act, Option<Frame>);

/// All conducts, and the newest of what is told as it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct ConductBook {
    conducts: Vec<Conduct>,
    index: HashMap<ConductKey, usize>,
    by_stack: HashMap<(ProcessId, StackId, Act), usize>,
    objects: HashMap<ObjectId, Object>,
    children: Vec<LiveChild>,
    waits: Vec<WaitHistogram>,
    acts: Vec<ActCounters>,
    left_out: u64,
}

impl ConductBook {
    /// Replaces the acts of processes that the source still knows; what others did stays, as far as
    /// there is room.
    fn take_in(&mut self, acts: &[ActCounters], room: usize) {
        let known: BTreeSet<ProcessId> = acts.iter().map(|act| act.process).collect();
        self.acts.retain(|past| !known.contains(&past.process));
        self.acts.truncate(room);
        self.acts.extend_from_slice(acts);
    }

    /// Forgets what a process did.
    pub(super) fn forget_acts(&mut self, process: ProcessId) {
        self.acts.retain(|act| act.process != process);
    }

    /// Forgets what such stacks are booked on.
    pub(super) fn forget_stacks(&mut self, stacks: &[(ProcessId, StackId)]) {
        if !stacks.is_empty() {
            let gone: HashSet<_> = stacks.iter().collect();
            self.by_stack.retain(|(process, stack, _), _| !gone.contains(&(*process, *stack)));
        }
    }

    /// Drops the conducts that are not to be kept.
    fn keep(&mut self, keep: impl Fn(&Conduct) -> bool) {
        self.conducts.retain(keep);
        self.by_stack.clear();
        let key = |(index, of): (usize, &Conduct)| ((of.process, of.act, of.site.clone()), index);
        self.index = self.conducts.iter().enumerate().map(key).collect();
    }

    /// Drops the names of objects that nothing is about any more, when there are too many.
    fn make_room_for_objects(&mut self, limit: usize) {
        if self.objects.len() >= limit {
            let used = self.objects_in_use();
            self.objects.retain(|id, _| used.contains(id));
        }
    }

    /// What acts and children are about.
    fn objects_in_use(&self) -> HashSet<ObjectId> {
        let acts = self.acts.iter().map(|act| act.object);
        acts.chain(self.children.iter().map(|child| child.command)).collect()
    }
}

impl Ledger {
    /// Takes in what was done, after [`Ledger::observe`] of the same snapshot.
    pub fn observe_acts(
        &mut self,
        snapshot: &Snapshot,
        names: &dyn StackNames,
        objects: &dyn ObjectNames,
    ) {
        let mut book = std::mem::take(&mut self.conducts);
        book.children.clone_from(&snapshot.children);
        book.waits.clone_from(&snapshot.waits);
        book.take_in(&snapshot.acts, self.limits.stacks);
        book.make_room_for_objects(self.limits.objects);
        if book.conducts.len() >= self.limits.conducts {
            book.keep(|conduct| !rests(conduct.total.last_ns, snapshot.time_ns));
        }
        for conduct in &mut book.conducts {
            conduct.total = Deed::default();
            conduct.objects.clear();
            conduct.others = 0;
            conduct.busiest = 0;
        }
        // What rests comes last: it only gets a conduct where there is room left over.
        let (resting, active): (Vec<_>, Vec<_>) =
            snapshot.acts.iter().partition(|act| rests(act.last_ns, snapshot.time_ns));
        for counters in active.into_iter().chain(resting) {
            let Some(index) = self.conduct_of(&mut book, counters, names) else {
                book.left_out += u64::from(!rests(counters.last_ns, snapshot.time_ns));
                continue;
            };
            let conduct = &mut book.conducts[index];
            conduct.total.add(counters);
            let weight = counters.sums.count.max(counters.sums.ns).max(counters.sums.bytes);
            if weight > conduct.busiest || conduct.stack.is_none() {
                conduct.busiest = weight;
                if let Some(stack) = self.stack(counters.process, counters.stack) {
                    conduct.stack = Some(Arc::clone(stack));
                }
            }
            let full = conduct.objects.len() >= OBJECTS;
            let object = if full && !conduct.objects.contains_key(&counters.object) {
                conduct.others += 1;
                0
            } else {
                counters.object
            };
            conduct.objects.entry(object).or_default().add(counters);
            if object == 0 || book.objects.contains_key(&object) {
                continue;
            }
            if let Some(known) = objects.object(object) {
                if book.objects.len() < self.limits.objects {
                    book.objects.insert(object, known.clone());
                }
            } else if counters.act == Act::Stall {
                // The stack of the loop's selector, which may have done nothing else.
                self.stack_entry(counters.process, object, names);
            }
        }
        for conduct in &mut book.conducts {
            conduct.settle(snapshot.time_ns);
        }
        self.conducts = book;
    }

    /// The conduct that a counter is booked on; `None` while its stack has no frames yet, or when
    /// there is no room.
    fn conduct_of(
        &mut self,
        book: &mut ConductBook,
        counters: &ActCounters,
        names: &dyn StackNames,
    ) -> Option<usize> {
        let by_stack = (counters.process, counters.stack, counters.act);
        if let Some(index) = book.by_stack.get(&by_stack) {
            return Some(*index);
        }
        let entry = self.stack_entry(counters.process, counters.stack, names)?;
        let (site, owner) = entry.line()?;
        let (site, owner, resolved) = (site.cloned(), owner, entry.stack.is_some());
        let key = (counters.process, counters.act, site.clone());
        let index = match book.index.get(&key) {
            Some(index) => *index,
            None if book.conducts.len() >= self.limits.conducts => return None,
            // What rests would only take the place of what does not.
            None if book.conducts.len() >= self.limits.conducts / 4 * 3
                && rests(counters.last_ns, self.time_ns) =>
            {
                return None;
            }
            None => {
                book.conducts.push(Conduct::new(counters.process, counters.act, site, owner));
                book.index.insert(key, book.conducts.len() - 1);
                book.conducts.len() - 1
            }
        };
        if (resolved || counters.stack == 0) && book.by_stack.len() < self.limits.stacks {
            book.by_stack.insert(by_stack, index);
        }
        Some(index)
    }

    /// Forgets the conducts of a process.
    pub(super) fn forget_conducts(&mut self, process: ProcessId) {
        self.conducts.keep(|conduct| conduct.process != process);
    }

    /// What each line does.
    pub fn conducts(&self) -> impl Iterator<Item = &Conduct> {
        self.conducts.conducts.iter().filter(|conduct| conduct.total.sums.count > 0)
    }

    /// What lines do of one sort.
    pub fn conducts_of(&self, act: Act) -> impl Iterator<Item = &Conduct> {
        self.conducts().filter(move |conduct| conduct.act == act)
    }

    /// What an act was about.
    pub fn object(&self, id: ObjectId) -> Option<&Object> {
        self.conducts.objects.get(&id)
    }

    /// Processes that traced ones made and nobody has reaped.
    pub fn children(&self) -> &[LiveChild] {
        &self.conducts.children
    }

    /// How long calls took, by process and class.
    pub fn waits(&self) -> &[WaitHistogram] {
        &self.conducts.waits
    }

    /// Acts as the newest snapshot has them, by stack, and before them those of processes that it
    /// has no more: for flame graphs.
    pub fn acts(&self) -> &[ActCounters] {
        &self.conducts.acts
    }

    /// Records that did not fit, counted anew with each observation.
    pub fn acts_left_out(&self) -> u64 {
        self.conducts.left_out
    }

    /// What acts and children are about.
    pub fn objects_in_use(&self) -> HashSet<ObjectId> {
        self.conducts.objects_in_use()
    }

    /// The line that a stack is booked on.
    pub fn site_of(&self, process: ProcessId, stack: StackId) -> Option<&Frame> {
        self.stacks.entries.get(&(process, stack))?.line()?.0
    }
}
