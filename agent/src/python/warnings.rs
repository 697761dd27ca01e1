//! Where `warnings.warn` begins: the function in C that the finalisers in Python call to say that
//! something was not closed.
//!
//! No symbol of a stripped interpreter names it. But each has, in its writable data, the table of
//! the functions of the module `_warnings`: an array of `PyMethodDef`, in which `warn` is followed
//! by `warn_explicit`.

use std::ops::Range;

use super::memory::{Bounded, Fields, ReadError, ReadMemory};

/// A `PyMethodDef`: name, function, flags, documentation.
const ENTRY: u16 = 32;
const FUNCTION: u16 = 8;
const FLAGS: u16 = 16;

/// `METH_FASTCALL | METH_KEYWORDS` (`Include/methodobject.h`): how the kernel side reads the call.
const FAST_WITH_KEYWORDS: u32 = 0x82;

/// Most bytes that are searched, many at a time. Real ones have less than 2 MiB.
const MAX_SEARCHED: u64 = 16 << 20;
const CHUNK: u64 = 256 << 10;

/// The address of the function, in a process where the interpreter's file says that its writable
/// data lies in `ranges`, at addresses less by `bias`; `None` where there is no such table.
pub(super) fn warn(
    memory: &impl ReadMemory,
    ranges: impl IntoIterator<Item = Range<u64>>,
    bias: u64,
) -> Option<u64> {
    let memory = &Bounded::new(memory);
    let mut left = MAX_SEARCHED;
    for range in ranges {
        let mut start = range.start.checked_next_multiple_of(8)?;
        while start < range.end && left > 0 {
            let length = (range.end - start).min(CHUNK).min(left);
            left -= length;
            let block = memory.read_bytes(start.wrapping_add(bias), length as usize).ok()?;
            if let Some(function) = find(memory, &block) {
                return Some(function);
            }
            // Chunks overlap, so that no pair of entries lies across their border.
            start += if length == CHUNK { CHUNK - 2 * u64::from(ENTRY) } else { length };
        }
    }
    None
}

fn find(memory: &impl ReadMemory, block: &[u8]) -> Option<u64> {
    let pairs = (0..block.len()).step_by(8).filter_map(|at| block.get(at..at + 64));
    let is_named = |address: u64, name: &[u8]| -> Result<bool, ReadError> {
        Ok(memory.read_bytes(address, name.len())? == name)
    };
    pairs
        .filter(|pair| pair.u32_at(FLAGS) == FAST_WITH_KEYWORDS)
        .find(|pair| {
            is_named(pair.u64_at(0), b"warn\0") == Ok(true)
                && is_named(pair.u64_at(ENTRY), b"warn_explicit\0") == Ok(true)
        })
        .map(|pair| pair.u64_at(FUNCTION))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory from 0 on.
    struct Forged(Vec<u8>);

    impl ReadMemory for Forged {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let length = buffer.len();
            let found = self.0.get(address as usize..).and_then(|rest| rest.get(..length));
            buffer.copy_from_slice(found.ok_or(ReadError::Unmapped { address, length })?);
            Ok(())
        }
    }

    fn forged() -> Forged {
        let mut memory = Forged(vec![0; 256]);
        memory.0[8..13].copy_from_slice(b"warn\0");
        memory.0[16..30].copy_from_slice(b"warn_explicit\0");
        // An entry of another table that is called the same, and the table.
        for (at, word) in [(40, 8), (48, 1), (56, 0x82), (72, 77), (104, 8), (112, 2), (120, 0x82)]
        {
            memory.0[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
        }
        memory.0[136..144].copy_from_slice(&16_u64.to_le_bytes());
        memory
    }

    #[test]
    fn the_function_is_known_by_its_neighbour() {
        let mut memory = forged();
        assert_eq!(find(&memory, &memory.0), Some(2));
        assert_eq!(warn(&memory, [3..5, 9..256], 0), Some(2));
        assert_eq!(warn(&memory, Some(u64::MAX - 3..u64::MAX), 0), None);
        memory.0[120] = 3; // METH_VARARGS | METH_KEYWORDS
        assert_eq!(find(&memory, &memory.0), None);
    }
}
