//! Finds the slot of thread-specific data that holds each thread's `PyThreadState`.
//!
//! CPython binds the thread state to a pthread key that stays bound while the interpreter lock is
//! released, so it can be read from a blocking syscall, where the "current" pointer is null. Which
//! key that is differs by version and program, and its number lies at an offset that patch
//! releases move. So it is measured: the slot is the one that, in each thread, holds the thread
//! state which claims that thread.

use super::layout::Layout;
use super::memory::{Fields, ReadError, ReadMemory};
use super::walk::ThreadState;

/// Where glibc's `struct pthread` keeps the first block of thread-specific data, from the fs base.
/// Seen in 2.31 to 2.43.
const FIRST_SLOT: u64 = 0x310;

/// Slots in that block; keys past it lie behind a pointer.
const SLOTS: u16 = 32;

/// A slot is a sequence number and the value.
const SLOT_BYTES: u16 = 16;

/// More threads than this tell nothing new.
const MAX_THREADS: usize = 256;

/// Byte offset from the fs base of the slot that holds the thread state, or `None` when no thread
/// is bound to one of the first 32 keys (just now).
///
/// # Errors
///
/// Those of reading the runtime; threads that cannot be read are passed over, since they may be
/// ending.
pub(super) fn find(
    memory: &impl ReadMemory,
    layout: &Layout,
    runtime: u64,
    states: &[ThreadState],
) -> Result<Option<i64>, ReadError> {
    let mut common = u32::MAX;
    let mut bound = false;
    for state in states.iter().take(MAX_THREADS) {
        // A thread that is just starting bears its parent's id, and of a thread's states in
        // several interpreters one is bound: those that match no slot have no say.
        let slots = slots_holding(memory, state).unwrap_or(0);
        if slots != 0 {
            common &= slots;
            bound = true;
        }
    }
    if !bound || common == 0 {
        return Ok(None);
    }
    let stated = stated_key(memory, layout, runtime)?;
    // Extensions may keep the thread state under keys of their own, made after the interpreter's.
    let key = match stated {
        Some(key) if common & (1 << key) != 0 => key,
        _ => common.trailing_zeros(),
    };
    Ok(Some(offset_of(key)))
}

fn offset_of(key: u32) -> i64 {
    i64::from(key) * i64::from(SLOT_BYTES) + FIRST_SLOT.cast_signed() + 8
}

/// Bit mask of the slots of the state's thread that hold the state.
fn slots_holding(memory: &impl ReadMemory, state: &ThreadState) -> Result<u32, ReadError> {
    if state.thread_id == 0 {
        return Ok(0);
    }
    let mut block = [0; (SLOTS * SLOT_BYTES) as usize];
    memory.read(state.thread_id.wrapping_add(FIRST_SLOT), &mut block)?;
    let holds = |key: &u16| block.u64_at(key * SLOT_BYTES + 8) == state.address;
    Ok((0..SLOTS).filter(holds).fold(0, |mask, key| mask | 1 << key))
}

/// The key by the runtime's own account, where the offset holds for this patch release.
fn stated_key(
    memory: &impl ReadMemory,
    layout: &Layout,
    runtime: u64,
) -> Result<Option<u32>, ReadError> {
    let mut block = [0; 8];
    memory.read(runtime.wrapping_add(layout.runtime.thread_key.into()), &mut block)?;
    let (initialised, key) = (block.u32_at(0), block.u32_at(4));
    Ok((initialised == 1 && key < SLOTS.into()).then_some(key))
}
