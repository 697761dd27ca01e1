//! Where events come from. One tracer, one folder; nothing past this station knows which.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::{CodeRecord, Event, ProcessId};
use crate::python::Interpreter;

pub mod ebpf;

mod activity;
mod snapshot;

pub use activity::{
    Act, ActCounters, BY_POSITION, LiveChild, Mapped, Sums, WAIT_BUCKETS, WaitClass, WaitHistogram,
};
pub use snapshot::{
    DescriptorOrigin, Flow, LiveDescriptor, ProgramRun, SiteCounters, Snapshot, StackOutcomes,
    TableCheck, UnclosedCounters,
};

/// A tracer: it watches processes, hands over events and tells what it has aggregated.
pub trait Source {
    /// Why it failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Starts to watch a process. What is open already is known when this returns, and the next
    /// event has its stack.
    fn watch(&mut self, pid: u32, interpreter: &Interpreter) -> Result<ProcessId, Self::Error>;

    /// Tells that a watched process now runs this interpreter (after an exec), or none that is
    /// known.
    fn rewatch(
        &mut self,
        process: ProcessId,
        pid: u32,
        interpreter: Option<&Interpreter>,
    ) -> Result<(), Self::Error>;

    /// Lets go of a process that goes on: nothing more is seen of it. What is kept stays until it is
    /// forgotten.
    fn unwatch(&mut self, process: ProcessId);

    /// Drops what is kept of processes that ended: their descriptors, stacks and code objects. The
    /// totals keep what they did.
    fn forget(&mut self, processes: &BTreeSet<ProcessId>) -> Result<(), Self::Error>;

    /// Waits for events for up to `timeout` and hands each to `sink`.
    fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(Event)) -> Result<(), Self::Error>;

    /// Compares with the system's own tables and tells everything that is aggregated.
    fn snapshot(&mut self) -> Result<Snapshot, Self::Error>;

    /// Whether a code object is still the one that was recorded.
    fn is_alive(&self, code: &CodeRecord) -> bool;

    /// Stops all probes; what was aggregated can still be read.
    fn stop(&mut self);
}
