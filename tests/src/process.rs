//! What `/proc` says of a process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

/// The descriptors that `pid` has open.
///
/// # Errors
/// When the process is gone.
pub fn descriptors(pid: u32) -> Result<BTreeSet<i64>> {
    let folder = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&folder).with_context(|| format!("failed to list {folder}"))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// What each descriptor of `pid` refers to, for error messages.
pub fn descriptor_targets(pid: u32) -> BTreeMap<i64, String> {
    let open = descriptors(pid).unwrap_or_default();
    open.into_iter()
        .filter_map(|fd| {
            let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?;
            Some((fd, target.display().to_string()))
        })
        .collect()
}

/// The scheduler state of each thread of `pid` (`R`, `S`, `T` stopped, `t` traced, …).
///
/// # Errors
/// When the process is gone.
pub fn thread_states(pid: u32) -> Result<Vec<char>> {
    let folder = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&folder).with_context(|| format!("failed to list {folder}"))?;
    Ok(entries
        .filter_map(|entry| {
            // A thread may end between the listing and the read.
            let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            stat_fields(&stat).first()?.chars().next()
        })
        .collect())
}

/// A process of the kernel's own, where this PID namespace shows one.
pub fn kernel_thread() -> Option<u32> {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let entries = fs::read_dir("/proc").ok()?;
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let flags = stat_fields(&stat).get(6).and_then(|field| field.parse::<u64>().ok());
        flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
    })
}

/// The fields of a `stat` line from the state on: the name before it may hold spaces and brackets.
fn stat_fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect())
}

/// Bytes of memory that `pid` holds.
///
/// # Errors
/// When the process is gone.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/statm");
    let statm = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    let pages: u64 = statm.split(' ').nth(1).context("statm has no second field")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
