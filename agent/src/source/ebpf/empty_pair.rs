//! A pair of empty probes on every syscall: the yardstick of the benchmark of untraced processes.

use std::mem::MaybeUninit;

use libbpf_rs::Link;
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use pitviper_probes::empty::EmptySkelBuilder;

use super::EbpfError;

/// The pair; detached when dropped.
#[derive(Debug)]
pub struct EmptyPair {
    _links: [Link; 2],
}

impl EmptyPair {
    /// Attaches the pair.
    pub fn attach() -> Result<Self, EbpfError> {
        let wrong =
            |cause: libbpf_rs::Error| EbpfError::Load { cause: cause.to_string(), log: None };
        let mut storage = MaybeUninit::uninit();
        let open = EmptySkelBuilder::default().open(&mut storage).map_err(wrong)?;
        let skeleton = open.load().map_err(wrong)?;
        let exit = skeleton.progs.empty_exit.attach().map_err(wrong)?;
        let enter = skeleton.progs.empty_enter.attach().map_err(wrong)?;
        Ok(Self { _links: [exit, enter] })
    }
}
