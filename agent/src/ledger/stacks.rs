//! Which stack is booked on which line. The answer is worked out once a stack, not once a second.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::event::{ProcessId, StackId};
use crate::python::{Frame, Stack};

use super::{DescriptorKind, Owner, Ownership};

/// Where resolved stacks come from.
pub trait StackNames {
    /// The stack, if its frames are known by now.
    fn stack(&self, id: StackId) -> Option<Arc<Stack>>;
}

/// Names an account for as long as the ledger lives.
pub(super) type AccountId = u64;

/// What a stack is booked on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Booking {
    /// Its frames are not known yet.
    Pending {
        /// Observations that have asked for them.
        looks: u32,
        /// Monotonic nanoseconds of the last of those.
        looked_ns: u64,
    },
    /// This line; `None` when there is no stack to take one from.
    Line(Option<Frame>, Owner),
}

/// One stack of one process.
#[derive(Debug, Clone)]
pub(super) struct StackEntry {
    pub(super) booking: Booking,
    pub(super) stack: Option<Arc<Stack>>,
    /// Accounts by kind: a line that opens by path may make files and directories.
    pub(super) accounts: Vec<(DescriptorKind, AccountId)>,
    /// The kind that its counters are booked on: the one it was last seen to make. A stack that
    /// closes what it opens within a second is never seen to make any, and needs no account.
    pub(super) kind: Option<DescriptorKind>,
    /// Counters at the last observation.
    pub(super) opened: u64,
    pub(super) closed: u64,
    /// What was opened and closed before there was an account to book it on.
    pub(super) held: (u64, u64),
    /// Open descriptors at the last observation.
    pub(super) alive: u32,
    /// Monotonic nanoseconds of the first that it opened, and of the last.
    pub(super) span_ns: (u64, u64),
}

/// Stacks by process and id.
#[derive(Debug, Clone, Default)]
pub(super) struct StackBook {
    pub(super) entries: HashMap<(ProcessId, StackId), StackEntry>,
}

impl StackBook {
    /// The entry of a stack; `None` when the book is full.
    pub(super) fn entry(
        &mut self,
        process: ProcessId,
        id: StackId,
        limit: usize,
    ) -> Option<&mut StackEntry> {
        let full = self.entries.len() >= limit;
        match self.entries.entry((process, id)) {
            std::collections::hash_map::Entry::Occupied(known) => Some(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(_) if full => None,
            std::collections::hash_map::Entry::Vacant(free) => Some(free.insert(StackEntry {
                booking: Booking::Pending { looks: 0, looked_ns: 0 },
                stack: None,
                accounts: Vec::new(),
                kind: None,
                opened: 0,
                closed: 0,
                held: (0, 0),
                alive: 0,
                span_ns: (0, 0),
            })),
        }
    }
}

impl StackEntry {
    /// Looks for the frames if they are still missing; after `patience` looks the stack is booked on
    /// no line, and it is still looked for.
    pub(super) fn resolve(
        &mut self,
        id: StackId,
        names: &dyn StackNames,
        ownership: &Ownership,
        directory: Option<&Path>,
        patience: u32,
        now_ns: u64,
    ) {
        if self.stack.is_some() {
            return;
        }
        let found = if id == 0 { None } else { names.stack(id) };
        if let Some(stack) = found {
            let line = ownership.responsible_frame(&stack, directory);
            self.booking = match line {
                Some((frame, owner)) => Booking::Line(Some(frame.clone()), owner),
                None => Booking::Line(None, Owner::Unknown),
            };
            // Descriptors that were booked on no line move to the right one.
            self.accounts.clear();
            self.stack = Some(stack);
            return;
        }
        if let Booking::Pending { looks, looked_ns } = &mut self.booking {
            // A stack with a thousand descriptors is asked for a thousand times in one observation.
            if *looked_ns < now_ns {
                *looked_ns = now_ns;
                *looks += 1;
            }
            if id == 0 || *looks > patience {
                self.booking = Booking::Line(None, Owner::Unknown);
            }
        }
    }

    /// The line, once it is known that there is one, or that there is none.
    pub(super) fn line(&self) -> Option<(Option<&Frame>, Owner)> {
        match &self.booking {
            Booking::Pending { .. } => None,
            Booking::Line(frame, owner) => Some((frame.as_ref(), *owner)),
        }
    }
}
