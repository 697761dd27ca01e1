//! How much the ledger may hold. A target decides how many lines, processes and types there are, so
//! each of its maps has a bound, and what does not fit is counted.

/// Bounds of the ledger's maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processes known at once; the ended ones leave first. A process costs a few kB.
    pub processes: usize,
    /// Accounts (pairs of a line and a kind of descriptor) over all processes. An account costs up
    /// to 14 kB of history: 2,048 of them stay under 30 MB.
    pub accounts: usize,
    /// Stacks remembered with the line that is responsible for them; about 100 bytes each.
    pub stacks: usize,
    /// Sorts of acts by line, over all processes; about 20 kB each when busy, and less than 1 kB at
    /// rest. Those that rest leave when it is full.
    pub conducts: usize,
    /// Files, peers and commands that are known by name; about 200 bytes each.
    pub objects: usize,
    /// Pairs of a line and a type that the collector closed.
    pub unclosed: usize,
    /// Observations that a stack may stay without frames before its descriptors are booked on
    /// "no line". The frames travel by another channel than the counters and may come later; three
    /// observations are three seconds.
    pub unresolved_observations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            processes: 1_024,
            accounts: 2_048,
            stacks: 65_536,
            conducts: 2_048,
            objects: 32_768,
            unclosed: 2_048,
            unresolved_observations: 3,
        }
    }
}

impl Limits {
    /// Limits beside a source that watches so many processes at once, each with its share of lines,
    /// and tells so many stacks apart.
    pub fn beside(processes: u32, stacks: u32) -> Self {
        let (least, processes, stacks) = (Self::default(), processes as usize, stacks as usize);
        Self {
            processes: least.processes.max(2 * processes),
            accounts: least.accounts.max(8 * processes),
            conducts: least.conducts.max(16 * processes),
            stacks: least.stacks.max(2 * stacks),
            objects: least.objects.max(stacks),
            ..least
        }
    }
}

/// What did not fit into [`Limits`], counted in records: a descriptor or a counter, anew with each
/// observation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Records of processes that were not taken in.
    pub processes: u64,
    /// Records that were booked on a `~other` account because there were too many lines.
    pub accounts: u64,
    /// Records that were booked on a `~other` account because there were too many stacks.
    pub stacks: u64,
    /// Records of implicit closes that were left out.
    pub unclosed: u64,
    /// Snapshots that were not newer than the one before.
    pub stale_snapshots: u64,
}
