//! Finds where each thread keeps the pointer to its `PyThreadState`.
//!
//! CPython binds the thread state to a pthread key (from 3.15 on to a variable of each thread's own)
//! that stays bound while the interpreter lock is released, so it can be read from a blocking
//! syscall, where the "current" pointer is null. Which key that is differs by version and program,
//! and its number lies at an offset that patch releases move. So it is measured: the slot is the one
//! that, in each thread, holds the thread state which claims that thread. Whether the C library is
//! glibc or musl shows the same way: a program may have it in itself, so that no file's name tells.
//! Variables of a library that was opened late are in a block of their own, which the thread's table
//! of such blocks (the "dynamic thread vector") leads to.

use super::layout::Layout;
use super::memory::{Fields, ReadError, ReadMemory};
use super::walk::ThreadState;

/// A slot, from a thread's pointer to its own data (fs base).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadSlot {
    /// Offset of the pointer to the array that holds the slot; `None` where the thread's data holds
    /// it itself.
    pub array: Option<u16>,
    /// Offset in that array of the pointer to the block that holds the slot; `None` where the array
    /// holds it itself.
    pub block: Option<u16>,
    /// Offset of the slot, in bytes.
    pub offset: i64,
}

impl ThreadSlot {
    /// The thread state that the slot of the thread with this id holds.
    ///
    /// # Errors
    ///
    /// Those of reading memory.
    pub fn read(self, memory: &impl ReadMemory, thread_id: u64) -> Result<u64, ReadError> {
        let mut start = thread_id;
        for offset in [self.array, self.block].into_iter().flatten() {
            start = memory.read_u64(start.wrapping_add(offset.into()))?;
        }
        memory.read_u64(start.wrapping_add_signed(self.offset))
    }

    /// In the thread's data itself.
    fn direct(offset: i64) -> Self {
        Self { array: None, block: None, offset }
    }
}

/// Where glibc's `struct pthread` keeps the first block of thread-specific data, from the fs base.
/// Seen in 2.31 to 2.43. Behind it lie pointers to the blocks, of which the first leads to this one.
const GLIBC_BLOCK: u16 = 0x310;
const GLIBC_BLOCKS: u16 = GLIBC_BLOCK + KEYS * GLIBC_KEY;

/// Keys of a block of glibc's, of which a slot is a sequence number and the value.
const KEYS: u16 = 32;
const GLIBC_KEY: u16 = 16;

/// Blocks that are searched: programs make a few dozen keys.
const BLOCKS: u16 = 4;

/// Where musl's `struct pthread` keeps the pointer to the array of values. Seen in 1.2.3 to 1.2.6.
const MUSL_ARRAY: u16 = 0x80;
const MUSL_KEYS: u16 = 128;

/// Where both libraries keep the pointer to the vector of a thread's blocks, from the fs base, and
/// how many entries of it are searched: the program and its libraries with such variables have one
/// each. An entry of glibc's is two words.
const VECTOR: u16 = 8;
const VECTOR_ENTRIES: u16 = 64;
const VECTOR_WORDS: usize = 2 * VECTOR_ENTRIES as usize;

/// Bytes of such a block that are searched: libpython has six words there.
const VECTOR_BLOCK: u64 = 512;

/// Bytes below the fs base that are searched for a thread's variables, a page at a time.
const VARIABLES: u64 = 64 << 10;
const PAGE: u64 = 4096;

/// More threads than this tell nothing new.
const MAX_THREADS: usize = 64;

/// The slots that hold the thread state of every thread, best first. None when no thread is bound
/// to one just now; more than one (from 3.15 on) where every thread was running and had it in the
/// "current" variable, too: [`named_in`] tells which is which.
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
) -> Result<Vec<ThreadSlot>, ReadError> {
    let mut common: Option<Vec<ThreadSlot>> = None;
    for state in states.iter().take(MAX_THREADS).filter(|state| state.thread_id != 0) {
        let mut held = match layout.runtime.thread_key {
            Some(_) => {
                let mut held = glibc_keys(memory, state);
                held.extend(musl_keys(memory, state));
                held
            }
            None => {
                let held = variables(memory, state);
                // The vector leads to those of the program and its own libraries, too.
                if held.is_empty() { variables_of_late(memory, state) } else { held }
            }
        };
        // A thread that is just starting bears its parent's id, and of a thread's states in
        // several interpreters one is bound: those that match no slot have no say.
        if held.is_empty() {
            continue;
        }
        match &mut common {
            Some(common) => {
                // All of a forged thread's words may hold its state.
                held.sort_unstable();
                common.retain(|slot| held.binary_search(slot).is_ok());
            }
            None => common = Some(held),
        }
    }
    let mut slots = common.unwrap_or_default();
    // Extensions may keep the thread state under keys of their own, made after the interpreter's.
    if let Some(stated) = stated_key(memory, layout, runtime)?
        && let Some(slot) = slots_of(stated).into_iter().find(|slot| slots.contains(slot))
    {
        slots = vec![slot];
    }
    if layout.runtime.thread_key.is_some() {
        slots.truncate(1);
    }
    Ok(slots)
}

/// Bytes of code that are looked at: the function is a dozen instructions.
const CODE: usize = 96;

/// Which of `slots` the code at `function` (`PyGILState_GetThisThreadState`) reads: by its offset in
/// an instruction, or in a word that an instruction finds relative to itself.
pub(super) fn named_in(
    memory: &impl ReadMemory,
    function: u64,
    slots: &[ThreadSlot],
) -> Option<ThreadSlot> {
    let code = memory.read_bytes(function, CODE).ok()?;
    for at in 0..CODE - 4 {
        let number = code.u32_at(at as u16).cast_signed();
        let found = |offset: i64| slots.iter().find(|slot| slot.offset == offset);
        if let Some(slot) = found(number.into()) {
            return Some(*slot);
        }
        let word = function.wrapping_add(at as u64 + 4).wrapping_add_signed(number.into());
        if word.is_multiple_of(8)
            && let Ok(offset) = memory.read_u64(word)
            && let Some(slot) = found(offset.cast_signed())
        {
            return Some(*slot);
        }
    }
    None
}

/// The key of `slot`, where the runtime states the same.
///
/// # Errors
///
/// Those of reading the runtime.
pub(super) fn key_of(
    memory: &impl ReadMemory,
    layout: &Layout,
    runtime: u64,
    slot: ThreadSlot,
) -> Result<Option<u32>, ReadError> {
    let stated = stated_key(memory, layout, runtime)?;
    Ok(stated.filter(|key| slots_of(*key).contains(&slot)))
}

/// Where the value of a key is, by either library.
fn slots_of(key: u32) -> [ThreadSlot; 2] {
    [glibc_slot(key), musl_slot(key)]
}

fn glibc_slot(key: u32) -> ThreadSlot {
    let (block, key) = (key / u32::from(KEYS), key % u32::from(KEYS));
    let value = i64::from(key) * i64::from(GLIBC_KEY) + 8;
    if block == 0 {
        return ThreadSlot::direct(i64::from(GLIBC_BLOCK) + value);
    }
    let array = u16::try_from(block).ok().and_then(|block| GLIBC_BLOCKS.checked_add(block * 8));
    ThreadSlot { array, block: None, offset: value }
}

fn musl_slot(key: u32) -> ThreadSlot {
    ThreadSlot { array: Some(MUSL_ARRAY), block: None, offset: i64::from(key) * 8 }
}

/// The slots of the state's thread that hold the state, among glibc's keys.
fn glibc_keys(memory: &impl ReadMemory, state: &ThreadState) -> Vec<ThreadSlot> {
    let mut held = Vec::new();
    for block in 0..BLOCKS {
        let pointer = state.thread_id.wrapping_add((GLIBC_BLOCKS + 8 * block).into());
        let start = match block {
            0 => Ok(state.thread_id.wrapping_add(GLIBC_BLOCK.into())),
            _ => memory.read_u64(pointer),
        };
        // A block comes with the first value under one of its keys, whatever comes before it.
        let Ok(start) = start.and_then(|start| read_block(memory, start, KEYS * GLIBC_KEY)) else {
            continue;
        };
        let keys = (0..KEYS).filter(|key| start.u64_at(key * GLIBC_KEY + 8) == state.address);
        held.extend(keys.map(|key| glibc_slot(u32::from(block * KEYS + key))));
    }
    held
}

/// The same among musl's.
fn musl_keys(memory: &impl ReadMemory, state: &ThreadState) -> Vec<ThreadSlot> {
    let values = memory
        .read_u64(state.thread_id.wrapping_add(MUSL_ARRAY.into()))
        .and_then(|array| read_block(memory, array, MUSL_KEYS * 8));
    let Ok(values) = values else { return Vec::new() };
    let keys = (0..MUSL_KEYS).filter(|key| values.u64_at(key * 8) == state.address);
    keys.map(|key| musl_slot(key.into())).collect()
}

/// The same among the variables that a thread has of its own, below its fs base.
fn variables(memory: &impl ReadMemory, state: &ThreadState) -> Vec<ThreadSlot> {
    let mut held = Vec::new();
    let mut end = state.thread_id;
    let last = end.saturating_sub(VARIABLES);
    while end > last {
        // Up to where a page begins, so that what is not mapped ends the search and spoils no block.
        let start = (end - 1) & !(PAGE - 1);
        let Ok(block) = memory.read_bytes(start, (end - start) as usize) else { break };
        for (index, word) in block.chunks_exact(8).enumerate() {
            if word.u64_at(0) == state.address {
                let address = start + 8 * index as u64;
                let offset = address.wrapping_sub(state.thread_id).cast_signed();
                held.push(ThreadSlot::direct(offset));
            }
        }
        end = start;
    }
    held
}

/// The same among the variables of libraries that were opened late.
fn variables_of_late(memory: &impl ReadMemory, state: &ThreadState) -> Vec<ThreadSlot> {
    let mut held = Vec::new();
    let vector = memory.read_u64(state.thread_id.wrapping_add(VECTOR.into()));
    let Ok(vector) = vector else { return held };
    let Ok(entries) = memory.read_bytes(vector, within_page(vector, 8 * VECTOR_WORDS as u64))
    else {
        return held;
    };
    // The first word is no pointer, and a block that no thread has needed yet has none.
    for (index, entry) in entries.chunks_exact(8).enumerate().skip(1) {
        let start = entry.u64_at(0);
        let Ok(block) = memory.read_bytes(start, within_page(start, VECTOR_BLOCK)) else {
            continue;
        };
        let words = block.chunks_exact(8).enumerate();
        let found = words.filter(|(_, word)| word.u64_at(0) == state.address);
        held.extend(found.map(|(word, _)| ThreadSlot {
            array: Some(VECTOR),
            block: u16::try_from(8 * index).ok(),
            offset: 8 * word as i64,
        }));
    }
    held
}

/// As many of the bytes as lie on the same page: what follows may not be mapped.
fn within_page(start: u64, bytes: u64) -> usize {
    (PAGE - start % PAGE).min(bytes) as usize
}

fn read_block(memory: &impl ReadMemory, address: u64, length: u16) -> Result<Vec<u8>, ReadError> {
    memory.read_bytes(address, length.into())
}

/// The key by the runtime's own account, where the offset holds for this patch release; none while
/// it is down.
pub(super) fn stated_key(
    memory: &impl ReadMemory,
    layout: &Layout,
    runtime: u64,
) -> Result<Option<u32>, ReadError> {
    let Some(offset) = layout.runtime.thread_key else { return Ok(None) };
    let mut block = [0; 8];
    memory.read(runtime.wrapping_add(offset.into()), &mut block)?;
    let (initialised, key) = (block.u32_at(0), block.u32_at(4));
    Ok((initialised == 1 && key < u32::from(BLOCKS * KEYS)).then_some(key))
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::super::version::Version;
    use super::*;

    /// Memory that is one word, everywhere.
    struct Everywhere(u64);

    impl ReadMemory for Everywhere {
        fn read(&self, _address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let bytes = self.0.to_le_bytes().into_iter().cycle();
            buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            Ok(())
        }
    }

    /// Exercise threads in which every variable holds the state: comparing each with each of the
    /// next thread's would take minutes.
    #[test]
    fn threads_that_are_full_of_their_state_take_no_time() {
        const STATE: u64 = 0x7f00_0000_1000;
        let memory = Everywhere(STATE);
        let version = Version { major: 3, minor: 12, micro: 0 };
        let mut layout = Layout::read(version, &memory, 0).expect("a layout");
        layout.runtime.thread_key = None;
        let states: Vec<_> = (1..=MAX_THREADS as u64)
            .map(|number| ThreadState {
                address: STATE,
                thread_id: number << 20,
                native_thread_id: None,
            })
            .collect();
        let slots = find(&memory, &layout, 0, &states).expect("readable");
        assert_eq!(slots.len() as u64, VARIABLES / 8);
    }
}
