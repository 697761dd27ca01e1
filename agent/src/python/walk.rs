//! Walks Python stacks from user space.
//!
//! The kernel side walks the stacks that are shown; this walk is the reference that it is compared
//! with, and what `doctor` and recorded snapshots use. The target keeps running, so a stack may
//! change under the walk: compare only what stands still.

use std::collections::HashSet;

use super::interpreter::Interpreter;
use super::layout::Layout;
use super::memory::{Fields, ReadError, ReadMemory};

/// Bits of a pointer to an object that may be a tag (`_PyStackRef`, 3.14+).
const TAG: u64 = 7;

/// Most interpreters of a process and threads of an interpreter that are listed.
const MAX_LISTED: usize = 16_384;

/// A frame as it lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceFrame {
    /// Address of the code object.
    pub code: u64,
    /// As in [`crate::event::RawFrame::instruction`].
    pub instruction: u64,
}

/// A thread state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    /// Its address.
    pub address: u64,
    /// `pthread_self()` of the thread it was made for or bound to.
    pub thread_id: u64,
    /// The thread's id in its own pid namespace (3.11+).
    pub native_thread_id: Option<u64>,
}

/// Walks the stack of the thread state at `thread_state`, innermost frame first. Entries from C
/// are left out; frames that have not begun are not ([`super::Code::frame`] tells them). Stops
/// after `max_frames`.
///
/// # Errors
///
/// Those of reading memory; [`ReadError::Implausible`] when the frames form a cycle.
pub fn walk(
    memory: &impl ReadMemory,
    layout: &Layout,
    thread_state: u64,
    max_frames: usize,
) -> Result<Vec<ReferenceFrame>, ReadError> {
    let mut frames = Vec::new();
    let mut seen = HashSet::new();
    let mut address = innermost(memory, layout, thread_state)?;
    let mut block = vec![0; usize::from(layout.frame.size)];
    while address != 0 && frames.len() < max_frames {
        if !seen.insert(address) {
            return Err(ReadError::Implausible { address, what: "its frames form a cycle" });
        }
        memory.read(address, &mut block)?;
        address = block.u64_at(layout.frame.previous.into());
        if !is_shim(layout, &block) {
            frames.push(frame(layout, &block, memory)?);
        }
        // A forged list of shims has no frames to count.
        if seen.len() > max_frames.saturating_mul(2).saturating_add(64) {
            break;
        }
    }
    Ok(frames)
}

fn innermost(memory: &impl ReadMemory, layout: &Layout, state: u64) -> Result<u64, ReadError> {
    let holder = match layout.thread_state.cframe {
        Some(offset) => memory.read_u64(state.wrapping_add(offset.into()))?,
        None => state,
    };
    if holder == 0 {
        return Ok(0);
    }
    memory.read_u64(holder.wrapping_add(layout.thread_state.frame.into()))
}

fn is_shim(layout: &Layout, block: &[u8]) -> bool {
    let owner = layout.frame.owner.map(|offset| block.u8_at(offset.into()));
    layout.frame.shim_owner != 255 && owner.is_some_and(|owner| owner >= layout.frame.shim_owner)
}

/// The copy of its code's instructions that the frame runs; `None` where it runs the code object's.
fn own_bytecode(
    layout: &Layout,
    block: &[u8],
    code: u64,
    memory: &impl ReadMemory,
) -> Result<Option<u64>, ReadError> {
    let (Some(index), Some(copies)) = (layout.frame.bytecode_index, layout.code.bytecode_copies)
    else {
        return Ok(None);
    };
    let index = u64::from(block.u32_at(index.into()));
    if index == 0 {
        return Ok(None);
    }
    let copies = memory.read_u64(code.wrapping_add(copies.into()))?;
    memory.read_u64(copies.wrapping_add(8).wrapping_add(8 * index)).map(Some)
}

fn frame(
    layout: &Layout,
    block: &[u8],
    memory: &impl ReadMemory,
) -> Result<ReferenceFrame, ReadError> {
    let code = block.u64_at(layout.frame.code.into()) & !TAG;
    let instruction = match layout.code.bytecode {
        Some(bytecode) => {
            let first = match own_bytecode(layout, block, code, memory)? {
                Some(own) => own,
                None => code.wrapping_add(bytecode.into()),
            };
            block.u64_at(layout.frame.instruction.into()).wrapping_sub(first)
        }
        None => block.u32_at(layout.frame.instruction.into()).into(),
    };
    // What has no type is no object: the frame was torn or the layout is wrong.
    if memory.read_u64(code.wrapping_add(layout.object_type.into()))? == 0 {
        return Err(ReadError::Implausible { address: code, what: "a frame has no code object" });
    }
    Ok(ReferenceFrame { code, instruction })
}

/// Lists the thread states of every interpreter of a process. Cut at 16,384; threads may come and
/// go meanwhile.
///
/// # Errors
///
/// Those of reading memory; [`ReadError::Implausible`] when a list forms a cycle.
pub fn thread_states(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
) -> Result<Vec<ThreadState>, ReadError> {
    thread_states_of(memory, &interpreter.layout, interpreter.runtime)
}

/// The same, of the process whose `_PyRuntime` lies at `runtime`.
pub(super) fn thread_states_of(
    memory: &impl ReadMemory,
    layout: &Layout,
    runtime: u64,
) -> Result<Vec<ThreadState>, ReadError> {
    let mut states = Vec::new();
    for interpreter in interpreters(memory, layout, runtime)? {
        let head = interpreter.wrapping_add(layout.interpreter.threads.into());
        for address in list(memory, head, layout.thread_state.next)? {
            if states.len() == MAX_LISTED {
                return Ok(states);
            }
            let read = |offset: u16| memory.read_u64(address.wrapping_add(offset.into()));
            states.push(ThreadState {
                address,
                thread_id: read(layout.thread_state.thread_id)?,
                native_thread_id: layout.thread_state.native_thread_id.map(read).transpose()?,
            });
        }
    }
    Ok(states)
}

/// The addresses of the interpreter states, newest first.
pub(super) fn interpreters(
    memory: &impl ReadMemory,
    layout: &Layout,
    runtime: u64,
) -> Result<Vec<u64>, ReadError> {
    let head = runtime.wrapping_add(layout.runtime.interpreters.into());
    list(memory, head, layout.interpreter.next)
}

/// The addresses of a linked list: the pointer to its first item lies at `head`.
fn list(memory: &impl ReadMemory, head: u64, next: u16) -> Result<Vec<u64>, ReadError> {
    let mut items = Vec::new();
    let mut seen = HashSet::new();
    let mut address = memory.read_u64(head)?;
    while address != 0 && items.len() < MAX_LISTED {
        if !seen.insert(address) {
            return Err(ReadError::Implausible { address, what: "a list forms a cycle" });
        }
        items.push(address);
        address = memory.read_u64(address.wrapping_add(next.into()))?;
    }
    Ok(items)
}
