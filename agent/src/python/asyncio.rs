//! Where asyncio keeps the tasks that run, so that the kernel side can name the one that blocks.
//!
//! To 3.13 `_asyncio._current_tasks` is a dict from each loop to its running task, on whatever thread
//! and of whatever make (uvloop uses it too); from 3.14 on each thread state has its own task. It
//! comes with the first import of asyncio, which may be long after the attach:
//! [`AsyncioSearch::look`] is cheap enough to be asked each second.

use super::dict::{self, Entries, KeysLayout};
use super::interpreter::Interpreter;
use super::memory::{Fields, ReadError, ReadMemory};
use super::task_offsets::TaskOffsets;
use super::walk::interpreters;

/// `tp_basicsize` of `PyTypeObject`, behind its head.
const BASIC_SIZE: u64 = 16;

/// Bytes of a `PyInterpreterState` that are searched for the modules, a page at a time: they lie
/// within the first 16 KiB in each version.
const SEARCHED: u64 = 32 << 10;
const PAGE: u64 = 4096;

/// Looks for the modules in vain, after which they are taken for not to be found.
const ATTEMPTS: u32 = 5;

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

/// Where asyncio keeps the tasks that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunningTasks {
    /// The address of a dict from each loop to its task.
    Dict(u64),
    /// The offset of the thread's task in each thread state (3.14+).
    ThreadState(u16),
}

/// The search in one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AsyncioSearch {
    /// The dicts of modules, one an interpreter, with the entries that they had when last looked
    /// through.
    modules: Vec<(u64, Option<Entries>)>,
    attempts: u32,
}

impl AsyncioSearch {
    /// Looks whether asyncio is there by now. `tasks` tells the offsets where the process states
    /// them itself (3.14+).
    ///
    /// # Errors
    ///
    /// Those of reading memory, which changes under the look: ask again.
    pub fn look(
        &mut self,
        memory: &impl ReadMemory,
        interpreter: &Interpreter,
        tasks: impl Fn() -> Option<TaskOffsets>,
    ) -> Result<Option<Asyncio>, ReadError> {
        if self.modules.is_empty() {
            if self.attempts == ATTEMPTS {
                return Ok(None);
            }
            self.attempts += 1;
            for state in interpreters(memory, &interpreter.layout, interpreter.runtime)? {
                let found = modules(memory, interpreter, state);
                self.modules.extend(found.map(|dict| (dict, None)));
            }
        }
        let keys = KeysLayout::of(interpreter.version);
        for (modules, known) in &mut self.modules {
            let entries = dict::entries(memory, &interpreter.layout, keys, *modules)?;
            // Only a new module makes a difference.
            if entries == *known {
                continue;
            }
            if let Some(found) = asyncio(memory, interpreter, *modules, &tasks)? {
                return Ok(Some(found));
            }
            *known = entries;
        }
        Ok(None)
    }
}

/// The dict of a module's names: `md_dict` of `PyModuleObject`, its first field.
fn module_dict(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    module: u64,
) -> Result<u64, ReadError> {
    memory.read_u64(module.wrapping_add(interpreter.layout.object_size.into()))
}

fn member(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    dict: u64,
    name: &str,
) -> Result<Option<u64>, ReadError> {
    let keys = KeysLayout::of(interpreter.version);
    match dict::entries(memory, &interpreter.layout, keys, dict)? {
        Some(entries) => dict::find(memory, &interpreter.layout, entries, name),
        None => Ok(None),
    }
}

/// The dict of modules of the interpreter state at `state`: the only dict that it points to with
/// modules of these names.
fn modules(memory: &impl ReadMemory, interpreter: &Interpreter, state: u64) -> Option<u64> {
    let is_module = |dict, name| -> Result<bool, ReadError> {
        let Some(module) = member(memory, interpreter, dict, name)? else { return Ok(false) };
        let names = module_dict(memory, interpreter, module)?;
        dict::is_dict(memory, &interpreter.layout, names)
    };
    let is_modules = |address: u64| {
        address.is_multiple_of(8)
            && (1 << 12..1 << 47).contains(&address)
            && dict::is_dict(memory, &interpreter.layout, address) == Ok(true)
            && is_module(address, "sys") == Ok(true)
            && is_module(address, "builtins") == Ok(true)
    };
    // Blocks end where pages do, so that what is not mapped ends the search and spoils no block.
    let mut start = state;
    while start < state.saturating_add(SEARCHED) {
        let end = (start & !(PAGE - 1)).saturating_add(PAGE);
        let block = memory.read_bytes(start, (end - start) as usize).ok()?;
        let words = block.chunks_exact(8).map(|word| word.u64_at(0));
        if let Some(found) = words.into_iter().find(|&address| is_modules(address)) {
            return Some(found);
        }
        start = end;
    }
    None
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
