//! A whole interpreter: its layout, its threads, their frames, and where each keeps its state.

use std::collections::HashSet;

use super::super::interpreter::{Examined, examine};
use super::super::read_code::read_code;
use super::super::thread_slot::{self, ThreadSlot};
use super::super::walk::{ThreadState, thread_states, thread_states_of, walk as walk_frames};
use super::code;
use super::memory::Process;
use crate::event::ProcessId;

/// As many frames as the kernel side walks.
const MAX_FRAMES: usize = 256;

/// As in `walk`.
const MAX_LISTED: usize = 16_384;

/// Reads of the longest lists: each interpreter, the threads of all but the last of them and those
/// of the last, three of which are read of each thread.
const LISTS: u64 = 8 * MAX_LISTED as u64;

/// Reads of a walk: two for the first frame; of each frame itself, the copy of its bytecode, and its
/// code object's type; and frames that are entries from C.
const WALK: u64 = 2 + 4 * MAX_FRAMES as u64 + 2 * MAX_FRAMES as u64 + 65;

/// Reads of the search for a slot: of 64 threads the blocks of either library or the pages of their
/// variables, then the code that names one, and the runtime's own account.
const SLOTS: u64 = 64 * 18 + 1 + 92 + 2;

/// Bit of the head's flags: a code object is known by its type.
const TYPED: u8 = 2;

/// The stacks of the threads, and of the state that the head names: a bounded number of frames, no
/// cycle, and names that are there.
pub(crate) fn walk(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let Some(interpreter) = process.interpreter() else { return };
    let layout = &interpreter.layout;
    let before = process.reads();
    let states = thread_states(&process, &interpreter).unwrap_or_default();
    assert!(process.reads() - before <= LISTS);
    assert!(states.len() <= MAX_LISTED);
    let addresses = states.iter().take(8).map(|state| state.address);
    for address in addresses.chain([process.head.start]) {
        let before = process.reads();
        let walked = walk_frames(&process, layout, address, MAX_FRAMES);
        assert!(process.reads() - before <= WALK);
        let Ok(frames) = walked else { continue };
        assert!(frames.len() <= MAX_FRAMES);
        let codes: HashSet<u64> = frames.iter().map(|frame| frame.code).collect();
        for address in codes.into_iter().take(8) {
            assert!(address.is_multiple_of(8));
            if let Ok(record) = read_code(&process, layout, address, ProcessId(1), address) {
                code::check(&process, &record);
            }
        }
    }
}

/// What is found out of a process when it is first looked at.
pub(crate) fn analyse(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let head = process.head;
    let code_type = (head.flags & TYPED != 0).then_some(head.start);
    let examined = examine(1, &process, head.version, head.runtime, code_type, Some(head.start));
    assert!(process.reads() <= LISTS + 16 * WALK + SLOTS);
    let Ok(Examined { layout, thread_slot, thread_key }) = examined else { return };
    assert!(thread_key.is_none_or(|key| key < 128));
    if process.stands_still() {
        let states = thread_states_of(&process, &layout, head.runtime).unwrap_or_default();
        assert!(holds_a_state(&process, thread_slot, &states));
    }
}

/// The slot in which threads keep their states, for threads that are forged one by one: the head's
/// address is the state of each.
pub(crate) fn thread_slot(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let Some(layout) = process.layout() else { return };
    let head = process.head;
    let forged = |thread_id| ThreadState { address: head.start, thread_id, native_thread_id: None };
    let states: Vec<_> = process.words().into_iter().take(100).map(forged).collect();
    let before = process.reads();
    let slots = thread_slot::find(&process, &layout, head.runtime, &states);
    let Ok(slots) = slots else { return };
    let named = thread_slot::named_in(&process, head.runtime, &slots);
    assert!(named.is_none_or(|slot| slots.contains(&slot)));
    for slot in slots.iter().take(8) {
        let key = thread_slot::key_of(&process, &layout, head.runtime, *slot);
        assert!(!matches!(key, Ok(Some(128..))));
        assert!(!process.stands_still() || holds_a_state(&process, *slot, &states));
    }
    assert!(process.reads() - before <= SLOTS + 8 * (1 + 2 * 64));
}

/// Whether the slot is one of the first 64 KiB around a thread's data and leads to its state.
fn holds_a_state(process: &Process<'_>, slot: ThreadSlot, states: &[ThreadState]) -> bool {
    slot.offset.unsigned_abs() <= 64 << 10
        && states.iter().any(|state| slot.read(process, state.thread_id) == Ok(state.address))
}
