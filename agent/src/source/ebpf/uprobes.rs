//! The two uprobes of an interpreter: implicit closes, and code objects that die.

use std::collections::BTreeSet;

use libbpf_rs::{Link, ProgramMut, UprobeOpts};
use pitviper_probes::PitviperSkel;

use super::EbpfError;
use crate::python::{Interpreter, ProbePoint};

/// Uprobes that are attached, and what could not be.
#[derive(Default)]
pub(super) struct Uprobes {
    links: Vec<Link>,
    attached: BTreeSet<(std::path::PathBuf, u64)>,
    missing: Vec<String>,
}

impl Uprobes {
    /// Attaches to the interpreter of one process; with `follow` to every process that runs the
    /// same one, because a child must not run for a moment without them.
    pub(super) fn attach(
        &mut self,
        skeleton: &PitviperSkel<'static>,
        pid: u32,
        interpreter: &Interpreter,
        follow: bool,
    ) -> Result<(), EbpfError> {
        let pid = if follow { -1 } else { i32::try_from(pid).unwrap_or(-1) };
        let progs = &skeleton.progs;
        self.attach_one(
            &progs.code_dealloc,
            pid,
            interpreter.code_dealloc.as_ref(),
            "code objects that are freed go unseen: the name of a reused one can be stale",
        );
        self.attach_one(
            &progs.resource_warning,
            pid,
            interpreter.resource_warning.as_ref(),
            "unclosed-resource findings are off",
        );
        Ok(())
    }

    fn attach_one(
        &mut self,
        program: &ProgramMut<'static>,
        pid: i32,
        point: Option<&ProbePoint>,
        without: &str,
    ) {
        let Some(point) = point else {
            self.missing.push(format!("{without} (the interpreter does not export the symbol)"));
            return;
        };
        if pid == -1 && !self.attached.insert((point.path.clone(), point.file_offset)) {
            return;
        }
        let offset = usize::try_from(point.file_offset).unwrap_or(usize::MAX);
        match program.attach_uprobe_with_opts(pid, &point.path, offset, UprobeOpts::default()) {
            Ok(link) => self.links.push(link),
            Err(cause) => self
                .missing
                .push(format!("{without} (no uprobe: {cause}; it takes root or CAP_SYS_ADMIN)")),
        }
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    pub(super) fn detach(&mut self) {
        self.links.clear();
        self.attached.clear();
    }
}
