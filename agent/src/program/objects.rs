//! The objects of a run by their ids.

use std::collections::HashMap;

use crate::event::{Object, ObjectId, ObjectRecord, ProcessId};
use crate::ledger::ObjectNames;

/// More than the kernel side describes by default; what comes beyond is left unnamed.
const MOST: usize = 32_768;

/// Objects that are known.
#[derive(Debug, Default)]
pub(super) struct Objects {
    known: HashMap<ObjectId, (ProcessId, Object)>,
}

impl Objects {
    pub(super) fn insert(&mut self, record: ObjectRecord) {
        if self.known.len() < MOST {
            self.known.insert(record.id, (record.process, record.object));
        }
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
