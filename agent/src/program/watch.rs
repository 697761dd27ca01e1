//! A session with its ledger and rules: once a second it looks, judges, and tells what is new.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::clock;
use super::error::ProgramError;
use super::service::ServiceNames;
use super::session::{Member, News as Life, Session};
use super::stop::Stop;
use super::target;
use crate::detect::{Board, News, Rules};
use crate::event::ProcessId;
use crate::export::api::View;
use crate::export::metrics::{Continuity, Exposition, Health, exposition};
use crate::export::{Report, WallClock};
use crate::ledger::{Ledger, Limits, Ownership, ProcessInfo};
use crate::python::Interpreter;
use crate::source::{Source, ebpf};

/// How often the ledger is brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// How long what has ended is remembered where nobody asks for a report: the next push of profiles, and
/// who looks at the page, still find it.
const REMEMBERED_NS: u64 = 60_000_000_000;

/// How long one wait for events takes at most: what Ctrl-C waits for.
const WAIT: Duration = Duration::from_millis(100);

/// A run that judges.
pub(super) struct Watch {
    pub(super) session: Session,
    pub(super) ledger: Ledger,
    pub(super) clock: WallClock,
    latest_ns: u64,
    pub(super) io_uring: bool,
    rules: Rules,
    board: Board,
    services: ServiceNames,
    lives: Vec<Change>,
    /// Those that have ended, with when, until they are forgotten.
    ended: Vec<(ProcessId, u64)>,
}

/// A change in the set of processes, until the next tick.
enum Change {
    Started(ProcessId),
    Ended(ProcessId),
}

impl Change {
    fn of(life: &Life<'_>) -> Option<Self> {
        match *life {
            Life::Started(process) | Life::Executed(process) => Some(Self::Started(process)),
            Life::Ended(process) => Some(Self::Ended(process)),
            Life::Call(_) | Life::Child(_) => None,
        }
    }
}

fn info(member: &Member, parent: Option<u32>, services: &ServiceNames) -> ProcessInfo {
    ProcessInfo {
        pid: member.facts.pid,
        parent,
        start_time: member.facts.start_time,
        python: member.interpreter.as_ref().map_or_else(String::new, |i| i.version.to_string()),
        service: services.of(&member.facts),
        executable: member.facts.executable.clone(),
        cmdline: member.facts.cmdline.clone(),
        working_directory: member.facts.directory.clone(),
        descriptor_limit: target::descriptor_limit(member.facts.pid),
        descriptors_open: 0,
    }
}

impl Watch {
    /// Attaches to one process and takes the first look.
    pub(super) fn attach(
        pid: u32,
        options: &ebpf::Options,
        app_roots: &[PathBuf],
        rules: Rules,
    ) -> Result<Self, ProgramError> {
        let session = Session::attach(pid, options)?;
        let mut watch = Self::over(session, options, app_roots, rules);
        if let Some(root) = watch.session.root {
            watch.enter(root);
        }
        watch.look()?;
        Ok(watch)
    }

    /// Loads the probes; processes come with [`Watch::add`].
    pub(super) fn start(
        options: &ebpf::Options,
        app_roots: &[PathBuf],
        rules: Rules,
    ) -> Result<Self, ProgramError> {
        Ok(Self::over(Session::start(options)?, options, app_roots, rules))
    }

    fn over(
        session: Session,
        options: &ebpf::Options,
        app_roots: &[PathBuf],
        rules: Rules,
    ) -> Self {
        let mut ledger = Ledger::new(Limits::beside(options.max_processes, options.max_stacks));
        ledger.set_ownership(Ownership::new(app_roots.iter().cloned()));
        Self {
            board: rules.board(),
            session,
            ledger,
            clock: clock::now(),
            latest_ns: 0,
            io_uring: false,
            rules,
            services: ServiceNames::default(),
            lives: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Watches one more process.
    pub(super) fn add(
        &mut self,
        pid: u32,
        interpreter: Interpreter,
    ) -> Result<ProcessId, ProgramError> {
        let process = self.session.add(pid, interpreter)?;
        self.enter(process);
        Ok(process)
    }

    /// Lets go of a process; what it held is no longer counted.
    pub(super) fn remove(&mut self, process: ProcessId) {
        if self.session.remove(process) {
            self.lives.push(Change::Ended(process));
        }
    }

    /// Judges by other numbers and names processes otherwise from now on; what is known stays.
    pub(super) fn judge_by(&mut self, rules: Rules, services: ServiceNames) {
        self.board.judge_by(rules.board_thresholds());
        self.rules = rules;
        self.services = services;
        for (process, member) in self.session.members.iter().filter(|(_, member)| member.alive) {
            self.ledger.set_service(*process, self.services.of(&member.facts));
        }
    }

    /// The pid of a process; 0 when it is not known.
    pub(super) fn pid(&self, process: ProcessId) -> u32 {
        self.ledger.process(process).map_or(0, |known| known.info.pid)
    }

    fn enter(&mut self, process: ProcessId) {
        let Some(member) = self.session.members.get(&process) else { return };
        let parent = member.parent.and_then(|p| self.session.members.get(&p)).map(|p| p.facts.pid);
        self.ledger.process_started(process, info(member, parent, &self.services));
    }

    /// Brings the ledger up to date and judges.
    fn look(&mut self) -> Result<Vec<News>, ProgramError> {
        let snapshot = self.session.source.snapshot()?;
        for (process, member) in &self.session.members {
            if member.alive {
                let limit = target::descriptor_limit(member.facts.pid);
                self.ledger.set_descriptor_limit(*process, limit);
            }
        }
        self.session.names.forget_stacks(&snapshot.forgotten);
        self.ledger.observe(&snapshot, &self.session.names);
        self.ledger.observe_acts(&snapshot, &self.session.names, &self.session.objects);
        if self.session.objects.is_nearly_full() {
            self.session.objects.keep(&self.ledger.objects_in_use());
        }
        for (process, member) in self.session.members.iter().filter(|(_, m)| m.alive) {
            if let Some(sample) = target::memory(member.facts.pid, snapshot.time_ns) {
                self.ledger.observe_memory(*process, sample);
            }
        }
        let now_ns = snapshot.time_ns;
        self.latest_ns = now_ns;
        self.io_uring |= !snapshot.io_uring.is_empty();
        let verdicts = self.rules.evaluate(&self.ledger, now_ns);
        Ok(self.board.update(verdicts, now_ns))
    }

    /// One second of events, then a look. `between` is called ten times meanwhile.
    pub(super) fn tick(
        &mut self,
        stop: &Stop,
        between: &mut dyn FnMut(&Self),
    ) -> Result<Vec<News>, ProgramError> {
        let until = Instant::now() + TICK;
        while Instant::now() < until && self.goes_on(stop) {
            let lives = &mut self.lives;
            let pause = until.min(Instant::now() + WAIT);
            self.session.run(stop, pause, WAIT, &mut |_, life| lives.extend(Change::of(&life)))?;
            between(self);
        }
        let mut ended = Vec::new();
        for life in std::mem::take(&mut self.lives) {
            match life {
                Change::Started(process) => self.enter(process),
                Change::Ended(process) => ended.push(process),
            }
        }
        let mut news = self.look()?;
        for process in ended {
            self.ledger.process_ended(process, self.latest_ns);
            // Where processes come and go for ever, those that are gone are forgotten; the root's
            // children are in its report.
            if self.session.root.is_none() {
                news.extend(self.board.withdraw_suspicions(process));
                self.ended.push((process, self.latest_ns));
            }
        }
        self.forget_ended();
        self.session.bury()?;
        Ok(news)
    }

    fn forget_ended(&mut self) {
        let before_ns = self.latest_ns.saturating_sub(REMEMBERED_NS);
        let (ledger, ended) = (&mut self.ledger, &mut self.ended);
        ended.retain(|(process, ended_ns)| {
            let remembered = *ended_ns > before_ns;
            if !remembered {
                ledger.forget(*process);
            }
            remembered
        });
    }

    /// Takes in what has come already, so that a long search leaves room for more.
    pub(super) fn take_in(&mut self) -> Result<(), ProgramError> {
        let lives = &mut self.lives;
        self.session.take_in(Duration::ZERO, &mut |_, life| lives.extend(Change::of(&life)))
    }

    /// Stops the probes and takes the last look.
    pub(super) fn finish(&mut self) -> Result<Vec<News>, ProgramError> {
        self.session.source.stop();
        self.session.take_in(Duration::ZERO, &mut |_, _| {})?;
        self.session.native.settle();
        self.look()
    }

    /// Whether to go on.
    pub(super) fn goes_on(&self, stop: &Stop) -> bool {
        !stop.is_due() && self.session.is_alive()
    }

    /// What is known, for who asks.
    pub(super) fn view<'a>(&'a self, health: &'a Health) -> View<'a> {
        View {
            ledger: &self.ledger,
            board: &self.board,
            health,
            stacks: &self.session.names,
            clock: self.clock,
        }
    }

    /// Everything there is to scrape.
    pub(super) fn exposition(
        &self,
        health: &Health,
        continuity: &mut Continuity,
    ) -> Result<Exposition, std::fmt::Error> {
        exposition(&self.ledger, &self.board, health, self.clock, continuity)
    }

    /// The run so far.
    pub(super) fn report(&self) -> Report {
        // A process of no number is unknown to the ledger: the report is about all alike.
        let root = self.session.root.unwrap_or(ProcessId(0));
        Report::new(&self.ledger, &self.board, root, self.clock)
    }
}
