//! What acts are about: files, peers, commands and tasks, described once.

use super::ProcessId;

/// Names an object within a run.
pub type ObjectId = u64;

/// An object was met for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRecord {
    /// The process that met it first.
    pub process: ProcessId,
    /// Its name in acts.
    pub id: ObjectId,
    /// What it is.
    pub object: Object,
}

/// What an act is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A file or a directory.
    File {
        /// Where it was when it was first met, from the root of its mount namespace. A path longer
        /// than 4 kB or 48 names has lost its outermost ones and begins with `…/`.
        path: Vec<u8>,
        /// Its inode.
        inode: u64,
        /// Its device, as `stat` has it: major and minor.
        device: (u32, u32),
        /// Its `st_mode`.
        mode: u16,
    },
    /// The other end of a connection, as the `struct sockaddr` that was given to `connect`.
    Peer(Vec<u8>),
    /// A command: its arguments; a list longer than 1 kB is cut and says so.
    Command {
        /// The arguments, the program first.
        arguments: Vec<Vec<u8>>,
        /// There was more.
        cut: bool,
    },
    /// A task of asyncio: its name; one longer than 64 bytes is cut and ends with `…`.
    Task(String),
}
