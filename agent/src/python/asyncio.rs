//! Where asyncio keeps the tasks that run, so that the kernel side can name the one that blocks.
//!
//! To 3.13 `_asyncio._current_tasks` is a dict from each loop to its running task, on whatever thread
//! and of whatever make (uvloop uses it too); from 3.14 on each thread state has its own task. It
//! comes with the first import of asyncio, which may be long after the attach: see [`ModuleSearch`].

use super::dict::{self, KeysLayout};
use super::interpreter::Interpreter;
use super::memory::{Bounded, ReadError, ReadMemory};
use super::modules::{ModuleSearch, member, module_dict};
use super::task_offsets::TaskOffsets;

/// `tp_basicsize` of `PyTypeObject`, behind its head.
const BASIC_SIZE: u64 = 16;

/// What it takes to name the running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asyncio {
    /// Where the running tasks are.
    pub running: RunningTasks,
    /// Offset of `task_coro` in `TaskObj`.
    pub task_coro: u16,
    /// Offset of `task_name` in `TaskObj`.
    pub task_name: u16,
    /// Offset of its frame in a coroutine, or to 3.10 of the pointer to it.
    pub coro_frame: u16,
    /// The frame lies in the coroutine (3.11+).
    pub frame_inside: bool,
    /// The dict's keys.
    pub keys: KeysLayout,
}

impl Asyncio {
    /// Looks whether asyncio is there by now. `tasks` tells the offsets where the process states
    /// them itself (3.14+).
    ///
    /// # Errors
    ///
    /// Those of reading memory, which changes under the look: ask again.
    pub fn look(
        search: &mut ModuleSearch,
        memory: &impl ReadMemory,
        interpreter: &Interpreter,
        tasks: impl Fn() -> Option<TaskOffsets>,
    ) -> Result<Option<Self>, ReadError> {
        let memory = &Bounded::new(memory);
        search.look(memory, interpreter, |modules| asyncio(memory, interpreter, modules, &tasks))
    }
}

/// Where asyncio keeps the tasks that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunningTasks {
    /// The address of a dict from each loop to its task.
    Dict(u64),
    /// The offset of the thread's task in each thread state (3.14+).
    ThreadState(u16),
}

/// The offsets of `task_coro` in a `TaskObj` of `size` bytes: what lies behind it is the same in
/// every patch release (`Modules/_asynciomodule.c`), what lies before it is not. The kernel side
/// checks both it and the name behind it.
fn task_coro(minor: u8, size: u64) -> Option<u16> {
    let tail = match minor {
        ..=10 => 32,
        11 | 12 => 40,
        _ => 24,
    };
    let offset = size.checked_sub(tail)?;
    (offset.is_multiple_of(8) && (64..512).contains(&offset)).then_some(offset as u16)
}

fn asyncio(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    modules: u64,
    tasks: impl Fn() -> Option<TaskOffsets>,
) -> Result<Option<Asyncio>, ReadError> {
    let Some(module) = member(memory, interpreter, modules, "_asyncio")? else { return Ok(None) };
    let minor = interpreter.version.minor;
    if minor >= 14 {
        return Ok(tasks().map(|offsets| Asyncio {
            running: RunningTasks::ThreadState(offsets.running_task),
            task_coro: offsets.coro,
            task_name: offsets.name,
            coro_frame: interpreter.layout.generator_frame,
            frame_inside: true,
            keys: KeysLayout::of(interpreter.version),
        }));
    }
    let names = module_dict(memory, interpreter, module)?;
    let current = member(memory, interpreter, names, "_current_tasks")?;
    let task = member(memory, interpreter, names, "Task")?;
    let (Some(current_tasks), Some(task)) = (current, task) else { return Ok(None) };
    if !dict::is_dict(memory, &interpreter.layout, current_tasks)? {
        return Ok(None);
    }
    let head = u64::from(interpreter.layout.object_size);
    let size = memory.read_u64(task.wrapping_add(head + BASIC_SIZE))?;
    let Some(task_coro) = task_coro(minor, size) else {
        return Err(ReadError::Implausible { address: task, what: "the size of asyncio's tasks" });
    };
    Ok(Some(Asyncio {
        running: RunningTasks::Dict(current_tasks),
        task_coro,
        task_name: task_coro + 8,
        coro_frame: interpreter.layout.generator_frame,
        frame_inside: minor >= 11,
        keys: KeysLayout::of(interpreter.version),
    }))
}
