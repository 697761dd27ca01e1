//! Where asyncio keeps the tasks that run, so that the kernel side can name the one that blocks.
//!
//! `_asyncio._current_tasks` is a dict from each loop to its running task, on whatever thread and of
//! whatever make (uvloop uses it too). It comes with the first import of asyncio, which may be long
//! after the attach: [`AsyncioSearch::look`] is cheap enough to be asked each second.

use super::dict::{self, Entries, KeysLayout};
use super::interpreter::Interpreter;
use super::memory::{Fields, ReadError, ReadMemory};
use super::walk::interpreters;

/// `md_dict` of `PyModuleObject`, and `tp_basicsize` of `PyTypeObject`.
const MODULE_DICT: u64 = 16;
const BASIC_SIZE: u64 = 32;

/// Bytes of a `PyInterpreterState` that are searched for the modules, a page at a time: they lie
/// within the first 16 KiB in each version.
const SEARCHED: u64 = 32 << 10;
const PAGE: u64 = 4096;

/// Looks for the modules in vain, after which they are taken for not to be found.
const ATTEMPTS: u32 = 5;

/// What it takes to name the running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asyncio {
    /// Address of the dict.
    pub current_tasks: u64,
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

/// The search in one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AsyncioSearch {
    /// The dicts of modules, one an interpreter, with the entries that they had when last looked
    /// through.
    modules: Vec<(u64, Option<Entries>)>,
    attempts: u32,
}

impl AsyncioSearch {
    /// Looks whether asyncio is there by now.
    ///
    /// # Errors
    ///
    /// Those of reading memory, which changes under the look: ask again.
    pub fn look(
        &mut self,
        memory: &impl ReadMemory,
        interpreter: &Interpreter,
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
            let entries = dict::entries(memory, keys, *modules)?;
            // Only a new module makes a difference.
            if entries == *known {
                continue;
            }
            if let Some(found) = asyncio(memory, interpreter, *modules)? {
                return Ok(Some(found));
            }
            *known = entries;
        }
        Ok(None)
    }
}

fn member(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    dict: u64,
    name: &str,
) -> Result<Option<u64>, ReadError> {
    let keys = KeysLayout::of(interpreter.version);
    match dict::entries(memory, keys, dict)? {
        Some(entries) => dict::find(memory, &interpreter.layout, entries, name),
        None => Ok(None),
    }
}

/// The dict of modules of the interpreter state at `state`: the only dict that it points to with
/// modules of these names.
fn modules(memory: &impl ReadMemory, interpreter: &Interpreter, state: u64) -> Option<u64> {
    let is_module = |dict, name| -> Result<bool, ReadError> {
        let Some(module) = member(memory, interpreter, dict, name)? else { return Ok(false) };
        let names = memory.read_u64(module.wrapping_add(MODULE_DICT))?;
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
) -> Result<Option<Asyncio>, ReadError> {
    let Some(module) = member(memory, interpreter, modules, "_asyncio")? else { return Ok(None) };
    let names = memory.read_u64(module.wrapping_add(MODULE_DICT))?;
    let current = member(memory, interpreter, names, "_current_tasks")?;
    let task = member(memory, interpreter, names, "Task")?;
    let (Some(current_tasks), Some(task)) = (current, task) else { return Ok(None) };
    if !dict::is_dict(memory, &interpreter.layout, current_tasks)? {
        return Ok(None);
    }
    let minor = interpreter.version.minor;
    let size = memory.read_u64(task.wrapping_add(BASIC_SIZE))?;
    let Some(task_coro) = task_coro(minor, size) else {
        return Err(ReadError::Implausible { address: task, what: "the size of asyncio's tasks" });
    };
    Ok(Some(Asyncio {
        current_tasks,
        task_coro,
        task_name: task_coro + 8,
        // `cr_frame` to 3.10, `gi_iframe` after that.
        coro_frame: match minor {
            ..=10 => 16,
            11 => 80,
            _ => 72,
        },
        frame_inside: minor >= 11,
        keys: KeysLayout::of(interpreter.version),
    }))
}
