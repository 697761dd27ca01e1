//! Handing what it takes to name the running task to the kernel side.

use libbpf_rs::{MapCore, MapFlags};
use pitviper_probes::types;

use super::decode::{self, Plain};
use super::{Ebpf, EbpfError, target};
use crate::event::ProcessId;
use crate::python::{Asyncio, RunningTasks, Trio};

/// What the kernel side takes for "this interpreter has no such field".
const ABSENT: u16 = 0xffff;

impl Plain for types::asyncio {}
impl Plain for types::trio {}

impl Ebpf {
    /// From now on a stall of an event loop in this process has the name of the task.
    pub fn name_tasks(
        &mut self,
        process: ProcessId,
        pid: u32,
        asyncio: &Asyncio,
    ) -> Result<(), EbpfError> {
        let Some(target) = target(&self.skeleton, pid).filter(|t| t.process == process.0) else {
            return Ok(()); // it ended
        };
        let value = types::asyncio {
            current_tasks: match asyncio.running {
                RunningTasks::Dict(address) => address,
                RunningTasks::ThreadState(_) => 0,
            },
            running_task: match asyncio.running {
                RunningTasks::Dict(_) => 0,
                RunningTasks::ThreadState(offset) => offset.into(),
            },
            process: process.0,
            named: 0,
            task_coro: asyncio.task_coro,
            task_name: asyncio.task_name,
            coro_frame: asyncio.coro_frame,
            frame_inside: asyncio.frame_inside.into(),
            keys_size: asyncio.keys.size,
            keys_log: asyncio.keys.log.unwrap_or(ABSENT),
            keys_count: asyncio.keys.count,
            keys_indices: asyncio.keys.indices,
        };
        self.skeleton
            .maps
            .asyncios
            .update(&target.space.to_ne_bytes(), decode::bytes(&value), MapFlags::ANY)
            .map_err(|cause| EbpfError::Map { action: "write", map: "asyncios", cause })
    }

    /// The same of the tasks of trio.
    pub fn name_trio_tasks(
        &mut self,
        process: ProcessId,
        pid: u32,
        trio: &Trio,
    ) -> Result<(), EbpfError> {
        let Some(target) = target(&self.skeleton, pid).filter(|t| t.process == process.0) else {
            return Ok(()); // it ended
        };
        let value = types::trio {
            task_type: trio.task_type,
            driver: trio.driver,
            process: process.0,
            named: 0,
            task_coro: trio.task_coro,
            task_name: trio.task_name,
            coro_frame: trio.coro_frame,
            frame_inside: trio.frame_inside.into(),
            locals: trio.locals,
            ..types::trio::default()
        };
        self.skeleton
            .maps
            .trios
            .update(&target.space.to_ne_bytes(), decode::bytes(&value), MapFlags::ANY)
            .map_err(|cause| EbpfError::Map { action: "write", map: "trios", cause })
    }
}
