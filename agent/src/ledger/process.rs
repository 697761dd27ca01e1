//! What is known of one process, and what it has open in all.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::source::{DescriptorOrigin, TableCheck};

use super::{DescriptorKind, History, MemoryHistory, Sample};

/// What the attach found out about a process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessInfo {
    /// Its pid in the initial namespace.
    pub pid: u32,
    /// The pid of its parent, where it is followed because of that.
    pub parent: Option<u32>,
    /// When it started, in seconds of Unix time.
    pub start_time: f64,
    /// The interpreter's version: `3.11.7`.
    pub python: String,
    /// What it is called among others: the module or script that it runs.
    pub service: String,
    /// What `/proc/PID/exe` points to.
    pub executable: String,
    /// Its command line, an argument an element.
    pub cmdline: Vec<String>,
    /// Its working directory: what file names without a leading `/` are relative to.
    pub working_directory: Option<PathBuf>,
    /// The soft `RLIMIT_NOFILE`; `None` when unknown or unlimited.
    pub descriptor_limit: Option<u64>,
    /// Descriptors that were open at the attach.
    pub descriptors_open: u64,
}

/// Descriptors of one kind in one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindTotals {
    /// Open, and read, written or polled within the last minute (or made within it).
    pub used: u64,
    /// Open, and untouched for longer.
    pub idle: u64,
    /// Opened since the attach.
    pub opened: u64,
    /// Of those, closed.
    pub closed: u64,
}

/// One process in the ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// What the attach found out.
    pub info: ProcessInfo,
    /// Monotonic nanoseconds at which it ended.
    pub ended_ns: Option<u64>,
    /// Descriptors open now, by the way they came.
    pub by_origin: BTreeMap<DescriptorOrigin, u64>,
    /// Descriptors by kind.
    pub by_kind: BTreeMap<DescriptorKind, KindTotals>,
    /// Descriptors open now whose number is below the soft limit. What was opened under a higher limit
    /// may lie above, and takes nothing from it.
    pub below_limit: u64,
    /// How the kernel's own table compared with the ledger at the last reconciliation.
    pub table: Option<TableCheck>,
    /// It uses io_uring: descriptors may come and go without a syscall.
    pub io_uring: bool,
    /// Memory, threads and CPU time.
    pub memory: MemoryHistory,
    pub(super) history: History,
    before_attach: BTreeMap<DescriptorKind, (u64, History)>,
}

impl Process {
    /// Descriptors open now, whatever their origin.
    pub fn open(&self) -> u64 {
        self.by_origin.values().sum()
    }

    /// Descriptors open now that were open at the attach.
    pub fn before_attach(&self) -> u64 {
        self.by_origin.get(&DescriptorOrigin::BeforeAttach).copied().unwrap_or(0)
    }

    /// How the number of open descriptors moved; only `alive` is filled in.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How the descriptors of `kind` that were open at the attach became fewer; only `alive` is
    /// filled in. Their calls were not seen, so kinds that share an inode's type share a history.
    /// `None` when there was none.
    pub fn before_attach_history(&self, kind: DescriptorKind) -> Option<&History> {
        self.before_attach.get(&kind.by_mode()).map(|(_, history)| history)
    }

    pub(super) fn count_before_attach(&mut self, kind: DescriptorKind) {
        self.before_attach.entry(kind.by_mode()).or_default().0 += 1;
    }

    pub(super) fn forget_open(&mut self) {
        self.by_origin.clear();
        self.below_limit = 0;
        for totals in self.by_kind.values_mut() {
            totals.used = 0;
            totals.idle = 0;
        }
        for (count, _) in self.before_attach.values_mut() {
            *count = 0;
        }
    }

    pub(super) fn settle(&mut self, now_ns: u64) {
        let sample =
            |alive: u64| Sample { time_ns: now_ns, alive: alive as f64, ..Sample::default() };
        self.history.push(sample(self.open()));
        for (count, history) in self.before_attach.values_mut() {
            history.push(sample(*count));
        }
    }
}
