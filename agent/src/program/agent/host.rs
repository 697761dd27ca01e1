//! The host's processes, read from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};

use procfs::ProcError;
use procfs::process::StatFlags;

use super::roster::Sighting;
use super::selection::Candidate;
use crate::program::service::ServiceNames;
use crate::program::target;

/// Most bytes of the list of users.
const MAX_USERS: u64 = 8 << 20;

/// Every process but kernel threads, those that have ended, and this one.
///
/// # Errors
/// When they cannot be listed, which says nothing of any of them.
pub(super) fn processes() -> io::Result<Vec<Sighting>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else { continue };
        match sighting(pid) {
            Ok(seen) => all.extend(seen),
            // It is there, and cannot be looked at now.
            Err(cause) => return Err(cause),
        }
    }
    Ok(all)
}

/// `None` of what is none to follow; an error where this process has no descriptors left to look with.
fn sighting(pid: u32) -> io::Result<Option<Sighting>> {
    let Ok(number) = i32::try_from(pid) else { return Ok(None) };
    let stat = match procfs::process::Process::new(number).and_then(|process| process.stat()) {
        Ok(stat) => stat,
        Err(ProcError::Io(cause, _)) if is_exhausted(&cause) => return Err(cause),
        Err(_) => return Ok(None),
    };
    let flags = StatFlags::from_bits_retain(stat.flags);
    if flags.contains(StatFlags::PF_KTHREAD) || matches!(stat.state, 'Z' | 'X' | 'x') {
        return Ok(None);
    }
    // The stack's start is random and set anew by each exec; a fork keeps it.
    Ok(Some(Sighting { pid, start: stat.starttime, image: stat.startstack }))
}

fn is_exhausted(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

/// Names of users by their number.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<u32, String>);

impl Users {
    /// The local ones.
    pub(super) fn read() -> Self {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open("/etc/passwd") {
            // What was read until an error serves.
            let _ = file.take(MAX_USERS).read_to_end(&mut text);
        }
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Self {
        let user = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((fields.nth(1)?.parse().ok()?, name))
        };
        Self(text.lines().filter_map(user).collect())
    }

    fn name(&self, number: u32) -> String {
        self.0.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }
}

/// What the rules look at.
pub(super) fn candidate(pid: u32, users: &Users, services: &ServiceNames) -> Candidate {
    let facts = target::facts(pid);
    let status = i32::try_from(pid)
        .ok()
        .and_then(|pid| procfs::process::Process::new(pid).ok()?.status().ok());
    Candidate {
        user: status.map(|status| users.name(status.euid)).unwrap_or_default(),
        service: services.of(&facts),
        cmdline: facts.cmdline.join(" "),
        cgroup: facts.cgroup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_or_numbers() {
        let users = Users::parse("root:x:0:0:root:/root:/bin/sh\nbad\nwww:x:33:33::/:/bin/false\n");
        assert_eq!(users.name(33), "www");
        assert_eq!(users.name(1234), "1234");
    }

    #[test]
    fn this_process_is_not_among_them() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let seen = processes().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen.iter().any(|one| one.pid == child.id()));
        assert!(seen.iter().all(|one| one.pid != std::process::id()));
    }
}
