//! Several checks at once: most of a test's time is waiting, and all failures are told together.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};

/// Runs `check` on each of `items`, `at_once` at a time; `name` tells them apart in the report.
///
/// # Errors
/// When at least one check failed: all that failed, each with its reason.
pub fn each<T: Sync>(
    at_once: usize,
    items: &[T],
    name: impl Fn(&T) -> String + Sync,
    check: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = check(item) {
                        let mut failures =
                            failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        failures.insert(name(item), format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if failures.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = failures.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    bail!("{} of {} failed:\n{}", failures.len(), items.len(), told.join("\n"))
}
