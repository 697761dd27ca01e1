//! Hands native stacks to the thread that unwinds them, and what comes of them to the Python stacks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::error::ProgramError;
use super::names::Names;
use super::session::Member;
use crate::event::{NativeRecord, ProcessId};
use crate::ledger::StackNames;
use crate::native::{Occasion, Outcomes, Worker};
use crate::source::ebpf;

/// Native stacks that wait for their Python stack, which comes by another ring buffer: 2 MB.
const EARLY: usize = 128;

/// How long the end of a run waits for what is not unwound yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing but a count where native frames are not asked for.
pub(super) struct Native {
    worker: Option<Worker>,
    early: VecDeque<Box<NativeRecord>>,
    /// Whose Python stack never came, or whose process is gone.
    lost: u64,
}

impl Native {
    pub(super) fn start(options: &ebpf::Options) -> Result<Self, ProgramError> {
        let worker = match options.native {
            ebpf::Native::Off => None,
            _ => Some(Worker::start().map_err(|cause| ProgramError::Start {
                what: "the thread that unwinds native stacks",
                cause,
            })?),
        };
        Ok(Self { worker, early: VecDeque::new(), lost: 0 })
    }

    /// Takes in what has come.
    pub(super) fn insert(&mut self, record: Box<NativeRecord>) {
        if self.early.len() >= EARLY {
            self.early.pop_front();
            self.lost += 1;
        }
        self.early.push_back(record);
    }

    /// Has everything unwound whose Python stack is known.
    pub(super) fn hand_over(&mut self, names: &Names, members: &BTreeMap<ProcessId, Member>) {
        let Some(worker) = &self.worker else { return };
        for record in std::mem::take(&mut self.early) {
            let Some(stack) = names.stack(record.stack_id) else {
                self.early.push_back(record);
                continue;
            };
            let pid = members.get(&record.process).and_then(|m| i32::try_from(m.facts.pid).ok());
            // It is of a process that is gone: no tables to unwind it by.
            let Some(pid) = pid else {
                self.lost += 1;
                continue;
            };
            let occasion = match record.call {
                None => Occasion::Sample,
                Some(number) => Occasion::Call {
                    number,
                    wait: ebpf::call_wait(number),
                    makes: ebpf::call_makes(number),
                },
            };
            worker.unwind(record, pid, occasion, stack.natives.clone());
        }
    }

    /// A process ended, or runs another program.
    pub(super) fn forget(&self, process: ProcessId) {
        if let Some(worker) = &self.worker {
            worker.forget(process);
        }
    }

    /// Waits until all is unwound.
    pub(super) fn settle(&self) {
        if let Some(worker) = &self.worker {
            worker.settle(PATIENCE);
        }
    }

    /// What became of the native stacks; `None` where there are none to be had.
    pub(super) fn outcomes(&self) -> Option<Outcomes> {
        let outcomes = self.worker.as_ref()?.outcomes();
        let refused = outcomes.refused + self.lost + self.early.len() as u64;
        Some(Outcomes { refused, ..outcomes })
    }
}
