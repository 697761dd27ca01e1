//! The objects of a run by their ids.

use std::collections::{HashMap, HashSet};

use crate::event::{Object, ObjectId, ObjectRecord, ProcessId};
use crate::ledger::ObjectNames;

/// Objects that are known; as many as the kernel side has stacks for, which is twice its objects.
#[derive(Debug)]
pub(super) struct Objects {
    known: HashMap<ObjectId, (ProcessId, Object)>,
    limit: usize,
}

impl Objects {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), limit }
    }

    pub(super) fn insert(&mut self, record: ObjectRecord) {
        if self.known.len() < self.limit || self.known.contains_key(&record.id) {
            self.known.insert(record.id, (record.process, record.object));
        }
    }

    /// Whether it is time for [`Objects::keep`].
    pub(super) fn is_nearly_full(&self) -> bool {
        self.known.len() > self.limit / 4 * 3
    }

    /// Drops all but these: what is met again is described again, or was known to the ledger.
    pub(super) fn keep(&mut self, used: &HashSet<ObjectId>) {
        self.known.retain(|id, _| used.contains(id));
    }

    pub(super) fn forget(&mut self, process: ProcessId) {
        self.known.retain(|_, (of, _)| *of != process);
    }
}

impl ObjectNames for Objects {
    fn object(&self, id: ObjectId) -> Option<&Object> {
        self.known.get(&id).map(|(_, object)| object)
    }
}
