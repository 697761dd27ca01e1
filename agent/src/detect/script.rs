//! A deterministic process for tests: a script of opens, uses and closes, played to the ledger and
//! the rules a second at a time, as a source would.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::event::{Object, ObjectId, ProcessId, StackId};
use crate::ledger::{
    Ledger, Limits, MemorySample, ObjectNames, ProcessInfo, SECOND_NS, StackNames,
};
use crate::python::{Frame, Stack};
use crate::source::{
    Act, ActCounters, DescriptorOrigin, Flow, LiveChild, LiveDescriptor, SiteCounters, Snapshot,
    Sums, UnclosedCounters,
};

use super::{Board, Change, Confidence, Finding, Kind, News, Rules};

pub(crate) const PROCESS: ProcessId = ProcessId(1);
/// The attach happens at this second of the monotonic clock.
const ATTACH_S: f64 = 5_000.0;

/// What a line opens, as the syscall's number and `st_mode`.
pub(crate) const FILE: (u16, u16) = (257, 0o100_644);
pub(crate) const SOCKET: (u16, u16) = (41, 0o140_777);
pub(crate) const ACCEPTED: (u16, u16) = (288, 0o140_777);
pub(crate) const PIPE: (u16, u16) = (293, 0o10_600);
pub(crate) const EPOLL: (u16, u16) = (291, 0o600);
pub(crate) const INOTIFY: (u16, u16) = (294, 0o600);

#[derive(Debug, Clone, Copy)]
enum Deed {
    Open { key: usize, stack: StackId, made_by: (u16, u16), origin: DescriptorOrigin },
    Use { key: usize },
    Close { key: usize },
    Lose { kind: &'static str, events: u64 },
    Unclosed { opened_by: StackId, dropped_by: StackId, life_ns: u64, by_python: bool },
    Act { stack: StackId, act: Act, object: ObjectId, sums: Sums, about: About },
    Child(LiveChild),
    Memory(MemorySample),
}

/// The descriptor that an act is about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) call: u16,
    pub(crate) mode: u16,
    pub(crate) made_by: u16,
    pub(crate) flags: u32,
}

/// A process to be. Times are seconds since the attach; negative ones come before it.
#[derive(Default)]
pub(crate) struct Script {
    deeds: Vec<(f64, Deed)>,
    stacks: HashMap<StackId, Arc<Stack>>,
    objects: HashMap<ObjectId, Object>,
    keys: usize,
    pub(crate) limit: Option<u64>,
    pub(crate) io_uring: bool,
}

impl StackNames for Script {
    fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.stacks.get(&id).cloned()
    }
}

impl ObjectNames for Script {
    fn object(&self, id: ObjectId) -> Option<&Object> {
        self.objects.get(&id)
    }
}

pub(crate) fn frame(file: &str, line: u32) -> Frame {
    Frame::new(file, "work", None, line)
}

impl Script {
    /// An empty script, and the line that it will be about.
    pub(crate) fn of_one_line() -> (Self, StackId) {
        let mut script = Self::default();
        let line = script.line(10);
        (script, line)
    }

    /// A stack: places as `file:line`, innermost first.
    pub(crate) fn stack(&mut self, places: &[(&str, u32)]) -> StackId {
        self.frames(places.iter().map(|(file, line)| frame(file, *line)).collect())
    }

    /// A stack of these frames, innermost first.
    pub(crate) fn frames(&mut self, frames: Vec<Frame>) -> StackId {
        let id = self.stacks.len() as StackId + 1;
        self.stacks.insert(id, Arc::new(Stack { frames, ..Stack::default() }));
        id
    }

    /// A line of the user's own code.
    pub(crate) fn line(&mut self, line: u32) -> StackId {
        self.stack(&[("/srv/app.py", line), ("/srv/main.py", 1)])
    }

    pub(crate) fn open(&mut self, at: f64, stack: StackId, made_by: (u16, u16)) -> usize {
        let key = self.keys;
        self.keys += 1;
        let origin = DescriptorOrigin::Traced;
        self.deeds.push((at, Deed::Open { key, stack, made_by, origin }));
        key
    }

    /// Opened before the attach: its line and its call are not known.
    pub(crate) fn found(&mut self, mode: u16) -> usize {
        let key = self.keys;
        self.keys += 1;
        let origin = DescriptorOrigin::BeforeAttach;
        self.deeds.push((0.0, Deed::Open { key, stack: 0, made_by: (0, mode), origin }));
        key
    }

    pub(crate) fn touch(&mut self, at: f64, key: usize) {
        self.deeds.push((at, Deed::Use { key }));
    }

    pub(crate) fn close(&mut self, at: f64, key: usize) {
        self.deeds.push((at, Deed::Close { key }));
    }

    pub(crate) fn lose(&mut self, at: f64, kind: &'static str, events: u64) {
        self.deeds.push((at, Deed::Lose { kind, events }));
    }

    pub(crate) fn unclosed(&mut self, at: f64, opened_by: StackId, dropped_by: StackId) {
        let by_python = false;
        let deed = Deed::Unclosed { opened_by, dropped_by, life_ns: 2_500_000, by_python };
        self.deeds.push((at, deed));
    }

    /// The same, of which a finaliser in Python warned.
    pub(crate) fn warned_by_python(&mut self, at: f64, opened_by: StackId, dropped_by: StackId) {
        let by_python = true;
        let deed = Deed::Unclosed { opened_by, dropped_by, life_ns: 2_500_000, by_python };
        self.deeds.push((at, deed));
    }

    /// Names an object.
    pub(crate) fn object(&mut self, object: Object) -> ObjectId {
        // Apart from those of stacks, as the kernel side's are.
        let id = (1 << 32) + self.objects.len() as ObjectId;
        self.objects.insert(id, object);
        id
    }

    /// A file of this path.
    pub(crate) fn file(&mut self, path: &str) -> ObjectId {
        let inode = self.objects.len() as u64;
        let path = path.as_bytes().to_vec();
        self.object(Object::File { path, inode, device: (8, 1), mode: 0o100_644 })
    }

    /// A command of these words.
    pub(crate) fn command(&mut self, words: &[&str]) -> ObjectId {
        let arguments = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.object(Object::Command { arguments, cut: false })
    }

    /// A peer on 127.0.0.1.
    pub(crate) fn peer(&mut self, port: u16) -> ObjectId {
        let [high, low] = port.to_be_bytes();
        self.object(Object::Peer(vec![2, 0, high, low, 127, 0, 0, 1]))
    }

    pub(crate) fn act(&mut self, at: f64, stack: StackId, act: Act, object: ObjectId, sums: Sums) {
        self.act_about(at, stack, act, object, sums, About::default());
    }

    pub(crate) fn act_about(
        &mut self,
        at: f64,
        stack: StackId,
        act: Act,
        object: ObjectId,
        sums: Sums,
        about: About,
    ) {
        self.deeds.push((at, Deed::Act { stack, act, object, sums, about }));
    }

    /// A process that lives from `born` on; it ends (and is not reaped) when its `ended_ns` is set.
    pub(crate) fn child(&mut self, at: f64, child: LiveChild) {
        self.deeds.push((at, Deed::Child(child)));
    }

    /// Memory, threads and CPU time at a moment; its own time is set.
    pub(crate) fn memory(&mut self, at: f64, sample: MemorySample) {
        self.deeds.push((at, Deed::Memory(sample)));
    }

    /// Opens at a steady rate and never closes.
    pub(crate) fn leak(
        &mut self,
        stack: StackId,
        made_by: (u16, u16),
        from: f64,
        to: f64,
        per_minute: f64,
    ) {
        let gap = 60.0 / per_minute;
        for n in 0.. {
            let at = from + gap * (f64::from(n) + 0.5);
            if at >= to {
                break;
            }
            let key = self.open(at, stack, made_by);
            self.touch(at + 0.001, key);
        }
    }

    /// Plays it for so many seconds, with a look every second.
    pub(crate) fn play(self, seconds: u32) -> Story {
        self.play_with(seconds, 1.0)
    }

    /// The same with another time between looks.
    pub(crate) fn play_with(mut self, seconds: u32, step: f64) -> Story {
        self.deeds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut ledger = Ledger::new(Limits::default());
        let info = ProcessInfo { pid: 4242, descriptor_limit: self.limit, ..Default::default() };
        ledger.process_started(PROCESS, info);
        let rules = Rules::default();
        let mut board = rules.board();
        let mut world = World::default();
        let mut news = Vec::new();
        let mut deeds = self.deeds.iter().peekable();
        let looks = (f64::from(seconds) / step) as u32;
        for look in 0..=looks {
            let at = f64::from(look) * step;
            while let Some((when, deed)) = deeds.next_if(|(when, _)| *when <= at) {
                world.apply(ns(*when), deed);
            }
            let snapshot = world.snapshot(ns(at), self.io_uring);
            ledger.observe(&snapshot, &self);
            ledger.observe_acts(&snapshot, &self, &self);
            if let Some(sample) = world.memory {
                ledger.observe_memory(PROCESS, MemorySample { time_ns: ns(at), ..sample });
            }
            let verdicts = rules.evaluate(&ledger, ns(at));
            news.extend(board.update(verdicts, ns(at)).into_iter().map(|one| (at, one)));
        }
        Story { news, findings: board.findings(), ledger, board }
    }
}

fn ns(seconds: f64) -> u64 {
    ((seconds + ATTACH_S) * SECOND_NS as f64) as u64
}

#[derive(Default)]
struct World {
    open: BTreeMap<usize, LiveDescriptor>,
    sites: BTreeMap<StackId, SiteCounters>,
    flows: BTreeMap<&'static str, Flow>,
    unclosed: BTreeMap<(StackId, StackId), UnclosedCounters>,
    acts: BTreeMap<(StackId, Act, ObjectId), ActCounters>,
    children: BTreeMap<u32, LiveChild>,
    memory: Option<MemorySample>,
}

impl World {
    fn apply(&mut self, time_ns: u64, deed: &Deed) {
        match *deed {
            Deed::Open { key, stack, made_by: (call, mode), origin } => {
                let descriptor = LiveDescriptor {
                    process: PROCESS,
                    fd: key as u32 + 3,
                    stack,
                    call,
                    mode,
                    born_ns: time_ns,
                    used_ns: time_ns,
                    origin,
                };
                self.open.insert(key, descriptor);
                if origin == DescriptorOrigin::Traced {
                    self.site(stack, time_ns).opened += 1;
                }
            }
            Deed::Use { key } => {
                if let Some(descriptor) = self.open.get_mut(&key) {
                    descriptor.used_ns = time_ns;
                }
            }
            Deed::Close { key } => {
                let gone = self.open.remove(&key);
                if let Some(gone) = gone.filter(|gone| gone.origin == DescriptorOrigin::Traced) {
                    self.site(gone.stack, time_ns).closed += 1;
                }
            }
            Deed::Lose { kind, events } => {
                let flow = self.flows.entry(kind).or_default();
                flow.emitted += events;
                *flow.dropped.entry("map_full").or_default() += events;
            }
            Deed::Act { stack, act, object, sums, about } => {
                let counters =
                    self.acts.entry((stack, act, object)).or_insert_with(|| ActCounters {
                        process: PROCESS,
                        stack,
                        act,
                        call: about.call,
                        object,
                        sums: Sums::default(),
                        first_ns: time_ns,
                        last_ns: time_ns,
                        mode: about.mode,
                        made_by: about.made_by,
                        flags: about.flags,
                    });
                counters.sums.add(&sums);
                counters.last_ns = time_ns;
            }
            Deed::Child(child) => {
                let born_ns = self.children.get(&child.pid).map_or(time_ns, |c| c.born_ns);
                let ended_ns = if child.ended_ns == 0 { 0 } else { time_ns };
                self.children.insert(child.pid, LiveChild { born_ns, ended_ns, ..child });
            }
            Deed::Memory(sample) => self.memory = Some(sample),
            Deed::Unclosed { opened_by, dropped_by, life_ns, by_python } => {
                let counters = self.unclosed.entry((opened_by, dropped_by)).or_insert_with(|| {
                    UnclosedCounters {
                        process: PROCESS,
                        opened_by,
                        dropped_by,
                        by_python,
                        type_name: b"_io.TextIOWrapper".to_vec(),
                        count: 0,
                        lifetime_ns: 0,
                        first_ns: time_ns,
                        last_ns: time_ns,
                    }
                });
                counters.count += 1;
                counters.lifetime_ns += life_ns;
                counters.last_ns = time_ns;
            }
        }
    }

    fn site(&mut self, stack: StackId, time_ns: u64) -> &mut SiteCounters {
        let site = self.sites.entry(stack).or_insert(SiteCounters {
            process: PROCESS,
            stack,
            opened: 0,
            closed: 0,
            first_ns: time_ns,
            last_ns: time_ns,
        });
        site.last_ns = time_ns;
        site
    }

    fn snapshot(&self, time_ns: u64, io_uring: bool) -> Snapshot {
        Snapshot {
            time_ns,
            sites: self.sites.values().copied().collect(),
            descriptors: self.open.values().copied().collect(),
            unclosed: self.unclosed.values().cloned().collect(),
            flows: self.flows.clone(),
            acts: self.acts.values().copied().collect(),
            children: self.children.values().copied().collect(),
            io_uring: if io_uring { vec![PROCESS] } else { Vec::new() },
            ..Snapshot::default()
        }
    }
}

/// What the rules made of a script.
pub(crate) struct Story {
    pub(crate) news: Vec<(f64, News)>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) ledger: Ledger,
    pub(crate) board: Board,
}

impl Story {
    /// Seconds after the attach at which a finding of this kind was first confirmed.
    pub(crate) fn confirmed_at(&self, kind: Kind) -> Option<f64> {
        self.news
            .iter()
            .find(|(_, one)| {
                one.finding.kind == kind
                    && one.finding.confidence == Confidence::Confirmed
                    && one.change != Change::Withdrawn
            })
            .map(|(at, _)| *at)
    }

    /// The changes of findings of this kind, in order.
    pub(crate) fn changes(&self, kind: Kind) -> Vec<Change> {
        let of_kind = self.news.iter().filter(|(_, one)| one.finding.kind == kind);
        of_kind.map(|(_, one)| one.change).collect()
    }

    /// The findings of this kind that stand at the end.
    pub(crate) fn of(&self, kind: Kind) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.kind == kind).collect()
    }
}
