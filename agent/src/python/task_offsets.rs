//! What asyncio's module says about its own layout, from 3.14 on: the section `.AsyncioDebug` of the
//! extension module, or of the interpreter where the module is built in
//! (`Modules/_asynciomodule.c`, `Py_AsyncioModuleDebugOffsets`).

use super::memory::{Fields, ReadMemory};
use super::target::{Image, open_mapped, read_maps};

/// Bytes of the struct up to the last number of interest.
const SIZE: usize = 96;

/// No task and no thread state is larger.
const MAX_OFFSET: u64 = 1 << 14;

/// Byte offsets that it takes to name a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskOffsets {
    /// `asyncio_running_task` in the thread state.
    pub running_task: u16,
    /// `task_coro` in a task.
    pub coro: u16,
    /// `task_name` in a task.
    pub name: u16,
}

impl TaskOffsets {
    /// Those that the process states; `None` where it has no such section or one that makes no
    /// sense.
    pub fn of_process(pid: i32, memory: &impl ReadMemory) -> Option<Self> {
        let maps = read_maps(pid).ok()?;
        let is_candidate = |name: &str| name.starts_with("_asyncio") || name.contains("python");
        for mapping in maps.iter().filter(|map| map.executable && map.inode != 0) {
            let name = mapping.path.file_name().map(|name| name.to_string_lossy());
            if !name.is_some_and(|name| is_candidate(&name)) {
                continue;
            }
            let Ok(opened) = open_mapped(pid, mapping, memory) else { continue };
            let Ok(image) = Image::parse(&opened.file, &[]) else { continue };
            if let (Some(section), Some(bias)) = (image.asyncio_debug, image.bias(mapping)) {
                let block = memory.read_bytes(section.wrapping_add(bias), SIZE).ok()?;
                return Self::decode(&block);
            }
        }
        None
    }

    /// The numbers: of a task its size, `task_name`, four others, `task_coro` the sixth and
    /// `task_node`; two of the interpreter; of the thread state its size, the running loop, the
    /// running task.
    pub(super) fn decode(block: &[u8]) -> Option<Self> {
        let inside = |offset: u64, size: u64| {
            let fits = offset.is_multiple_of(8) && offset > 0 && offset < size.min(MAX_OFFSET);
            fits.then(|| u16::try_from(offset).ok()).flatten()
        };
        let (task, thread) = (block.u64_at(0), block.u64_at(72));
        Some(Self {
            running_task: inside(block.u64_at(88), thread)?,
            coro: inside(block.u64_at(40), task)?,
            name: inside(block.u64_at(8), task)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of Debian's 3.14.10.
    const STATED: [u64; 12] = [160, 136, 152, 83, 82, 128, 160, 7360, 0, 896, 864, 872];

    fn block(numbers: [u64; 12]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn what_is_stated_is_read() {
        let offsets = TaskOffsets { running_task: 872, coro: 128, name: 136 };
        assert_eq!(TaskOffsets::decode(&block(STATED)), Some(offsets));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (index, number) in [(1, 160), (5, 3), (11, 0), (0, u64::MAX), (11, 1 << 40)] {
            let mut numbers = STATED;
            numbers[index] = number;
            let decoded = TaskOffsets::decode(&block(numbers));
            assert_eq!(decoded.is_none(), index != 0, "{index}");
        }
    }
}
