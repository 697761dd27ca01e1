//! The uprobes of an interpreter: implicit closes, told by itself or by Python code, and code objects
//! that die.
//!
//! The kernel makes uprobes in two ways. As perf events they take CAP_SYS_ADMIN (`perf_uprobe_event_init`
//! in kernel/events/core.c), and all of the host are made and taken back one after the other, under one
//! lock that is held for a grace period of RCU: ten processes that end a second are more than it can.
//! As links of the kind `uprobe_multi`, since Linux 6.6, they take what loading takes
//! (`bpf_uprobe_multi_link_attach` in kernel/trace/bpf_trace.c), and none waits for another. But before
//! Linux 6.10 the pid of such a link is a thread's. A program is loaded for one way or the other.

use std::os::unix::fs::MetadataExt as _;
use std::{fs, mem};

use caps::{CapSet, Capability};
use libbpf_rs::{Link, ProgramAttachType, ProgramMut, UprobeMultiOpts, UprobeOpts};
use pitviper_probes::{OpenPitviperSkel, PitviperSkel};

use super::EbpfError;
use super::detacher::Detacher;
use super::kernel::has_uprobe_links;
use crate::event::ProcessId;
use crate::python::{Interpreter, ProbePoint};

/// Chooses the way before the programs are loaded. A kernel that has no such links loads them all the
/// same, and refuses the attachment.
pub(super) fn prepare(open: &mut OpenPitviperSkel<'static>) {
    let privileged = caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN);
    if has_uprobe_links() || !privileged.unwrap_or(false) {
        open.progs.code_dealloc.set_attach_type(ProgramAttachType::TraceUprobeMulti);
        open.progs.resource_warning.set_attach_type(ProgramAttachType::TraceUprobeMulti);
        open.progs.python_warning.set_attach_type(ProgramAttachType::TraceUprobeMulti);
    }
}

fn is_multi(program: &ProgramMut<'static>) -> bool {
    matches!(program.attach_type(), ProgramAttachType::TraceUprobeMulti)
}

fn probe(
    program: &ProgramMut<'static>,
    pid: i32,
    point: &ProbePoint,
) -> Result<Link, libbpf_rs::Error> {
    let offset = usize::try_from(point.file_offset).unwrap_or(usize::MAX);
    if is_multi(program) {
        let place = UprobeMultiOpts { offsets: vec![offset], ..UprobeMultiOpts::default() };
        program.attach_uprobe_multi_with_opts(pid, &point.path, "", place)
    } else {
        program.attach_uprobe_with_opts(pid, &point.path, offset, UprobeOpts::default())
    }
}

/// Where a uprobe is, whatever path leads there: device, inode, offset in the file.
type Place = (u64, u64, u64);

fn place_of(point: &ProbePoint) -> Option<Place> {
    let file = fs::metadata(&point.path).ok()?;
    Some((file.dev(), file.ino(), point.file_offset))
}

struct Attached {
    /// The process that it serves; `None`: all.
    owner: Option<ProcessId>,
    place: Place,
    link: Link,
}

/// Uprobes that are attached, and what could not be.
#[derive(Default)]
pub(super) struct Uprobes {
    attached: Vec<Attached>,
    detacher: Detacher<Link>,
    missing: Vec<String>,
}

impl Uprobes {
    /// Attaches to the interpreter of one process, `pid`; without a pid to every process that runs
    /// the same one, because a child must not run for a moment without them.
    pub(super) fn attach(
        &mut self,
        skeleton: &PitviperSkel<'static>,
        process: ProcessId,
        pid: Option<u32>,
        interpreter: &Interpreter,
    ) -> Result<(), EbpfError> {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        let owner = pid.map(|pid| (process, pid));
        let progs = &skeleton.progs;
        self.attach_one(
            &progs.code_dealloc,
            owner,
            interpreter.code_dealloc.as_ref(),
            "code objects that are freed go unseen: the name of a reused one can be stale",
        );
        self.attach_one(
            &progs.resource_warning,
            owner,
            interpreter.resource_warning.as_ref(),
            "unclosed-resource findings are off",
        );
        let known = interpreter.resource_warning_type.is_some();
        self.attach_one(
            &progs.python_warning,
            owner,
            interpreter.python_warning.as_ref().filter(|_| known),
            "unclosed resources that Python code warns of (asyncio, Popen, tempfile) go unseen",
        );
        Ok(())
    }

    fn attach_one(
        &mut self,
        program: &ProgramMut<'static>,
        owner: Option<(ProcessId, i32)>,
        point: Option<&ProbePoint>,
        without: &str,
    ) {
        let Some(point) = point else {
            self.miss(format!(
                "{without} (this build of the interpreter does not show where to look)"
            ));
            return;
        };
        let place = place_of(point);
        let (pid, owner) = owner.map_or((-1, None), |(process, pid)| (pid, Some(process)));
        if self.attached.iter().any(|one| one.owner == owner && Some(one.place) == place) {
            return;
        }
        match probe(program, pid, point) {
            Ok(link) => {
                if is_multi(program) && pid != -1 && !has_uprobe_links() {
                    self.miss(format!("{without} in other threads than the main one (before Linux 6.10 without CAP_SYS_ADMIN)"));
                }
                let place = place.unwrap_or_default();
                self.attached.push(Attached { owner, place, link });
            }
            Err(cause) => {
                self.miss(format!(
                    "{without} (no uprobe: {cause}; it takes Linux 6.10 or CAP_SYS_ADMIN)"
                ));
            }
        }
    }

    /// Says it once, however many processes it is so for.
    fn miss(&mut self, what: String) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    /// Detaches what served one process.
    pub(super) fn release(&mut self, process: ProcessId) {
        self.detach_those(|one| one.owner == Some(process));
    }

    /// Detaches what served the program before an exec. What is in the same file would follow the
    /// process into the new program, and see everything a second time: that is waited for.
    pub(super) fn release_at_exec(&mut self, process: ProcessId, interpreter: &Interpreter) {
        let points =
            [&interpreter.code_dealloc, &interpreter.resource_warning, &interpreter.python_warning];
        let places: Vec<Place> = points.into_iter().flatten().filter_map(place_of).collect();
        let follows = |one: &Attached| one.owner == Some(process) && places.contains(&one.place);
        let wait = self.attached.iter().any(follows);
        self.release(process);
        if wait {
            self.detacher.finish();
        }
    }

    fn detach_those(&mut self, those: impl Fn(&Attached) -> bool) {
        let (gone, stay) = mem::take(&mut self.attached).into_iter().partition(|one| those(one));
        self.attached = stay;
        let gone: Vec<Attached> = gone;
        self.detacher.detach(gone.into_iter().map(|one| one.link).collect());
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Detaches all, and waits until that is done.
    pub(super) fn detach(&mut self) {
        self.detach_those(|_| true);
        self.detacher.finish();
    }
}
