//! What a file is for, as its path and the stack tell: not all that reads or writes often is at fault.

use std::borrow::Cow;

use crate::event::{Object, ObjectId};
use crate::ledger::{Conduct, Deed, Ledger};
use crate::source::BY_POSITION;

const S_IFMT: u16 = 0o170_000;
const S_IFREG: u16 = 0o100_000;

/// Where files are that the C library and the interpreter read by themselves (`/etc/hosts` for each
/// name that is looked up), and those that are no files on a disk.
const OF_THE_SYSTEM: [&str; 6] =
    ["/etc/", "/proc/", "/sys/", "/dev/", "/run/", "/usr/share/zoneinfo/"];

const DATABASES: [&str; 14] = [
    ".db", ".db3", ".sqlite", ".sqlite3", ".s3db", "-wal", "-shm", "-journal", ".dbm", ".gdbm",
    ".mdb", ".lmdb", ".ldb", ".sst",
];

/// Functions that hand bytes on, piece by piece, as (end of the file's name, function).
const COPIERS: [(&str, &str); 10] = [
    ("/shutil.py", "copyfileobj"),
    ("/shutil.py", "_fastcopy_sendfile"),
    ("/shutil.py", "_copyfileobj_readinto"),
    ("/http/server.py", "copyfile"),
    ("/hashlib.py", "file_digest"),
    ("/tarfile.py", "copyfileobj"),
    ("/wsgiref/util.py", "__next__"),
    ("/starlette/responses.py", "_handle_simple"),
    ("/aiohttp/web_fileresponse.py", "_sendfile_fallback"),
    ("/asyncio/base_events.py", "_sendfile_fallback"),
];

/// The path of a regular file.
pub(super) fn path(ledger: &Ledger, id: ObjectId) -> Option<Cow<'_, str>> {
    match ledger.object(id)? {
        Object::File { path, mode, .. } if mode & S_IFMT == S_IFREG => {
            Some(String::from_utf8_lossy(path))
        }
        _ => None,
    }
}

/// Whether it is a database, which is read and written in pieces again and again by design: by its
/// name, or because it is accessed by position.
pub(super) fn is_database(path: &str, deed: &Deed) -> bool {
    deed.flags & BY_POSITION != 0 || DATABASES.iter().any(|end| path.ends_with(end))
}

/// Whether the system has it read, not the program.
pub(super) fn is_of_the_system(path: &str) -> bool {
    OF_THE_SYSTEM.iter().any(|start| path.starts_with(start))
}

/// Whether it is a module that the interpreter reads for itself: compiled, or an extension.
pub(super) fn is_module(path: &str) -> bool {
    path.ends_with(".pyc") || path.ends_with(".so")
}

/// Whether the line does this by importing.
pub(super) fn imports(conduct: &Conduct) -> bool {
    conduct.origin().is_some_and(|frame| frame.file.starts_with("<frozen importlib"))
}

/// Whether the line hands on what it reads, piece by piece.
pub(super) fn hands_on(conduct: &Conduct) -> bool {
    let Some(stack) = &conduct.stack else { return false };
    let inner = stack.frames.iter().take(3);
    inner.into_iter().any(|frame| {
        COPIERS.iter().any(|(file, name)| frame.file.ends_with(file) && &*frame.function == *name)
    })
}
