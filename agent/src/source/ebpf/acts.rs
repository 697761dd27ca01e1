//! Reading what the kernel side has summed of acts, children and waits.

use std::path::Path;

use libbpf_rs::MapCore;
use pitviper_probes::types;
use pitviper_probes::types::{act as A, mapped as M};

use super::decode::Plain;
use super::entries::entries;
use super::{Ebpf, EbpfError, calls, stack_id};
use crate::event::ProcessId;
use crate::source::{Act, ActCounters, LiveChild, Mapped, Sums, WaitHistogram};

impl Plain for types::act_key {}
impl Plain for types::act_sum {}
impl Plain for types::child {}
impl Plain for types::wait_key {}
impl Plain for types::wait_sum {}
impl Plain for types::object_life {}
impl Plain for types::file_key {}
impl Plain for types::file_state {}
impl Plain for types::mapping_key {}
impl Plain for types::mapping {}
impl Plain for types::connecting {}

fn mapped(kind: u16) -> Mapped {
    match M(kind.into()) {
        M::MAPPED_ANONYMOUS => Mapped::Anonymous,
        M::MAPPED_FILE => Mapped::File,
        M::MAPPED_STACK => Mapped::Stack,
        M::MAPPED_HEAP => Mapped::Heap,
        _ => Mapped::Reserved,
    }
}

/// `None` for an act that this version does not know.
fn act(act: u16, call: u16) -> Option<Act> {
    Some(match A(act.into()) {
        A::ACT_SPAWN => Act::Spawn,
        A::ACT_THREAD => Act::Thread,
        A::ACT_THREAD_END => Act::ThreadEnd,
        A::ACT_EXEC => Act::Exec,
        A::ACT_CHILD => Act::Child,
        A::ACT_OPEN => Act::Open,
        A::ACT_CONNECT => Act::Connect,
        A::ACT_CONNECTION => Act::Connection,
        A::ACT_READ => Act::Read,
        A::ACT_WRITE => Act::Write,
        A::ACT_SYNC => Act::Sync,
        A::ACT_LIST => Act::List,
        A::ACT_STAT => Act::Stat,
        A::ACT_MAP => Act::Map(mapped(call)),
        A::ACT_UNMAP => Act::Unmap(mapped(call)),
        A::ACT_WAIT => Act::Wait(calls::wait_of(call)),
        A::ACT_STALL => Act::Stall,
        A::ACT_QUEUE => Act::Queue,
        A::ACT_OFF_CPU => Act::OffCpu,
        A::ACT_ON_CPU => Act::OnCpu,
        A::ACT_TOUCH => Act::Touch,
        _ => return None,
    })
}

/// The kernel tells of the end of a zombie a grace period of RCU later, and not always: now and then
/// it does not run the program.
fn is_reaped(pid: u32, child: &types::child) -> bool {
    child.ended_ns != 0 && !Path::new(&format!("/proc/{pid}")).exists()
}

/// What the kernel side has summed under one key; `None` of an act that this version does not know,
/// and of a sum that another CPU begins at this moment: its time is not set yet.
pub(super) fn counters(key: &types::act_key, sum: &types::act_sum) -> Option<ActCounters> {
    if sum.count == 0 {
        return None;
    }
    Some(ActCounters {
        process: ProcessId(key.process),
        stack: stack_id(key.stack),
        act: act(key.act, key.call)?,
        call: key.call,
        object: key.object,
        sums: Sums {
            count: sum.count,
            failed: sum.failed,
            bytes: sum.bytes,
            ns: sum.ns,
            max_ns: sum.max_ns,
            queued_ns: sum.queued_ns,
            starts: sum.starts,
            repeats: sum.repeats,
            repeat_bytes: sum.repeat_bytes,
        },
        first_ns: sum.first_ns,
        last_ns: sum.last_ns,
        mode: sum.mode,
        made_by: sum.made_by,
        flags: sum.flags,
    })
}

impl Ebpf {
    pub(super) fn children(&self) -> Result<Vec<LiveChild>, EbpfError> {
        let map = &self.skeleton.maps.children;
        let mut all = entries::<u32, types::child>(map, "children")?;
        all.retain(|(pid, child)| {
            let reaped = is_reaped(*pid, child);
            if reaped {
                // A failure means that the kernel side has taken it out meanwhile.
                let _ = map.delete(&pid.to_ne_bytes());
            }
            !reaped
        });
        let children = all.into_iter().map(|(pid, child)| LiveChild {
            process: ProcessId(child.process),
            pid,
            parent: child.parent,
            stack: stack_id(child.stack),
            command: child.command,
            born_ns: child.born_ns,
            ended_ns: child.ended_ns,
            cpu_ns: child.cpu_ns,
            status: child.status,
            depth: child.depth,
        });
        Ok(children.collect())
    }

    pub(super) fn waits(&self) -> Result<Vec<WaitHistogram>, EbpfError> {
        let all = entries::<types::wait_key, types::wait_sum>(&self.skeleton.maps.waits, "waits")?;
        let waits = all.into_iter().map(|(key, sum)| WaitHistogram {
            process: ProcessId(key.process),
            class: calls::wait_from(key.class),
            count: sum.count,
            ns: sum.ns,
            bytes: sum.bytes,
            buckets: sum.buckets,
        });
        Ok(waits.collect())
    }
}
