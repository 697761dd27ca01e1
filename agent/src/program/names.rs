//! The stacks that are known by name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{ProcessId, StackId};
use crate::ledger::StackNames;
use crate::python::Stack;

/// Resolved stacks by id; as many as the kernel side has room for, and no more.
#[derive(Debug)]
pub(super) struct Names {
    stacks: HashMap<StackId, (ProcessId, Arc<Stack>)>,
    limit: usize,
}

impl Names {
    pub(super) fn new(limit: usize) -> Self {
        Self { stacks: HashMap::new(), limit }
    }

    pub(super) fn insert(&mut self, process: ProcessId, id: StackId, stack: Stack) {
        if self.stacks.len() < self.limit || self.stacks.contains_key(&id) {
            self.stacks.insert(id, (process, Arc::new(stack)));
        }
    }

    /// Drops the stacks of a process.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.stacks.retain(|_, (of, _)| *of != process);
    }

    /// Drops stacks that the kernel side has forgotten.
    pub(super) fn forget_stacks(&mut self, stacks: &[(ProcessId, StackId)]) {
        for (_, id) in stacks {
            self.stacks.remove(id);
        }
    }
}

impl StackNames for Names {
    fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.stacks.get(&id).map(|(_, stack)| Arc::clone(stack))
    }
}
