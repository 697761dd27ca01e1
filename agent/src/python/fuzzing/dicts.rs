//! Dicts, and the modules of asyncio and trio that are found by way of them.

use super::super::asyncio::{Asyncio, RunningTasks};
use super::super::dict::{self, KeysLayout};
use super::super::modules::ModuleSearch;
use super::super::task_offsets::TaskOffsets;
use super::super::trio::Trio;
use super::memory::Process;

/// As in `dict`.
const MAX_ENTRIES: u64 = 1 << 18;

/// As in `modules`: what one look may take.
const MAX_READS: u64 = 1 << 18;

/// A dict: a value that is found stands under a name that is there.
pub(crate) fn dict(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let Some(layout) = process.layout() else { return };
    let keys = KeysLayout::of(process.head.version);
    let start = process.head.start;
    let _ = dict::is_dict(&process, &layout, start);
    let Ok(Some(entries)) = dict::entries(&process, &layout, keys, start) else { return };
    let before = (process.reads(), process.volume());
    let name = if process.head.number.is_multiple_of(2) { "sys" } else { "_current_tasks" };
    if let Ok(Some(value)) = dict::find(&process, &layout, entries, name) {
        assert!(value != 0 && process.holds(&value.to_le_bytes()));
        assert!(process.holds(name.as_bytes()));
    }
    assert!(process.reads() - before.0 <= 1 + 2 * MAX_ENTRIES);
    assert!(process.volume() - before.1 <= MAX_ENTRIES * (24 + 4096 + 16));
}

/// asyncio: what is found has sane offsets, and the names that lead to it are there.
pub(crate) fn asyncio(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let Some(interpreter) = process.interpreter() else { return };
    let stated = || TaskOffsets::decode(&input[input.len().saturating_sub(96)..]);
    let mut search = ModuleSearch::default();
    for _ in 0..2 {
        let before = process.reads();
        let found = Asyncio::look(&mut search, &process, &interpreter, stated);
        assert!(process.reads() - before <= MAX_READS);
        let Ok(Some(found)) = found else { continue };
        for name in ["sys", "builtins", "_asyncio"] {
            assert!(process.holds(name.as_bytes()));
        }
        let most = match found.running {
            RunningTasks::ThreadState(offset) => {
                assert!(offset.is_multiple_of(8) && interpreter.version.minor >= 14);
                1 << 14
            }
            RunningTasks::Dict(address) => {
                assert!(process.holds(&address.to_le_bytes()) && process.holds(b"_current_tasks"));
                512 + 8
            }
        };
        for offset in [found.task_coro, found.task_name] {
            assert!(offset.is_multiple_of(8) && offset < most);
        }
    }
}

/// trio: likewise.
pub(crate) fn trio(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let Some(interpreter) = process.interpreter() else { return };
    let mut search = ModuleSearch::default();
    for _ in 0..2 {
        let before = process.reads();
        let found = Trio::look(&mut search, &process, &interpreter);
        assert!(process.reads() - before <= MAX_READS);
        let Ok(Some(found)) = found else { continue };
        for name in ["trio._core._run", "Task", "unrolled_run", "coro\0", "name\0"] {
            assert!(process.holds(name.as_bytes()), "{name}");
        }
        for address in [found.task_type, found.driver] {
            assert!(process.holds(&address.to_le_bytes()));
        }
        for offset in [found.task_coro, found.task_name] {
            assert!(offset.is_multiple_of(8) && offset < 1024);
        }
    }
}
