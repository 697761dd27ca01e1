//! The search for asyncio in a process, which may import it long after the attach.

use std::time::{Duration, Instant};

use crate::python::{Asyncio, AsyncioSearch, Interpreter, ProcessMemory, TaskOffsets};

/// How often to look. A look at what has not changed is a handful of reads.
const PAUSE: Duration = Duration::from_secs(1);

/// The search in one process.
#[derive(Debug, Default)]
pub(super) struct Search {
    next: Option<Instant>,
    state: AsyncioSearch,
}

impl Search {
    /// Whether it is time for another look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// A look; one that fails because memory changed under it is a look in vain.
    pub(super) fn look(
        &mut self,
        pid: u32,
        interpreter: &Interpreter,
        now: Instant,
    ) -> Option<Asyncio> {
        self.next = Some(now + PAUSE);
        let pid = i32::try_from(pid).ok()?;
        let memory = ProcessMemory::new(pid);
        let tasks = || TaskOffsets::of_process(pid, &memory);
        self.state.look(&memory, interpreter, tasks).ok().flatten()
    }
}
