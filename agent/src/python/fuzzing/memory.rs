//! A process made of a fuzzer's bytes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::super::interpreter::Interpreter;
use super::super::layout::Layout;
use super::super::memory::{ReadError, ReadMemory};
use super::super::thread_slot::ThreadSlot;
use super::super::version::Version;

/// Where memory that wraps begins.
pub(super) const BASE: u64 = 0x7f00_0000_0000;

/// Bytes of [`Process::head`].
pub(super) const HEAD: usize = 24;

/// Bits of [`Head::flags`]; what the others mean is the harness's affair.
const WRAPS: u8 = 1;

/// The numbers at the start of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// 3.8 to 3.16, the last of which nobody has seen.
    pub(super) version: Version,
    pub(super) flags: u8,
    /// After this many reads memory changes …
    after: u16,
    /// … to what lay so many bytes further on. With 0 it never does.
    shift: u16,
    pub(super) number: u16,
    /// Address of `_PyRuntime`.
    pub(super) runtime: u64,
    /// Address of what is read.
    pub(super) start: u64,
}

/// A process whose memory is either a few ranges, as in a recording, or one small block that is
/// everywhere, so that no pointer is wild and no length too long.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pub(super) head: Head,
    bytes: &'a [u8],
    ranges: BTreeMap<u64, Range<usize>>,
    reads: Cell<u64>,
    volume: Cell<u64>,
}

impl<'a> Process<'a> {
    /// The head, then for each range its address (8 bytes), its length (4 bytes) and its bytes; or
    /// the block. `None` for an input without a head.
    pub(super) fn new(input: &'a [u8]) -> Option<Self> {
        let (head, bytes) = input.split_first_chunk::<HEAD>()?;
        let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word =
            |at: usize| head[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let head = Head {
            version: Version { major: 3, minor: 8 + head[0] % 9, micro: 1 },
            flags: head[1],
            after: short(2),
            shift: short(4),
            number: short(6),
            runtime: word(8),
            start: word(16),
        };
        let mut ranges: BTreeMap<u64, Range<usize>> = BTreeMap::new();
        let mut at = 0;
        while head.flags & WRAPS == 0
            && let Some((address, rest)) = bytes[at..].split_first_chunk()
            && let Some((length, rest)) = rest.split_first_chunk()
        {
            let start = at + 12;
            at = start + rest.len().min(u32::from_le_bytes(*length) as usize);
            let address = u64::from_le_bytes(*address);
            // What is read of an address must not depend on where a read begins.
            let end = address.saturating_add((at - start) as u64);
            let before = ranges.range(..=end).next_back();
            if before
                .is_none_or(|(known, range)| known.saturating_add(range.len() as u64) <= address)
            {
                ranges.insert(address, start..at);
            }
        }
        let process = Self { head, bytes, ranges, reads: Cell::new(0), volume: Cell::new(0) };
        Some(process)
    }

    /// Whether memory stays as it is.
    pub(super) fn stands_still(&self) -> bool {
        self.head.shift == 0
    }

    /// How often memory was read.
    pub(super) fn reads(&self) -> u64 {
        self.reads.get()
    }

    /// How many bytes were read of it.
    pub(super) fn volume(&self) -> u64 {
        self.volume.get()
    }

    /// The layout, where there is one.
    pub(super) fn layout(&self) -> Option<Layout> {
        Layout::read(self.head.version, self, self.head.runtime).ok()
    }

    /// The interpreter, where there is a layout.
    pub(super) fn interpreter(&self) -> Option<Interpreter> {
        Some(Interpreter {
            version: self.head.version,
            executable: String::new(),
            image: "".into(),
            layout: self.layout()?,
            runtime: self.head.runtime,
            code_type: None,
            thread_slot: ThreadSlot { array: None, block: None, offset: 0 },
            thread_key: None,
            resource_warning: None,
            python_warning: None,
            resource_warning_type: None,
            code_dealloc: None,
        })
    }

    /// Words of the fuzzer's choice: where ranges begin, or what the block is made of.
    pub(super) fn words(&self) -> Vec<u64> {
        if self.head.flags & WRAPS == 0 {
            return self.ranges.keys().copied().collect();
        }
        self.bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    /// Whether these bytes lie anywhere in it.
    pub(super) fn holds(&self, wanted: &[u8]) -> bool {
        if self.ranges.is_empty() {
            return self.bytes.is_empty() || is_cyclic_part(self.bytes, wanted);
        }
        self.ranges.values().any(|range| is_cyclic_part(&self.bytes[range.clone()], wanted))
    }
}

/// Whether `wanted` lies in `block` or across its end and its beginning.
fn is_cyclic_part(block: &[u8], wanted: &[u8]) -> bool {
    let matches_at = |at: usize| {
        let (end, start) = (block[at..].iter(), block.iter().cycle());
        end.chain(start).zip(wanted).all(|(have, want)| have == want)
    };
    wanted.is_empty() || (0..block.len()).any(matches_at)
}

impl ReadMemory for Process<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let reads = self.reads.get();
        self.reads.set(reads + 1);
        self.volume.set(self.volume.get() + buffer.len() as u64);
        let shift = if reads < self.head.after.into() { 0 } else { usize::from(self.head.shift) };
        let unmapped = ReadError::Unmapped { address, length: buffer.len() };
        let (block, skipped) = if self.head.flags & WRAPS == 0 {
            let (start, range) = self.ranges.range(..=address).next_back().ok_or(unmapped)?;
            let skipped = usize::try_from(address - start).map_err(|_| unmapped)?;
            if skipped.checked_add(buffer.len()).is_none_or(|end| end > range.len()) {
                return Err(unmapped);
            }
            (&self.bytes[range.clone()], skipped)
        } else {
            let size = self.bytes.len().max(1) as u64;
            (self.bytes, (address.wrapping_sub(BASE) % size) as usize)
        };
        if buffer.is_empty() {
            return Ok(());
        }
        if block.is_empty() {
            return Err(unmapped);
        }
        let mut at = (skipped + shift) % block.len();
        let mut rest = buffer;
        while !rest.is_empty() {
            let source = &block[at..];
            let length = source.len().min(rest.len());
            let (filled, tail) = rest.split_at_mut(length);
            filled.copy_from_slice(&source[..length]);
            (rest, at) = (tail, 0);
        }
        Ok(())
    }
}
