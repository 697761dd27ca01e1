//! What processes did besides to descriptors, as a source has summed it up.

use crate::event::{ObjectId, ProcessId, StackId};

/// What a stack did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// Made a process (fork, vfork, clone, posix_spawn), itself or by one that it made.
    Spawn,
    /// Started a thread.
    Thread,
    /// A thread that it started ended.
    ThreadEnd,
    /// A process that it made executed the object, a command.
    Exec,
    /// A process that it made ended: `ns` is wall time, `bytes` CPU nanoseconds, `failed` those
    /// whose status was not 0.
    Child,
    /// Opened the object, a file; `repeats` with O_TRUNC.
    Open,
    /// Connected to the object, a peer; `ns` until the connection stood; `flags` is the socket's
    /// type.
    Connect,
    /// A connection ended; `ns` is its life, `bytes` went both ways; `failed`: the other side ended
    /// it before it had sent anything.
    Connection,
    /// Read a regular file. `starts`: from its beginning; `repeats`: of these, unchanged since the
    /// process last read it; `repeat_bytes`: read so. Reads that say their position are only counted.
    Read,
    /// Wrote to a regular file. `starts`: from its beginning; `repeats`: appended. Writes that say
    /// their position are only counted.
    Write,
    /// fsync, fdatasync, ftruncate.
    Sync,
    /// Read the object, a directory, through; no object beyond the first 4,096 directories.
    /// `repeats`: unchanged since the process had read it before.
    List,
    /// Looked at a path.
    Stat,
    /// Mapped bytes.
    Map(Mapped),
    /// Of the bytes that it had mapped, some were unmapped.
    Unmap(Mapped),
    /// A call took long, or waited out its time (`repeats`). `starts`: had no limit of time, and were
    /// no listening: to receive counts where an answer was waited for. `bytes`: how many were for an
    /// answer, as something had been sent on the connection since the last of them.
    Wait(WaitClass),
    /// An event loop stood still while this ran; the object is the task that did.
    Stall,
    /// A connection waited to be accepted while this ran; `flags`: how many descriptors and calls,
    /// of all processes, held the listening socket.
    Queue,
    /// Off the CPU outside of a call.
    OffCpu,
    /// Samples on the CPU.
    OnCpu,
    /// Touched memory for the first time: samples of the page faults, and the bytes of the pages that
    /// they stand for. Only of interpreters whose allocator maps far ahead.
    Touch,
}

/// What was mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mapped {
    /// Memory.
    Anonymous,
    /// A file.
    File,
    /// The stack of a thread.
    Stack,
    /// The heap, by brk.
    Heap,
    /// Address space without access, or what is not known by its line.
    Reserved,
}

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitClass {
    /// open and its like.
    Open,
    /// close.
    Close,
    /// read and its like.
    Read,
    /// write and its like.
    Write,
    /// recv and its like.
    Receive,
    /// send and its like, sendfile.
    Send,
    /// connect.
    Connect,
    /// accept.
    Accept,
    /// poll, select.
    Poll,
    /// epoll_wait.
    Epoll,
    /// futex, flock, fcntl's locks.
    Lock,
    /// wait4, waitid.
    Child,
    /// nanosleep and its like.
    Sleep,
    /// fsync and its like.
    Sync,
    /// getdents64.
    List,
    /// stat and its like.
    Stat,
    /// rename, unlink, mkdir and their like.
    Rename,
    /// mmap and its like.
    Map,
    /// Something else.
    Other,
}

impl WaitClass {
    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Read => "read",
            Self::Write => "write",
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Connect => "connect",
            Self::Accept => "accept",
            Self::Poll => "poll",
            Self::Epoll => "epoll",
            Self::Lock => "lock",
            Self::Child => "child",
            Self::Sleep => "sleep",
            Self::Sync => "sync",
            Self::List => "list",
            Self::Stat => "stat",
            Self::Rename => "rename",
            Self::Map => "map",
            Self::Other => "other",
        }
    }
}

/// Sums of acts; [`Act`] says what each field means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How often.
    pub count: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Bytes.
    pub bytes: u64,
    /// Nanoseconds.
    pub ns: u64,
    /// Nanoseconds of the longest.
    pub max_ns: u64,
    /// Of the nanoseconds of [`Act::Wait`], [`Act::Stall`] and [`Act::Queue`], those in which the
    /// thread was ready to run and no CPU was free.
    pub queued_ns: u64,
    /// See [`Act`].
    pub starts: u64,
    /// See [`Act`].
    pub repeats: u64,
    /// See [`Act`].
    pub repeat_bytes: u64,
}

impl Sums {
    /// Nanoseconds without those that the thread waited for a CPU: what a line can be blamed for.
    #[must_use]
    pub fn blocked_ns(&self) -> u64 {
        self.ns.saturating_sub(self.queued_ns)
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Sums) {
        self.count = self.count.saturating_add(other.count);
        self.failed = self.failed.saturating_add(other.failed);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.ns = self.ns.saturating_add(other.ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.queued_ns = self.queued_ns.saturating_add(other.queued_ns);
        self.starts = self.starts.saturating_add(other.starts);
        self.repeats = self.repeats.saturating_add(other.repeats);
        self.repeat_bytes = self.repeat_bytes.saturating_add(other.repeat_bytes);
    }

    /// What has come since `earlier`; the longest is that of all time.
    #[must_use]
    pub fn since(&self, earlier: &Sums) -> Sums {
        Sums {
            count: self.count.saturating_sub(earlier.count),
            failed: self.failed.saturating_sub(earlier.failed),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            ns: self.ns.saturating_sub(earlier.ns),
            max_ns: self.max_ns,
            queued_ns: self.queued_ns.saturating_sub(earlier.queued_ns),
            starts: self.starts.saturating_sub(earlier.starts),
            repeats: self.repeats.saturating_sub(earlier.repeats),
            repeat_bytes: self.repeat_bytes.saturating_sub(earlier.repeat_bytes),
        }
    }
}

/// One stack's acts of one sort with one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActCounters {
    /// The process.
    pub process: ProcessId,
    /// The stack; 0 when there is none.
    pub stack: StackId,
    /// What it did.
    pub act: Act,
    /// The syscall's number, of [`Act::Wait`]; 1 for acts of a child's children; else 0.
    pub call: u16,
    /// What it was about; 0 where there is nothing.
    pub object: ObjectId,
    /// The sums.
    pub sums: Sums,
    /// Monotonic nanoseconds of the first.
    pub first_ns: u64,
    /// Monotonic nanoseconds of the last.
    pub last_ns: u64,
    /// `st_mode` of the descriptor that it was last about; 0 when unknown.
    pub mode: u16,
    /// The syscall that made that descriptor; 0 when unknown.
    pub made_by: u16,
    /// The flags of its file (O_APPEND, O_NONBLOCK, [`BY_POSITION`]); of [`Act::Connect`] the
    /// socket's type.
    pub flags: u32,
}

/// A process that a traced one made, or its descendant, until it is reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveChild {
    /// Who made it.
    pub process: ProcessId,
    /// Its pid.
    pub pid: u32,
    /// Its parent's pid.
    pub parent: u32,
    /// The stack that made it (the first of its line).
    pub stack: StackId,
    /// What it runs; 0: the same as its parent.
    pub command: ObjectId,
    /// Monotonic nanoseconds of the fork.
    pub born_ns: u64,
    /// Monotonic nanoseconds of the exit; 0 while it lives. Then nobody has reaped it yet.
    pub ended_ns: u64,
    /// CPU nanoseconds that it used, once it ended.
    pub cpu_ns: u64,
    /// Its status, as wait(2) has it, once it ended.
    pub status: u32,
    /// 0: a child; 1 and more: a child's child.
    pub depth: u32,
}

/// In [`ActCounters::flags`]: the last read or write said itself where it begins, as databases do.
pub const BY_POSITION: u32 = 1 << 31;

/// Buckets of a [`WaitHistogram`].
pub const WAIT_BUCKETS: usize = 40;

/// How long calls of one class took in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitHistogram {
    /// The process.
    pub process: ProcessId,
    /// The class.
    pub class: WaitClass,
    /// Calls. Of [`WaitClass::Open`], `Close`, `Stat` and `Map` those of 65,536 ns and more; closes
    /// in a trace only.
    pub count: u64,
    /// Their nanoseconds.
    pub ns: u64,
    /// Sum of what they returned: of reads and writes, the bytes.
    pub bytes: u64,
    /// Calls by the logarithm to base 2 of their nanoseconds, rounded down.
    pub buckets: [u64; WAIT_BUCKETS],
}
