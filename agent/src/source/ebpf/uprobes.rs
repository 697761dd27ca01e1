//! The two uprobes of an interpreter: implicit closes, and code objects that die.
//!
//! The kernel makes uprobes in two ways. As perf events they take CAP_SYS_ADMIN (`perf_uprobe_event_init`
//! in kernel/events/core.c). As links of the kind `uprobe_multi`, since Linux 6.6, they take what
//! loading takes (`bpf_uprobe_multi_link_attach` in kernel/trace/bpf_trace.c): so an agent that is not
//! root has them there too. A program is loaded for one way or the other.

use std::collections::BTreeSet;

use caps::{CapSet, Capability};
use libbpf_rs::{Link, ProgramAttachType, ProgramMut, UprobeMultiOpts, UprobeOpts};
use pitviper_probes::{OpenPitviperSkel, PitviperSkel};

use super::EbpfError;
use crate::event::ProcessId;
use crate::python::{Interpreter, ProbePoint};

/// Chooses the way before the programs are loaded. A kernel that has no such links loads them all the
/// same, and refuses the attachment.
pub(super) fn prepare(open: &mut OpenPitviperSkel<'static>) {
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false) {
        open.progs.code_dealloc.set_attach_type(ProgramAttachType::TraceUprobeMulti);
        open.progs.resource_warning.set_attach_type(ProgramAttachType::TraceUprobeMulti);
    }
}

fn probe(
    program: &ProgramMut<'static>,
    pid: i32,
    point: &ProbePoint,
) -> Result<Link, libbpf_rs::Error> {
    let offset = usize::try_from(point.file_offset).unwrap_or(usize::MAX);
    if matches!(program.attach_type(), ProgramAttachType::TraceUprobeMulti) {
        let place = UprobeMultiOpts { offsets: vec![offset], ..UprobeMultiOpts::default() };
        program.attach_uprobe_multi_with_opts(pid, &point.path, "", place)
    } else {
        program.attach_uprobe_with_opts(pid, &point.path, offset, UprobeOpts::default())
    }
}

/// Uprobes that are attached, and what could not be.
#[derive(Default)]
pub(super) struct Uprobes {
    /// With the process that one serves; `None`: it serves all.
    links: Vec<(Option<ProcessId>, Link)>,
    attached: BTreeSet<(std::path::PathBuf, u64)>,
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
            self.miss(format!("{without} (the interpreter does not export the symbol)"));
            return;
        };
        if owner.is_none() && !self.attached.insert((point.path.clone(), point.file_offset)) {
            return;
        }
        let pid = owner.map_or(-1, |(_, pid)| pid);
        match probe(program, pid, point) {
            Ok(link) => self.links.push((owner.map(|(process, _)| process), link)),
            Err(cause) => {
                self.miss(format!(
                    "{without} (no uprobe: {cause}; it takes Linux 6.6 or CAP_SYS_ADMIN)"
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
        self.links.retain(|(owner, _)| *owner != Some(process));
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    pub(super) fn detach(&mut self) {
        self.links.clear();
        self.attached.clear();
    }
}
