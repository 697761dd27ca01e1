//! The search for asyncio and trio in a process, which may import them long after the attach.

use std::time::{Duration, Instant};

use crate::event::ProcessId;
use crate::python::{Asyncio, Interpreter, ModuleSearch, ProcessMemory, TaskOffsets, Trio};
use crate::source::ebpf::Ebpf;

/// How often to look. A look at what has not changed is a handful of reads.
const PAUSE: Duration = Duration::from_secs(1);

/// The search in one process. What was found is looked for no more.
#[derive(Debug)]
pub(super) struct Search {
    next: Option<Instant>,
    asyncio: Option<ModuleSearch>,
    trio: Option<ModuleSearch>,
}

impl Default for Search {
    fn default() -> Self {
        let search = || Some(ModuleSearch::default());
        Self { next: None, asyncio: search(), trio: search() }
    }
}

impl Search {
    /// Looks, when it is time to, and tells the kernel side of what it finds. A look that fails
    /// because memory changed under it is a look in vain; without room in the kernel's tables tasks
    /// stay unnamed for now, and all else goes on.
    pub(super) fn look(
        &mut self,
        (process, pid): (ProcessId, u32),
        interpreter: &Interpreter,
        source: &mut Ebpf,
        now: Instant,
    ) {
        let over = self.asyncio.is_none() && self.trio.is_none();
        if over || self.next.is_some_and(|next| now < next) {
            return;
        }
        self.next = Some(now + PAUSE);
        let Ok(number) = i32::try_from(pid) else { return };
        let memory = ProcessMemory::new(number);
        if let Some(search) = &mut self.asyncio {
            let tasks = || TaskOffsets::of_process(number, &memory);
            let found = Asyncio::look(search, &memory, interpreter, tasks).ok().flatten();
            if found.is_some_and(|found| source.name_tasks(process, pid, &found).is_ok()) {
                self.asyncio = None;
            }
        }
        if let Some(search) = &mut self.trio {
            let found = Trio::look(search, &memory, interpreter).ok().flatten();
            if found.is_some_and(|found| source.name_trio_tasks(process, pid, &found).is_ok()) {
                self.trio = None;
            }
        }
    }
}
