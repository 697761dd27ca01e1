//! Memory of a process, recorded while something reads it and replayed without the process.
//!
//! The file is a magic line, then for each range its address (8 bytes), its length (4 bytes, both
//! little-endian) and its bytes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::memory::{ReadError, ReadMemory};

const MAGIC: &[u8] = b"pitviper memory 1\n";

/// Largest file that is replayed.
const MAX_FILE: u64 = 64 << 20;

/// Passes reads on to `memory`, and keeps what they gave.
#[derive(Debug)]
pub struct Recording<M> {
    memory: M,
    ranges: RefCell<BTreeMap<u64, Vec<u8>>>,
}

impl<M> Recording<M> {
    /// Records what is read of `memory` from now on.
    pub fn new(memory: M) -> Self {
        Self { memory, ranges: RefCell::default() }
    }

    /// Writes everything that was read, in the form that [`Recorded::read_from`] takes.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn write_to(&self, mut output: impl Write) -> io::Result<()> {
        output.write_all(MAGIC)?;
        for (address, bytes) in joined(&self.ranges.borrow()) {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            output.write_all(&address.to_le_bytes())?;
            output.write_all(&length.to_le_bytes())?;
            output.write_all(&bytes)?;
        }
        Ok(())
    }
}

/// Makes one range of those that overlap or touch, so that any read of what was read succeeds.
fn joined(ranges: &BTreeMap<u64, Vec<u8>>) -> BTreeMap<u64, Vec<u8>> {
    let mut joined: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (&address, bytes) in ranges {
        if let Some(mut last) = joined.last_entry() {
            let gap = address - last.key();
            if let Ok(known) = usize::try_from(gap)
                && known <= last.get().len()
            {
                let fresh = (last.get().len() - known).min(bytes.len());
                last.get_mut().extend_from_slice(&bytes[fresh..]);
                continue;
            }
        }
        joined.insert(address, bytes.clone());
    }
    joined
}

impl<M: ReadMemory> ReadMemory for Recording<M> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.memory.read(address, buffer)?;
        let mut ranges = self.ranges.borrow_mut();
        let known = ranges.entry(address).or_default();
        if known.len() < buffer.len() {
            *known = buffer.to_vec();
        }
        Ok(())
    }
}

/// Memory that was recorded.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    ranges: BTreeMap<u64, Vec<u8>>,
}

impl Recorded {
    /// Reads what [`Recording::write_to`] wrote.
    ///
    /// # Errors
    ///
    /// Those of reading; `InvalidData` when it is not such a file, is cut, or passes 64 MiB.
    pub fn read_from(input: impl Read) -> io::Result<Self> {
        let mut file = Vec::new();
        input.take(MAX_FILE).read_to_end(&mut file)?;
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not a recording of memory");
        let mut rest = file.strip_prefix(MAGIC).ok_or_else(invalid)?;
        let mut ranges = BTreeMap::new();
        while !rest.is_empty() {
            let (address, tail) = rest.split_first_chunk().ok_or_else(invalid)?;
            let (length, tail) = tail.split_first_chunk().ok_or_else(invalid)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (bytes, tail) = tail.split_at_checked(length).ok_or_else(invalid)?;
            ranges.insert(u64::from_le_bytes(*address), bytes.to_vec());
            rest = tail;
        }
        Ok(Self { ranges })
    }
}

impl ReadMemory for Recorded {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        let unmapped = ReadError::Unmapped { address, length };
        let (start, bytes) = self.ranges.range(..=address).next_back().ok_or(unmapped)?;
        let found = usize::try_from(address - start)
            .ok()
            .and_then(|skipped| bytes.get(skipped..)?.get(..length))
            .ok_or(unmapped)?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_can_be_read_again_and_nothing_else() {
        let bytes: Vec<u8> = (0..=255).collect();
        let memory = Recorded { ranges: BTreeMap::from([(0x1000, bytes)]) };
        let recording = Recording::new(&memory);
        for (address, length) in [(0x1010, 8), (0x1014, 8), (0x1010, 2), (0x101c, 4), (0x1040, 1)] {
            recording.read_bytes(address, length).unwrap();
        }
        recording.read_u64(0x2000).unwrap_err();
        let mut file = Vec::new();
        recording.write_to(&mut file).unwrap();

        let recorded = Recorded::read_from(&file[..]).unwrap();
        let whole: Vec<u8> = (0x10..0x20).collect();
        assert_eq!(recorded.read_bytes(0x1010, 16).unwrap(), whole);
        assert_eq!(recorded.read_u8(0x1040), Ok(0x40));
        for (address, length) in [(0x100f, 2), (0x1010, 17), (0x1041, 1), (0, 1), (u64::MAX, 2)] {
            let error = ReadError::Unmapped { address, length };
            assert_eq!(recorded.read_bytes(address, length), Err(error));
        }
    }

    #[test]
    fn a_broken_file_is_refused() {
        let mut file = Vec::new();
        Recording::new(Recorded::default()).write_to(&mut file).unwrap();
        assert!(Recorded::read_from(&file[..]).is_ok());
        file.extend_from_slice(&[0; 11]);
        assert!(Recorded::read_from(&file[..]).is_err());
        file.extend_from_slice(&[0xff; 2]);
        assert!(Recorded::read_from(&file[..]).is_err());
        assert!(Recorded::read_from(&b""[..]).is_err());
    }
}
