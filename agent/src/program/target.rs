//! Facts about a process from /proc, for reports and limits.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use crate::ledger::MemorySample;

/// What a report says of a process.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Its pid.
    pub(super) pid: u32,
    /// Unix seconds at which it started.
    pub(super) start_time: f64,
    /// Its program.
    pub(super) executable: String,
    /// Its command line.
    pub(super) cmdline: Vec<String>,
    /// Its working directory.
    pub(super) directory: Option<PathBuf>,
    /// Its control group: the path in the hierarchy that systemd keeps.
    pub(super) cgroup: String,
}

/// Reads what is there; what cannot be read stays empty.
pub(super) fn facts(pid: u32) -> Facts {
    let process = i32::try_from(pid).ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    let executable = fs::read_link(format!("/proc/{pid}/exe"))
        .map(|path| path.to_string_lossy().into_owned())
        .unwrap_or_default();
    Facts {
        pid,
        start_time: process.as_ref().and_then(start_time).unwrap_or(0.0),
        executable,
        cmdline: process.as_ref().and_then(|p| p.cmdline().ok()).unwrap_or_default(),
        directory: fs::read_link(format!("/proc/{pid}/cwd")).ok(),
        cgroup: cgroup(pid),
    }
}

fn start_time(process: &procfs::process::Process) -> Option<f64> {
    let ticks = process.stat().ok()?.starttime;
    let boot = procfs::boot_time_secs().ok()?;
    Some(boot as f64 + ticks as f64 / procfs::ticks_per_second() as f64)
}

/// Whether the process that started then still runs.
pub(super) fn lives(pid: u32, start: f64) -> bool {
    let process = i32::try_from(pid).ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    process.is_some_and(|process| {
        start_time(&process) == Some(start)
            && process.stat().is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X' | 'x'))
    })
}

/// Most bytes that are read of a process's control groups: a dozen lines of a path each.
const MAX_CGROUPS: u64 = 64 << 10;

fn cgroup(pid: u32) -> String {
    let mut text = Vec::new();
    if let Ok(file) = fs::File::open(format!("/proc/{pid}/cgroup")) {
        // What was read until an error is whole lines or nothing.
        let _ = file.take(MAX_CGROUPS).read_to_end(&mut text);
    }
    systemd_path(&String::from_utf8_lossy(&text)).unwrap_or_default().to_owned()
}

/// The path in the hierarchy of version 2, or where that is empty, in systemd's own of version 1.
fn systemd_path(cgroups: &str) -> Option<&str> {
    let path_of = |prefix: &str| {
        let mut lines = cgroups.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(_, line)| line.strip_prefix(prefix)).filter(|path| *path != "/")
    };
    path_of(":").or_else(|| path_of("name=systemd:"))
}

/// Its children that run, where the kernel lists them (CONFIG_PROC_CHILDREN).
pub(super) fn children(pid: u32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The soft limit of open descriptors; `None` when unlimited or unknown.
pub(super) fn descriptor_limit(pid: u32) -> Option<u64> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    match process.limits().ok()?.max_open_files.soft_limit {
        procfs::process::LimitValue::Value(limit) => Some(limit),
        procfs::process::LimitValue::Unlimited => None,
    }
}

/// Memory, threads and CPU time of a process at `time_ns`; `None` when it is gone.
pub(super) fn memory(pid: u32, time_ns: u64) -> Option<MemorySample> {
    const TICK_NS: u64 = 1_000_000_000;
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    let (status, stat) = (process.status().ok()?, process.stat().ok()?);
    Some(MemorySample {
        time_ns,
        resident: status.vmrss? * 1024,
        anonymous: status.rssanon.unwrap_or(0) * 1024,
        threads: status.threads,
        cpu_ns: (stat.utime + stat.stime) * (TICK_NS / procfs::ticks_per_second()),
    })
}

/// Whether this program sees the pids that the kernel side does: those of the first namespace.
pub(super) fn in_first_pid_namespace() -> bool {
    // The kernel gives the first pid namespace this fixed number (include/linux/proc_ns.h).
    const FIRST: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() == FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_group_is_systemds() {
        for (text, path) in [
            ("0::/system.slice/shop.service\n", Some("/system.slice/shop.service")),
            ("5:cpu:/x\n1:name=systemd:/a.service\n0::/\n", Some("/a.service")),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(systemd_path(text), path, "{text}");
        }
    }
}
