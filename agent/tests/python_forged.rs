//! Forged memory and records: whatever a target's bytes say, everything ends soon and nothing
//! panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy exempts the tests themselves, but not what they share"
)]

use pitviper::event::{CodeRecord, ProcessId, RawBytes, RawFrame, RawString, StackRecord};
use pitviper::python::{
    Code, CodeTable, Interpreter, Layout, ReadError, ReadMemory, Recorded, ThreadSlot, Version,
    complete_from_memory, read_code, thread_states, walk,
};
use proptest::prelude::*;

const BASE: u64 = 0x7f00_0000_0000;

/// A small memory in which most words point into it, so that walks get far.
#[derive(Debug, Clone)]
struct Forged {
    bytes: Vec<u8>,
    /// Addresses past the end wrap around instead of being unmapped.
    wraps: bool,
}

impl ReadMemory for Forged {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let unmapped = ReadError::Unmapped { address, length: buffer.len() };
        let start = address.wrapping_sub(BASE);
        if !self.wraps && start.checked_add(buffer.len() as u64).is_none_or(|end| end > self.size())
        {
            return Err(unmapped);
        }
        let source = self.bytes.iter().cycle().skip((start % self.size()) as usize);
        buffer.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

impl Forged {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => (0..16_384_u64).prop_map(|offset| BASE + offset),
        1 => 0..64_u64,
        1 => Just(0),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

fn memory() -> impl Strategy<Value = Forged> {
    (prop::collection::vec(word(), 1024..2048), any::<bool>()).prop_map(|(words, wraps)| Forged {
        bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        wraps,
    })
}

fn version() -> impl Strategy<Value = Version> {
    (8_u8..=13).prop_map(|minor| Version { major: 3, minor, micro: 1 })
}

fn string() -> impl Strategy<Value = RawString> {
    let length = prop_oneof![0..64_u64, any::<u64>()];
    let data = prop::collection::vec(any::<u8>(), 0..64);
    (word(), prop_oneof![0..8_u8, any::<u8>()], length, data)
        .prop_map(|(address, kind, length, data)| RawString { address, kind, length, data })
}

fn record() -> impl Strategy<Value = CodeRecord> {
    let table = (word(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..512))
        .prop_map(|(address, length, data)| RawBytes { address, length, data });
    let numbers = (0..4_u64, word(), any::<i32>(), any::<u32>(), any::<u32>());
    (numbers, string(), string(), prop::option::of(string()), table).prop_map(
        |((id, address, first_line, flags, traceable), filename, name, qualname, line_table)| {
            CodeRecord {
                space: 0,
                process: ProcessId(1),
                id,
                address,
                first_line,
                flags,
                first_traceable: traceable,
                filename,
                name,
                qualname,
                line_table,
            }
        },
    )
}

/// The layout of a version; that of 3.13 from debug offsets that are themselves forged, or else
/// that of 3.12.
fn layout(version: Version, memory: &Forged) -> Layout {
    let older = Version { minor: 12, ..version };
    Layout::read(version, memory, BASE).or_else(|_| Layout::read(older, memory, BASE)).unwrap()
}

/// Words of `_Py_DebugOffsets` of a feature release.
struct Block {
    minor: u8,
    words: usize,
    /// Those that hold the size of a struct.
    sizes: &'static [usize],
    /// The size of `PyObject`, which is one of two, and `ob_type` in it.
    object: usize,
    /// `co_code_adaptive`, which must follow all other fields of its struct.
    bytecode: usize,
    /// Offsets in a frame, which lie near its beginning.
    frame: std::ops::Range<usize>,
}

const BLOCKS: [Block; 3] = [
    Block {
        minor: 13,
        words: 73,
        sizes: &[3, 6, 19, 28, 34, 44, 46, 64, 67],
        object: 44,
        bytecode: 43,
        frame: 29..34,
    },
    Block {
        minor: 14,
        words: 95,
        sizes: &[3, 6, 22, 31, 39, 50, 52, 74, 77, 83],
        object: 50,
        bytecode: 48,
        frame: 32..39,
    },
    Block {
        minor: 15,
        words: 111,
        sizes: &[3, 6, 22, 39, 47, 58, 60, 86, 89, 99],
        object: 58,
        bytecode: 56,
        frame: 40..47,
    },
];

proptest! {
    #[test]
    fn walks_over_forged_memory_end(memory in memory(), version in version(), state in word()) {
        let layout = layout(version, &memory);
        let interpreter = Interpreter {
            version,
            executable: String::new(),
            image: "".into(),
            layout,
            runtime: BASE,
            code_type: None,
            thread_slot: ThreadSlot { array: None, block: None, offset: 0 },
            thread_key: None,
            resource_warning: None,
            python_warning: None,
            resource_warning_type: None,
            code_dealloc: None,
        };
        if let Ok(states) = thread_states(&memory, &interpreter) {
            prop_assert!(states.len() <= 16_384);
        }
        if let Ok(frames) = walk(&memory, &layout, state, 50) {
            prop_assert!(frames.len() <= 50);
        }
        if let Ok(record) = read_code(&memory, &layout, state, ProcessId(1), 1) {
            prop_assert!(record.filename.data.len() <= 16 << 10);
            prop_assert!(record.line_table.data.len() <= 1 << 20);
        }
    }

    #[test]
    fn forged_debug_offsets_give_offsets_inside_their_structs(
        block in prop::sample::select((0..BLOCKS.len()).collect::<Vec<_>>()),
        mut numbers in prop::collection::vec((0..60_u64).prop_map(|word| word * 8), 111),
        forged in 3..111_usize,
        with in any::<u64>(),
        forge in any::<bool>(),
        free_threaded in any::<bool>(),
    ) {
        let block = &BLOCKS[block];
        for &size in block.sizes {
            numbers[size] = 512;
        }
        numbers[block.object] = if free_threaded { 32 } else { 16 };
        numbers[block.object + 1] = 8;
        numbers[block.bytecode] = 504;
        for offset in block.frame.clone() {
            numbers[offset] %= 240;
        }
        if forge {
            numbers[forged] = with;
        }
        numbers.truncate(block.words);
        numbers[2] = free_threaded.into();
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes[..8].copy_from_slice(b"xdebugpy");
        let version = Version { major: 3, minor: block.minor, micro: 0 };
        let memory = Forged { bytes, wraps: false };
        let layout = Layout::read(version, &memory, BASE);
        prop_assert!(forge || layout.is_ok());
        if let Ok(layout) = layout {
            prop_assert!(layout.code.size <= 4096 + 8);
            prop_assert!(layout.code.filename <= layout.code.size - 8);
            prop_assert!(layout.frame.previous <= layout.frame.size - 8);
        }
    }

    #[test]
    fn forged_records_decode_or_not(
        mut record in record(),
        memory in memory(),
        version in version(),
        instructions in prop::collection::vec(prop_oneof![0..600_u64, any::<u64>()], 1..8),
    ) {
        let strings = [Some(&record.filename), Some(&record.name), record.qualname.as_ref()];
        let plausible = strings.iter().flatten().all(|string| matches!(string.kind, 0 | 1 | 2 | 4));
        let decoded = Code::decode(&record, version);
        prop_assert_eq!(decoded.is_ok(), plausible);
        if let Ok(code) = decoded {
            for &instruction in &instructions {
                if let Some(frame) = code.frame(instruction) {
                    // Nine characters at most for a code point: `\U0011000f…`.
                    prop_assert!(frame.file.len() <= 64 * 10 + 3);
                }
            }
        }
        let mut table = CodeTable::with_bounds(2, 1 << 20);
        let _ = complete_from_memory(&mut record, &memory, &layout(version, &memory));
        let id = record.id;
        let inserted = table.insert(version, record).is_ok();
        let frames: Vec<_> =
            instructions.iter().map(|&instruction| RawFrame { code: id, instruction }).collect();
        let count = frames.len();
        let stack = StackRecord { process: ProcessId(1), id: 1, truncated: false, frames };
        let stack = table.resolve(&stack);
        prop_assert!(stack.frames.len() <= count);
        prop_assert_eq!(stack.unresolved as usize, if inserted { 0 } else { count });
    }

    #[test]
    fn forged_recordings_are_refused_or_read(
        bytes in prop::collection::vec(any::<u8>(), 0..256),
        address in any::<u64>(),
    ) {
        let file = [b"pitviper memory 1\n", &bytes[..]].concat();
        if let Ok(memory) = Recorded::read_from(&file[..]) {
            let _ = memory.read_u64(address);
        }
    }
}
