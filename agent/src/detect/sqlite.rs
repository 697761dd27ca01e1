//! Which file is an SQLite database, told by how it is opened and not by its name.
//!
//! `sqlite3BtreeOpen` (btree.c) reads the first 100 bytes, the database's header, within the very
//! call that opens the file. Python code that reads 100 bytes itself does so by another call than
//! `open`, and so from another stack.

use std::collections::HashSet;

use crate::event::{ObjectId, ProcessId};
use crate::ledger::Ledger;
use crate::source::Act;

/// `sizeof(zDbHeader)`.
const HEADER_BYTES: u64 = 100;

/// Whether some stack opens this file and reads nothing but a header of it. A database that was new
/// has none at first.
pub(super) fn is_database(ledger: &Ledger, process: ProcessId, file: ObjectId) -> bool {
    let acts = || ledger.acts().iter().filter(|one| one.process == process && one.object == file);
    let opening: HashSet<_> =
        acts().filter(|one| one.act == Act::Open).map(|one| one.stack).collect();
    acts().filter(|one| one.act == Act::Read && opening.contains(&one.stack)).any(|one| {
        let (bytes, headers) = (one.sums.bytes, one.sums.count * HEADER_BYTES);
        let whole = bytes > 0 && bytes.is_multiple_of(HEADER_BYTES);
        whole && bytes <= headers && bytes + 2 * HEADER_BYTES >= headers
    })
}
