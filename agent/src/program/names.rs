//! The stacks that are known by name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::StackId;
use crate::ledger::StackNames;
use crate::python::Stack;

/// Resolved stacks by id; as many as the kernel side has room for, and no more.
#[derive(Debug)]
pub(super) struct Names {
    stacks: HashMap<StackId, Arc<Stack>>,
    limit: usize,
}

impl Names {
    pub(super) fn new(limit: usize) -> Self {
        Self { stacks: HashMap::new(), limit }
    }

    pub(super) fn insert(&mut self, id: StackId, stack: Stack) {
        if self.stacks.len() < self.limit || self.stacks.contains_key(&id) {
            self.stacks.insert(id, Arc::new(stack));
        }
    }
}

impl StackNames for Names {
    fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.stacks.get(&id).cloned()
    }
}
