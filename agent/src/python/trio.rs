//! Where trio keeps the task that runs, so that the kernel side can name the one that blocks.
//!
//! trio drives its tasks from one generator, `unrolled_run`, whose local variable `task` is the
//! running one. A task is an object with slots, and its type tells at which offsets.

use super::interpreter::Interpreter;
use super::memory::{Bounded, Fields, ReadError, ReadMemory};
use super::modules::{ModuleSearch, member, module_dict};

/// `tp_members` of `PyTypeObject`, behind its head.
const MEMBERS: u64 = 224;

/// A `PyMemberDef`: its name, and its offset.
const MEMBER_SIZE: usize = 40;
const MEMBER_OFFSET: u16 = 16;

/// More slots than any version of trio gives its tasks.
const MAX_MEMBERS: u64 = 64;

/// No task is larger.
const MAX_OFFSET: u64 = 1024;

/// What it takes to name the running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trio {
    /// The address of the type of its tasks.
    pub task_type: u64,
    /// The address of the code object of the function that drives them.
    pub driver: u64,
    /// Offset of a task's coroutine.
    pub task_coro: u16,
    /// Offset of a task's name.
    pub task_name: u16,
    /// Offset of its frame in a coroutine, or to 3.10 of the pointer to it.
    pub coro_frame: u16,
    /// The frame lies in the coroutine (3.11+).
    pub frame_inside: bool,
    /// Offset in a frame from which on local variables lie.
    pub locals: u16,
}

impl Trio {
    /// Looks whether trio is there by now.
    ///
    /// # Errors
    ///
    /// Those of reading memory, which changes under the look: ask again.
    pub fn look(
        search: &mut ModuleSearch,
        memory: &impl ReadMemory,
        interpreter: &Interpreter,
    ) -> Result<Option<Self>, ReadError> {
        let memory = &Bounded::new(memory);
        search.look(memory, interpreter, |modules| trio(memory, interpreter, modules))
    }
}

/// Offset of `func_code` in a `PyFunctionObject`, behind its head.
fn function_code(minor: u8) -> u64 {
    if minor >= 10 { 32 } else { 0 }
}

/// Where local variables lie in a frame, or a little before.
fn locals(minor: u8) -> u16 {
    match minor {
        // PyFrameObject
        ..=9 => 360,
        10 => 352,
        // _PyInterpreterFrame: 72 to 88, by version and build
        _ => 72,
    }
}

/// The offset of the slot `name` of the type at `of_type`.
fn slot(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    of_type: u64,
    name: &[u8],
) -> Result<Option<u16>, ReadError> {
    let head = u64::from(interpreter.layout.object_size);
    let members = memory.read_u64(of_type.wrapping_add(head + MEMBERS))?;
    for index in 0..MAX_MEMBERS {
        let at = members.wrapping_add(index * MEMBER_SIZE as u64);
        let one = memory.read_bytes(at, MEMBER_SIZE)?;
        let name_at = one.u64_at(0);
        if name_at == 0 {
            break;
        }
        let mut text = [0; 8];
        let text = &mut text[..=name.len().min(7)];
        // A name ends with a NUL, and may end at the end of what is mapped.
        if memory.read(name_at, text).is_err() || text.split_last() != Some((&0, name)) {
            continue;
        }
        let offset = one.u64_at(MEMBER_OFFSET);
        return Ok((offset.is_multiple_of(8) && offset < MAX_OFFSET).then_some(offset as u16));
    }
    Ok(None)
}

fn trio(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    modules: u64,
) -> Result<Option<Trio>, ReadError> {
    let Some(module) = member(memory, interpreter, modules, "trio._core._run")? else {
        return Ok(None);
    };
    let names = module_dict(memory, interpreter, module)?;
    let task = member(memory, interpreter, names, "Task")?;
    let run = member(memory, interpreter, names, "unrolled_run")?;
    let (Some(task_type), Some(run)) = (task, run) else { return Ok(None) };
    let coro = slot(memory, interpreter, task_type, b"coro")?;
    let name = slot(memory, interpreter, task_type, b"name")?;
    let (Some(task_coro), Some(task_name)) = (coro, name) else { return Ok(None) };
    let minor = interpreter.version.minor;
    let head = u64::from(interpreter.layout.object_size);
    Ok(Some(Trio {
        task_type,
        driver: memory.read_u64(run.wrapping_add(head + function_code(minor)))?,
        task_coro,
        task_name,
        coro_frame: interpreter.layout.generator_frame,
        frame_inside: minor >= 11,
        locals: locals(minor),
    }))
}
