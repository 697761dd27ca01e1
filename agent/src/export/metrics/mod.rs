//! Prometheus metrics: `pitviper_*`, in base units, with bounded labels.
//!
//! The registry is made anew from the ledger for each exposition: series of processes that ended are
//! simply not there any more, and nothing can be left over; what must not be forgotten is in
//! [`Continuity`]. Pids and types of resources come from the
//! target, so only so many get a label of their own; the rest is summed up as `~other`.

mod activity;
mod agent;
mod alive;
mod catalogue;
mod continuity;
mod descriptors;
mod exemplars;
mod family;
mod findings;
mod histogram;
mod memory;
mod push;
#[cfg(test)]
mod tests;
mod text;
mod waits;

use std::collections::BTreeMap;
use std::fmt;

use super::WallClock;
use crate::detect::Board;
use crate::ledger::Ledger;
use crate::source::ProgramRun;
use alive::Alive;
use family::Scrape;

pub use catalogue::catalogue;
pub use continuity::Continuity;
pub use push::Pushed;
pub use text::Exposition;

/// Processes with a label of their own.
pub const PIDS: usize = 512;

/// Types of unclosed resources with a label of their own.
const TYPES: usize = 32;

/// The label of what did not get its own.
const OTHER: &str = "~other";

/// How the agent itself is doing, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Seconds of CPU that it has used.
    pub cpu_seconds: Option<f64>,
    /// Bytes of memory that it holds.
    pub resident_bytes: Option<u64>,
    /// Seconds that the exposition before this one took to make.
    pub scrape_seconds: Option<f64>,
    /// What each probe has run, by its name; empty where the kernel does not measure it.
    pub programs: BTreeMap<String, ProgramRun>,
    /// Entries and capacity of each kernel map, by name.
    pub maps: BTreeMap<&'static str, (u64, u64)>,
    /// Python processes of the host that are not watched, by the reason.
    pub left_out: Vec<(&'static str, u64)>,
    /// Connections of the web server by how they ended, where there is one.
    pub connections: Option<[(&'static str, u64); 3]>,
    /// The pushing of profiles, by receiver.
    pub pushed: Vec<Pushed>,
}

/// Everything there is to scrape, in both formats.
///
/// # Errors
/// When the encoder fails, which a string to write to gives no reason for.
pub fn exposition(
    ledger: &Ledger,
    board: &Board,
    health: &Health,
    clock: WallClock,
    continuity: &mut Continuity,
) -> Result<Exposition, fmt::Error> {
    let scrape = gather(ledger, board, health, clock, continuity);
    Exposition::encode(&scrape.registry, &scrape.exemplars)
}

fn gather<'a>(
    ledger: &Ledger,
    board: &Board,
    health: &Health,
    clock: WallClock,
    continuity: &'a mut Continuity,
) -> Scrape<'a> {
    let alive = Alive::of(ledger, continuity);
    let mut scrape = Scrape::new(continuity);
    let found = board.findings();
    agent::build(&mut scrape);
    descriptors::register(&mut scrape, &alive);
    descriptors::headroom(&mut scrape, &found, &alive);
    let types = descriptors::unclosed(&mut scrape, ledger, &alive);
    activity::register(&mut scrape, ledger, &alive);
    waits::register(&mut scrape, ledger, &alive);
    memory::register(&mut scrape, &alive);
    let lines = findings::register(&mut scrape, &found, &alive);
    agent::flows(&mut scrape, ledger);
    agent::state(&mut scrape, ledger, board, alive.count(), clock);
    agent::left_out(&mut scrape, health);
    alive.folded(&mut scrape, types, lines);
    agent::cost(&mut scrape, health);
    push::register(&mut scrape, &health.pushed);
    scrape
}
