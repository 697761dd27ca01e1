//! One run over processes: events in, names resolved, lives followed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::lock::{self, Lock};
use super::names::Names;
use super::objects::Objects;
use super::target::{self, Facts};
use super::{ProgramError, native, stop::Stop, tasks};
use crate::event::{
    ChildEvent, CodeRecord, DescriptorCall, Event, ProcessEvent, ProcessEventKind, ProcessId,
};
use crate::python::{
    self, AnalyseError, CodeTable, Interpreter, ProcessMemory, Programs, complete_from_memory,
};
use crate::source::Source;
use crate::source::ebpf::{self, Ebpf, EbpfError};

/// How long an interpreter that is coming up (after an exec) is waited for.
const START_UP: Duration = Duration::from_secs(10);

/// How often to look whether interpreters still stand: a read of eight bytes.
const CHECK: Duration = Duration::from_secs(1);

/// A process of the run.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) facts: Facts,
    pub(super) interpreter: Option<Interpreter>,
    pub(super) parent: Option<ProcessId>,
    pub(super) alive: bool,
    /// Its interpreter is still to be found.
    search: Option<Search>,
    /// For what names its tasks.
    tasks: tasks::Search,
    /// Keeps other pitvipers away; children that are followed have none.
    _lock: Option<Lock>,
}

impl Member {
    fn new(facts: Facts, interpreter: Option<Interpreter>) -> Self {
        Self {
            facts,
            interpreter,
            parent: None,
            alive: true,
            search: None,
            tasks: tasks::Search::default(),
            _lock: None,
        }
    }

    /// Whether it has become a program without an interpreter.
    fn is_lost(&self) -> bool {
        self.alive && self.interpreter.is_none() && self.search.is_none()
    }
}

/// The search for the interpreter of a process that executed another program: the loader has to
/// map it first, so that at the beginning there is none to see. Or of one that took it down.
#[derive(Debug)]
struct Search {
    next: Instant,
    pause: Duration,
    until: Option<Instant>,
}

impl Search {
    fn new() -> Self {
        let now = Instant::now();
        Self { next: now, pause: Duration::from_millis(5), until: Some(now + START_UP) }
    }

    /// It may be down for as long as the program likes.
    fn without_end() -> Self {
        Self { until: None, ..Self::new() }
    }

    /// Whether it is time for another look.
    fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// After a look in vain: when to look again, if at all.
    fn again(&self, now: Instant) -> Option<Self> {
        let pause = (self.pause * 2).min(Duration::from_secs(1));
        self.until.is_none_or(|until| now < until).then_some(Self {
            next: now + self.pause,
            pause,
            until: self.until,
        })
    }
}

/// A run.
pub(super) struct Session {
    pub(super) source: Ebpf,
    /// The process that was asked for; none where all are alike.
    pub(super) root: Option<ProcessId>,
    pub(super) members: BTreeMap<ProcessId, Member>,
    pub(super) names: Names,
    pub(super) objects: Objects,
    pub(super) native: native::Native,
    codes: CodeTable,
    next_check: Instant,
}

/// What a caller wants to hear of while events are taken in.
pub(super) enum News<'a> {
    /// A descriptor call (trace only).
    Call(&'a DescriptorCall),
    /// A process that a traced one made changed (trace only).
    Child(&'a ChildEvent),
    /// A process came.
    Started(ProcessId),
    /// A process runs another program.
    Executed(ProcessId),
    /// A process ended.
    Ended(ProcessId),
}

/// The kernel side knows processes by their ids in the first namespace, and user space by those in
/// its own: where these are not the same, other processes would be watched than were asked for.
pub(super) fn check_pid_namespace() -> Result<(), ProgramError> {
    if target::in_first_pid_namespace() { Ok(()) } else { Err(ProgramError::PidNamespace) }
}

/// Analyses a process, waiting a little for one that is just starting.
fn analyse(pid: u32) -> Result<Interpreter, ProgramError> {
    let pid = i32::try_from(pid).map_err(|_| AnalyseError::NoSuchProcess { pid: i32::MAX })?;
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match python::analyse(pid) {
            Err(error) if error.is_temporary() && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done.map_err(|error| explain(pid.cast_unsigned(), error)),
        }
    }
}

/// Where the Python is that was looked for in process `pid` in vain.
pub(super) fn explain(pid: u32, error: AnalyseError) -> ProgramError {
    let child = match error {
        AnalyseError::NotPython { .. } => target::children(pid)
            .into_iter()
            .find(|child| Programs::default().may_run_python(*child).unwrap_or(false)),
        _ => None,
    };
    child.map_or_else(|| error.into(), |child| ProgramError::PythonInChild { pid, child })
}

impl Session {
    /// Loads the probes; no process is watched yet.
    pub(super) fn start(options: &ebpf::Options) -> Result<Self, ProgramError> {
        check_pid_namespace()?;
        Ok(Self {
            source: Ebpf::load(options)?,
            root: None,
            members: BTreeMap::new(),
            names: Names::new(options.max_stacks as usize * 2),
            objects: Objects::new((options.max_stacks as usize).max(32_768)),
            native: native::Native::start(options)?,
            codes: CodeTable::default(),
            next_check: Instant::now(),
        })
    }

    /// A run about one process: it ends with it.
    pub(super) fn attach(pid: u32, options: &ebpf::Options) -> Result<Self, ProgramError> {
        check_pid_namespace()?;
        let interpreter = analyse(pid)?;
        // Before the probes are loaded, which takes longer than all else.
        let lock = lock::lock(pid)?;
        let mut session = Self::start(options)?;
        session.root = Some(session.enter(pid, interpreter, lock)?);
        Ok(session)
    }

    /// Watches one more process, whose interpreter is known. The lock on it goes with its membership.
    pub(super) fn add(
        &mut self,
        pid: u32,
        interpreter: Interpreter,
    ) -> Result<ProcessId, ProgramError> {
        let lock = lock::lock(pid)?;
        self.enter(pid, interpreter, lock)
    }

    fn enter(
        &mut self,
        pid: u32,
        interpreter: Interpreter,
        lock: Lock,
    ) -> Result<ProcessId, ProgramError> {
        let facts = target::facts(pid);
        let process = self.source.watch(pid, &interpreter)?;
        // The process may have ended, and its pid may be another's by now.
        if !target::lives(pid, facts.start_time) {
            self.source.unwatch(process);
            self.source.forget(&BTreeSet::from([process]))?;
            return Err(AnalyseError::Gone { pid: pid as i32 }.into());
        }
        let member = Member { _lock: Some(lock), ..Member::new(facts, Some(interpreter)) };
        self.members.insert(process, member);
        Ok(process)
    }

    /// Lets go of a process that goes on, or whose end nobody told.
    /// `false`: it was not watched any more.
    pub(super) fn remove(&mut self, process: ProcessId) -> bool {
        let Some(member) = self.members.get_mut(&process).filter(|member| member.alive) else {
            return false;
        };
        member.alive = false;
        self.source.unwatch(process);
        true
    }

    /// Processes that have become programs without an interpreter, with their pids.
    pub(super) fn lost(&self) -> Vec<(ProcessId, u32)> {
        let lost = self.members.iter().filter(|(_, member)| member.is_lost());
        lost.map(|(process, member)| (*process, member.facts.pid)).collect()
    }

    /// The process that was asked for.
    pub(super) fn root(&self) -> Option<&Member> {
        self.members.get(&self.root?)
    }

    /// Whether there is still something to come: without a root, new processes.
    pub(super) fn is_alive(&self) -> bool {
        self.root.is_none() || self.members.values().any(|member| member.alive)
    }

    /// Drops what is kept of processes that ended; the one that was asked for stays for the report.
    pub(super) fn bury(&mut self) -> Result<BTreeSet<ProcessId>, ProgramError> {
        let dead: BTreeSet<ProcessId> = self
            .members
            .iter()
            .filter(|(process, member)| !member.alive && Some(**process) != self.root)
            .map(|(process, _)| *process)
            .collect();
        self.source.forget(&dead)?;
        for process in &dead {
            self.members.remove(process);
            self.codes.forget(*process);
            self.objects.forget(*process);
            self.names.forget(*process);
            self.native.forget(*process);
        }
        Ok(dead)
    }

    /// Takes in events until it is time to stop, or `until`.
    pub(super) fn run(
        &mut self,
        stop: &Stop,
        until: Instant,
        wait: Duration,
        news: &mut dyn FnMut(&Self, News<'_>),
    ) -> Result<(), ProgramError> {
        while !stop.is_due() && self.is_alive() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.take_in(stop.wait(left.min(wait)), news)?;
        }
        Ok(())
    }

    /// Takes in what is there, waiting up to `timeout` for the first event.
    pub(super) fn take_in(
        &mut self,
        timeout: Duration,
        news: &mut dyn FnMut(&Self, News<'_>),
    ) -> Result<(), ProgramError> {
        let mut events = Vec::new();
        self.source.poll(timeout, &mut |event| events.push(event))?;
        for event in events {
            match event {
                Event::Code(record) => self.learn(record),
                Event::Stack(record) => {
                    let stack = self.codes.resolve(&record);
                    self.names.insert(record.process, record.id, stack);
                }
                Event::Native(record) => self.native.insert(record),
                Event::Object(record) => self.objects.insert(record),
                Event::Descriptor(call) => news(self, News::Call(&call)),
                Event::Child(event) => news(self, News::Child(&event)),
                Event::Process(event) => self.live(event, news)?,
            }
        }
        self.native.hand_over(&self.names, &self.members);
        self.check_interpreters()?;
        for process in self.look_again()? {
            news(self, News::Executed(process));
        }
        self.look_for_tasks();
        Ok(())
    }

    /// A long name or line table was cut by the kernel side; the rest is read from the process,
    /// and taken only if the object was still the same afterwards.
    fn learn(&mut self, mut record: CodeRecord) {
        let Some(member) = self.members.get(&record.process) else { return };
        let Some(interpreter) = &member.interpreter else { return };
        if record.is_cut()
            && let Ok(pid) = i32::try_from(member.facts.pid)
        {
            let mut whole = record.clone();
            let memory = ProcessMemory::new(pid);
            if complete_from_memory(&mut whole, &memory, &interpreter.layout).is_ok()
                && self.source.is_alive(&whole)
            {
                record = whole;
            }
        }
        // What cannot be decoded stays unknown: its frames are counted as unresolved.
        let _ = self.codes.insert(interpreter.version, record);
    }

    fn live(
        &mut self,
        event: ProcessEvent,
        news: &mut dyn FnMut(&Self, News<'_>),
    ) -> Result<(), ProgramError> {
        let process = event.process;
        match event.kind {
            ProcessEventKind::Forked { parent } => {
                let Some(from) = self.members.get(&parent) else { return Ok(()) };
                let member = Member {
                    parent: Some(parent),
                    ..Member::new(target::facts(event.pid), from.interpreter.clone())
                };
                self.members.insert(process, member);
                // It may have ended already.
                match self.source.adopt(process, event.pid) {
                    Ok(()) | Err(EbpfError::Reconcile { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                news(self, News::Started(process));
            }
            ProcessEventKind::Executed => {
                if let Some(member) = self.members.get_mut(&process) {
                    member.facts = target::facts(event.pid);
                    member.interpreter = None;
                    member.tasks = tasks::Search::default();
                    member.search = Some(Search::new());
                }
                self.codes.forget(process);
                self.native.forget(process);
                self.source.rewatch(process, event.pid, None)?;
                news(self, News::Executed(process));
            }
            ProcessEventKind::Exited => {
                news(self, News::Ended(process));
                if let Some(member) = self.members.get_mut(&process) {
                    member.alive = false;
                }
            }
        }
        Ok(())
    }

    /// Looks whether interpreters were taken down, which makes void what is known of them.
    fn check_interpreters(&mut self) -> Result<(), ProgramError> {
        let now = Instant::now();
        if now < self.next_check {
            return Ok(());
        }
        self.next_check = now + CHECK;
        for (process, member) in self.members.iter_mut().filter(|(_, member)| member.alive) {
            let Ok(pid) = i32::try_from(member.facts.pid) else { continue };
            let stands = member.interpreter.as_ref().map(|i| i.stands(&ProcessMemory::new(pid)));
            // What cannot be read has ended, or executes another program just now.
            if matches!(stands, Some(Ok(false))) {
                self.source.suspend(*process, member.facts.pid)?;
                member.interpreter = None;
                member.tasks = tasks::Search::default();
                member.search = Some(Search::without_end());
            }
        }
        Ok(())
    }

    /// Looks for asyncio and trio where they have not come yet.
    fn look_for_tasks(&mut self) {
        let now = Instant::now();
        for (process, member) in &mut self.members {
            if let Some(interpreter) = member.interpreter.as_ref().filter(|_| member.alive) {
                let target = (*process, member.facts.pid);
                member.tasks.look(target, interpreter, &mut self.source, now);
            }
        }
    }

    /// Looks for the interpreters of processes that executed another program; those that have one now.
    fn look_again(&mut self) -> Result<Vec<ProcessId>, ProgramError> {
        let now = Instant::now();
        let mut found = Vec::new();
        for (process, member) in &mut self.members {
            let Some(search) = member.search.take_if(|s| s.is_due(now)) else { continue };
            let Ok(pid) = i32::try_from(member.facts.pid) else { continue };
            if !member.alive {
                continue;
            }
            match python::analyse(pid) {
                Ok(interpreter) => {
                    self.source.rewatch(*process, member.facts.pid, Some(&interpreter))?;
                    member.interpreter = Some(interpreter);
                    // One that came back is in the same program.
                    if search.until.is_some() {
                        found.push(*process);
                    }
                }
                Err(AnalyseError::NotReady { .. } | AnalyseError::NotPython { .. }) => {
                    member.search = search.again(now);
                }
                Err(_) => {}
            }
        }
        Ok(found)
    }
}
