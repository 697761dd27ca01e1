//! Reconciliation: the kernel's own tables decide what is open.
//!
//! Each pass runs the iterator over every watched process. It marks what it sees; what keeps an
//! older mark through two passes was closed without a call that is known (io_uring, a drop) and is
//! taken out, and what it enters and still stands a pass later was opened so. Both are drift.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use libbpf_rs::libbpf_sys;
use libbpf_rs::{AsRawLibbpf, Link, MapCore, MapFlags, MapMut};
use pitviper_probes::{PitviperSkel, types};

use super::{Ebpf, EbpfError, decode, tables, target};
use crate::event::ProcessId;

/// The iterator over one process's table.
pub(super) struct Table(Link);

impl Table {
    /// Kernels before 6.1 ignore the pid and go over every process; the program looks at the
    /// watched ones only, so that this is slower and not wrong.
    pub(super) fn open(skeleton: &PitviperSkel<'static>, pid: u32) -> Result<Self, EbpfError> {
        let mut info = libbpf_sys::bpf_iter_link_info::default();
        info.task.pid = pid;
        let options = libbpf_sys::bpf_iter_attach_opts {
            sz: size_of::<libbpf_sys::bpf_iter_attach_opts>() as _,
            link_info: &raw mut info,
            link_info_len: size_of::<libbpf_sys::bpf_iter_link_info>() as u32,
            ..Default::default()
        };
        let program = skeleton.progs.reconcile.as_libbpf_object();
        // SAFETY: the program is loaded and lives as long as the skeleton; `options` and `info`
        // outlive the call, which copies them.
        let link = unsafe { libbpf_sys::bpf_program__attach_iter(program.as_ptr(), &options) };
        let Some(link) = NonNull::new(link) else {
            return Err(EbpfError::Reconcile { cause: std::io::Error::last_os_error() });
        };
        // SAFETY: the pointer is a link that libbpf just made and nobody else owns.
        Ok(Self(unsafe { Link::from_ptr(link) }))
    }

    fn run(&self) -> Result<(), EbpfError> {
        let wrong = |cause| EbpfError::Reconcile { cause };
        // SAFETY: the link's descriptor is open; the call makes a new one or returns an error.
        let fd = unsafe { libbpf_sys::bpf_iter_create(self.0.as_fd().as_raw_fd()) };
        if fd < 0 {
            return Err(wrong(std::io::Error::from_raw_os_error(-fd)));
        }
        // SAFETY: the descriptor was just made and has no other owner.
        let mut iterator = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        // The program writes nothing: one read runs it to the end.
        iterator.read_to_end(&mut Vec::new()).map(drop).map_err(wrong)
    }
}

/// What reconciliations found about one process.
#[derive(Default)]
pub(super) struct Checks {
    forked: bool,
    actual: Option<u64>,
    drift: u64,
    /// Entered by a pass and still there; drift once a second pass saw them, before that they may
    /// be births whose call is not out of the kernel yet.
    found: BTreeMap<u32, Found>,
    /// Not seen by the last pass; gone if not seen by the next either.
    unseen: BTreeMap<u32, u64>,
    /// Closes that no call showed, by stack.
    closed_unseen: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy)]
struct Found {
    born_ns: u64,
    counted: bool,
}

impl Checks {
    /// For a process that began as a copy: what it has at first is inherited.
    pub(super) fn forked() -> Self {
        Self { forked: true, ..Self::default() }
    }

    pub(super) fn is_forked(&self) -> bool {
        self.forked
    }

    pub(super) fn actual(&self) -> Option<u64> {
        self.actual
    }

    pub(super) fn drift(&self) -> u64 {
        self.drift
    }

    pub(super) fn closed_unseen(&self, stack: u64) -> u64 {
        self.closed_unseen.get(&stack).copied().unwrap_or(0)
    }
}

/// Takes an entry out; false when its close came meanwhile, or its number has been born again.
fn take_out(map: &MapMut<'_>, key: &types::descriptor_key, entry: &types::descriptor) -> bool {
    let raw = decode::bytes(key);
    let Ok(found) = map.lookup_and_delete(raw) else {
        // Before 5.14 it cannot be had at once.
        return map.delete(raw).is_ok();
    };
    let Some(found) = found else { return false };
    let now: types::descriptor = decode::read(&found);
    let newborn = now.born_ns != entry.born_ns;
    let living = tables::state(&now) < types::descriptor_origin::ORIGIN_CLOSED.0;
    if newborn && living {
        // It is refused where the number has been entered again since.
        let _ = map.update(raw, &found, MapFlags::NO_EXIST);
    }
    living && !newborn
}

/// Which processes a pass is over, and what it makes of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// All, as each second.
    Over,
    /// One that executed another program: what is not seen is gone.
    AtOnce(ProcessId),
}

impl Ebpf {
    fn next_pass(&mut self) {
        self.pass += 1;
        if let Some(bss) = self.skeleton.maps.bss_data.as_deref_mut() {
            bss.reconcile_pass = self.pass;
        }
    }

    /// Enters what a process has open that is just being watched.
    pub(super) fn enter_open(&mut self, process: ProcessId) -> Result<(), EbpfError> {
        self.next_pass();
        let table = self.watched.get(&process).and_then(|watched| watched.table.as_ref());
        table.map_or(Ok(()), Table::run)
    }

    /// One pass.
    pub(super) fn reconcile(&mut self, pass: Pass) -> Result<(), EbpfError> {
        self.next_pass();
        let began = tables::now_ns();
        let at_once = matches!(pass, Pass::AtOnce(_));
        let seen = |pid| target(&self.skeleton, pid).map_or(0, |target| target.seen);
        for (process, watched) in &mut self.watched {
            watched.checks.actual = None;
            if pass != Pass::Over && pass != Pass::AtOnce(*process) {
                continue;
            }
            if let Some(table) = &watched.table {
                let before = seen(watched.pid);
                if let Err(error) = table.run() {
                    // It is compared the next time: one process must not end the watch of all.
                    let why = format!("a process's descriptors could not be compared: {error}");
                    if !self.missing.contains(&why) {
                        self.missing.push(why);
                    }
                    continue;
                }
                let now = seen(watched.pid).wrapping_sub(before);
                watched.checks.actual = Some(now.into());
            }
        }
        let map = &self.skeleton.maps.descriptors;
        let all = self.living()?;
        let mut unseen: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
        let mut found: BTreeMap<u32, BTreeMap<u32, Found>> = BTreeMap::new();
        for (key, entry) in all {
            let process = ProcessId(key.process);
            let Some(watched) = self.watched.get_mut(&process) else { continue };
            if watched.checks.actual.is_none() {
                continue; // not looked at; of one that ended, what it held last is what there is to say
            }
            let checks = &mut watched.checks;
            if entry.pass == self.pass {
                if tables::state(&entry) == types::descriptor_origin::ORIGIN_FOUND.0 {
                    let before = checks.found.get(&key.fd).filter(|f| f.born_ns == entry.born_ns);
                    if before.is_some_and(|f| !f.counted) {
                        checks.drift += 1;
                    }
                    let now = Found { born_ns: entry.born_ns, counted: before.is_some() };
                    found.entry(key.process).or_default().insert(key.fd, now);
                }
            } else if entry.born_ns < began {
                let before = checks.unseen.get(&key.fd) == Some(&entry.born_ns);
                if !(before || at_once) {
                    unseen.entry(key.process).or_default().insert(key.fd, entry.born_ns);
                    continue;
                }
                if take_out(map, &key, &entry) {
                    *checks.closed_unseen.entry(entry.stack).or_default() += 1;
                    checks.drift += u64::from(!at_once);
                }
            }
        }
        let looked_at = self.watched.iter_mut().filter(|(_, w)| w.checks.actual.is_some());
        for (process, watched) in looked_at {
            watched.checks.unseen = unseen.remove(&process.0).unwrap_or_default();
            watched.checks.found = found.remove(&process.0).unwrap_or_default();
        }
        Ok(())
    }
}
