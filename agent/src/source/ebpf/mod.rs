//! The eBPF source: the only place that touches the loader.
//!
//! The kernel side (`pitviper-probes`) keeps the ledger; this side loads it, tells it which
//! processes to watch and how their interpreter is laid out, and reads what it has gathered.

mod acts;
mod calls;
mod counters;
mod decode;
mod detacher;
mod empty_pair;
mod entries;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod kernel;
mod layout;
mod load;
mod reconcile;
mod room;
mod running;
mod sampler;
mod tables;
mod tasks;
mod uprobes;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use libbpf_rs::{MapCore, MapFlags, RingBuffer};
use pitviper_probes::{PitviperSkel, types};

pub use calls::{
    classes as call_classes, makes as call_makes, name as call_name, wait_of as call_wait,
};
pub use decode::event as decode;
pub use empty_pair::EmptyPair;
pub use error::EbpfError;
pub use kernel::{has_uprobe_links, release as kernel_release};
pub use layout::of as walker_layout;
pub use load::{Native, Options};

use crate::event::{CodeRecord, Event, ProcessEventKind, ProcessId, StackId};
use crate::python::Interpreter;
use crate::source::{Snapshot, Source};
use reconcile::Pass;

/// Numbers that the agent gives have these bits set; those that the kernel side gives (to followed
/// children, to address spaces after an exec) never have all of them.
const AGENT_NUMBER: u32 = 0xfff;

/// Ids of stacks have the highest bit set; a smaller one is the process itself, which collects
/// what has no stack.
fn stack_id(raw: u64) -> StackId {
    if raw >> 63 == 1 { raw } else { 0 }
}

/// The loaded probes.
pub struct Ebpf {
    skeleton: PitviperSkel<'static>,
    links: Vec<libbpf_rs::Link>,
    uprobes: uprobes::Uprobes,
    ring: RingBuffer<'static>,
    inbox: Rc<RefCell<Vec<Event>>>,
    received: BTreeMap<&'static str, u64>,
    watched: BTreeMap<ProcessId, Watched>,
    next_number: u32,
    pass: u32,
    follow: bool,
    faults: Faults,
    buried: Buried,
    folded: room::Folded,
    missing: Vec<String>,
}

/// Whether the page faults are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Faults {
    /// Nobody asks for them, or they are refused.
    Unseen,
    /// From the first process on that needs it: each fault of the machine pays for it.
    WhenNeeded,
    Sampled,
}

/// What processes did that are forgotten.
#[derive(Default)]
struct Buried {
    opened: u64,
    closed: u64,
    unclosed: u64,
    acts: u64,
}

/// A process that is watched.
struct Watched {
    pid: u32,
    /// Its address spaces, one more after each exec.
    spaces: Vec<u32>,
    /// The iterator over its table; `None` once it ended.
    table: Option<reconcile::Table>,
    checks: reconcile::Checks,
}

/// What the kernel side keeps of a watched process.
fn target(skeleton: &PitviperSkel<'static>, pid: u32) -> Option<types::target> {
    let found = skeleton.maps.targets.lookup(&pid.to_ne_bytes(), MapFlags::ANY);
    found.ok().flatten().map(|value| decode::read(&value))
}

impl Ebpf {
    /// Loads the probes into the kernel. Nothing is watched yet.
    pub fn load(options: &Options) -> Result<Self, EbpfError> {
        let inbox = Rc::new(RefCell::new(Vec::new()));
        let (skeleton, ring) = load::load(options, Rc::clone(&inbox))?;
        let mut links = load::attach(&skeleton, options)?;
        let mut missing = Vec::new();
        match sampler::clock(&skeleton, if options.descriptors_only { 0 } else { options.samples })
        {
            Ok(samplers) => links.extend(samplers),
            Err(why) => missing.push(why),
        }
        if options.native != Native::Off && !kernel::has_user_registers() {
            missing.push("no native frames: they take Linux 5.15".to_owned());
        }
        Ok(Self {
            skeleton,
            links,
            uprobes: uprobes::Uprobes::default(),
            ring,
            inbox,
            received: BTreeMap::new(),
            watched: BTreeMap::new(),
            next_number: 0,
            pass: 0,
            follow: options.follow_children,
            faults: if options.descriptors_only || options.trace || options.samples == 0 {
                Faults::Unseen
            } else {
                Faults::WhenNeeded
            },
            buried: Buried::default(),
            folded: room::Folded::default(),
            missing,
        })
    }

    /// What this kernel and these capabilities do not allow, one sentence each.
    pub fn missing(&self) -> impl Iterator<Item = &String> {
        self.missing.iter().chain(self.uprobes.missing())
    }

    fn number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number << 12 | AGENT_NUMBER
    }

    fn arm(&mut self, pid: u32, target: &types::target) -> Result<(), EbpfError> {
        self.skeleton
            .maps
            .targets
            .update(&pid.to_ne_bytes(), decode::bytes(target), MapFlags::ANY)
            .map_err(|cause| EbpfError::Map { action: "write", map: "targets", cause })
    }

    fn enter(
        &mut self,
        process: ProcessId,
        pid: u32,
        interpreter: &Interpreter,
    ) -> Result<(), EbpfError> {
        let owner = (!self.follow).then_some(pid);
        self.uprobes.attach(&self.skeleton, process, owner, interpreter)?;
        tables::enter_process(&self.skeleton, process)?;
        let table = Some(reconcile::Table::open(&self.skeleton, pid)?);
        let checks = reconcile::Checks::default();
        self.watched.insert(process, Watched { pid, spaces: vec![process.0], table, checks });
        let target = types::target {
            process: process.0,
            space: process.0,
            follow: self.follow.into(),
            seed: self.pass + 1,
            layout: layout::of(interpreter),
            brk: tables::heap_end(pid),
            touches: self.sample_faults(interpreter).into(),
            ..Default::default()
        };
        self.renew_threads();
        self.arm(pid, &target)?;
        self.enter_open(process)
    }

    /// Whether the page faults of a process are sampled. Without the lock the interpreter's objects are
    /// mimalloc's, which maps a gigabyte at once: no call tells of what is taken from that.
    fn sample_faults(&mut self, interpreter: &Interpreter) -> bool {
        if !interpreter.layout.is_free_threaded() {
            return false;
        }
        if self.faults == Faults::WhenNeeded {
            self.faults = match sampler::faults(&self.skeleton) {
                Ok(samplers) => {
                    self.links.extend(samplers);
                    Faults::Sampled
                }
                Err(why) => {
                    self.missing.push(why);
                    Faults::Unseen
                }
            };
        }
        self.faults == Faults::Sampled
    }

    /// Takes in what the ring buffer holds.
    fn drain(&mut self, sink: &mut dyn FnMut(Event)) {
        for event in self.inbox.borrow_mut().drain(..) {
            let kind = match &event {
                Event::Code(_) => "code",
                Event::Stack(_) => "stack",
                Event::Descriptor(_) => "descriptor",
                Event::Object(_) => "object",
                Event::Native(_) => "native",
                Event::Process(_) | Event::Child(_) => "process",
            };
            *self.received.entry(kind).or_default() += 1;
            if let Event::Process(ended) = &event
                && ended.kind == ProcessEventKind::Exited
                && let Some(watched) = self.watched.get_mut(&ended.process)
            {
                watched.table = None;
            }
            sink(event);
        }
    }

    /// Follows a child that the kernel side has entered by itself.
    pub fn adopt(&mut self, process: ProcessId, pid: u32) -> Result<(), EbpfError> {
        let table = Some(reconcile::Table::open(&self.skeleton, pid)?);
        let checks = reconcile::Checks::forked();
        self.watched.insert(process, Watched { pid, spaces: vec![process.0], table, checks });
        self.enter_open(process)
    }

    /// The interpreter was taken down: nothing of it is valid, until [`Source::rewatch`] tells of
    /// another.
    pub fn suspend(&mut self, process: ProcessId, pid: u32) -> Result<(), EbpfError> {
        let known = target(&self.skeleton, pid).filter(|t| t.process == process.0);
        let Some(mut target) = known else { return Ok(()) };
        // As after an exec: code objects of before are of another address space.
        target.space = self.number();
        target.layout.ready = 0;
        if let Some(watched) = self.watched.get_mut(&process) {
            watched.spaces.push(target.space);
        }
        self.arm(pid, &target)
    }

    /// Has each thread asked anew whom it belongs to.
    fn renew_threads(&mut self) {
        if let Some(bss) = self.skeleton.maps.bss_data.as_deref_mut() {
            bss.target_generation = bss.target_generation.wrapping_add(1);
        }
    }
}

impl Source for Ebpf {
    type Error = EbpfError;

    fn watch(&mut self, pid: u32, interpreter: &Interpreter) -> Result<ProcessId, EbpfError> {
        let process = ProcessId(self.number());
        if let Err(error) = self.enter(process, pid, interpreter) {
            self.unwatch(process);
            self.forget(&BTreeSet::from([process]))?;
            return Err(error);
        }
        Ok(process)
    }

    fn rewatch(
        &mut self,
        process: ProcessId,
        pid: u32,
        interpreter: Option<&Interpreter>,
    ) -> Result<(), EbpfError> {
        let known = target(&self.skeleton, pid).filter(|t| t.process == process.0);
        let Some(mut target) = known else {
            return Ok(());
        };
        if let Some(watched) = self.watched.get_mut(&process)
            && !watched.spaces.contains(&target.space)
        {
            watched.spaces.push(target.space);
        }
        if let Some(interpreter) = interpreter {
            self.uprobes.release_at_exec(process, interpreter);
            let owner = (!self.follow).then_some(pid);
            self.uprobes.attach(&self.skeleton, process, owner, interpreter)?;
            target.layout = layout::of(interpreter);
            target.touches = self.sample_faults(interpreter).into();
            self.arm(pid, &target)?;
        }
        self.reconcile(Pass::AtOnce(process))
    }

    fn unwatch(&mut self, process: ProcessId) {
        let Some(watched) = self.watched.get_mut(&process) else { return };
        watched.table = None;
        let pid = watched.pid;
        // The pid may be another process's by now, which may be watched too.
        if target(&self.skeleton, pid).is_some_and(|known| known.process == process.0) {
            // A failure means that the process has just ended.
            let _ = self.skeleton.maps.targets.delete(&pid.to_ne_bytes());
            self.renew_threads();
        }
    }

    fn forget(&mut self, processes: &BTreeSet<ProcessId>) -> Result<(), EbpfError> {
        if processes.is_empty() {
            return Ok(());
        }
        for process in processes {
            self.uprobes.release(*process);
        }
        self.bury(processes)
    }

    fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(Event)) -> Result<(), EbpfError> {
        match self.ring.poll(timeout) {
            Err(cause) if cause.kind() != libbpf_rs::ErrorKind::Interrupted => {
                return Err(EbpfError::Map { action: "read", map: "events", cause });
            }
            _ => {}
        }
        // What was sent without a wake-up.
        if let Err(cause) = self.ring.consume() {
            return Err(EbpfError::Map { action: "read", map: "events", cause });
        }
        self.drain(sink);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot, EbpfError> {
        if !self.links.is_empty() {
            self.reconcile(Pass::Over)?;
        }
        self.aggregate()
    }

    fn is_alive(&self, code: &CodeRecord) -> bool {
        let key =
            types::code_key { space: code.space, address: code.address, ..Default::default() };
        let found = self.skeleton.maps.codes.lookup(decode::bytes(&key), MapFlags::ANY);
        found
            .ok()
            .flatten()
            .is_some_and(|life| decode::read::<types::code_life>(&life).id == code.id)
    }

    fn stop(&mut self) {
        // The last look at what is open; without one, the last but one has to do.
        let _ = self.reconcile(Pass::Over);
        // Nothing is watched from one moment on; to detach takes a while, one program at a time,
        // and what one saw without the other would not add up.
        for watched in self.watched.values() {
            // A failure means that the process ended.
            let _ = self.skeleton.maps.targets.delete(&watched.pid.to_ne_bytes());
        }
        self.links.clear();
        self.uprobes.detach();
    }
}
