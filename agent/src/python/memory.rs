//! Reading a target's memory: one trait, so that live processes, recorded snapshots and forged
//! garbage run the same code.

use std::cell::Cell;
use std::io;

use thiserror::Error;

/// Most bytes that are read at once, whatever length the target claims.
const MAX_READ: usize = 16 << 20;

/// Why memory could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Nothing is mapped there: the pointer was stale or is garbage.
    #[error("failed to read {length} bytes at {address:#x}: not mapped")]
    Unmapped {
        /// First byte that was asked for.
        address: u64,
        /// How many bytes were asked for.
        length: usize,
    },
    /// The process has ended.
    #[error("failed to read memory: the process is gone")]
    Gone,
    /// The kernel does not let this user read the process's memory.
    #[error("failed to read memory: permission denied; run as root or with CAP_SYS_PTRACE")]
    Denied,
    /// What was read cannot be what it should be.
    #[error("memory at {address:#x} makes no sense: {what}")]
    Implausible {
        /// Where it was read.
        address: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The system call failed for another reason.
    #[error("failed to read memory: error {errno}")]
    System {
        /// The error number of `process_vm_readv(2)`.
        errno: i32,
    },
}

/// Memory of a process, by the process's own addresses.
pub trait ReadMemory {
    /// Fills `buffer` with the bytes at `address`.
    ///
    /// # Errors
    ///
    /// Any [`ReadError`]; the buffer's content is then unspecified. Never a partial success.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError>;

    /// Reads `length` bytes at `address`; [`ReadError::Implausible`] above 16 MiB, so that a forged
    /// length costs nothing.
    fn read_bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        if length > MAX_READ {
            return Err(ReadError::Implausible { address, what: "it claims to be too long" });
        }
        let mut buffer = vec![0; length];
        self.read(address, &mut buffer)?;
        Ok(buffer)
    }

    /// Reads a `u8`.
    fn read_u8(&self, address: u64) -> Result<u8, ReadError> {
        let mut buffer = [0; 1];
        self.read(address, &mut buffer)?;
        Ok(buffer[0])
    }

    /// Reads a little-endian `u32`.
    fn read_u32(&self, address: u64) -> Result<u32, ReadError> {
        let mut buffer = [0; 4];
        self.read(address, &mut buffer)?;
        Ok(u32::from_le_bytes(buffer))
    }

    /// Reads a little-endian `u64`.
    fn read_u64(&self, address: u64) -> Result<u64, ReadError> {
        let mut buffer = [0; 8];
        self.read(address, &mut buffer)?;
        Ok(u64::from_le_bytes(buffer))
    }
}

impl<M: ReadMemory + ?Sized> ReadMemory for &M {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        (**self).read(address, buffer)
    }
}

/// What a search may take: tens of milliseconds of system calls. One in a real process takes a few
/// thousand reads.
pub(super) const MAX_SEARCH: u64 = 1 << 18;

/// Bytes whose copying takes about as long as a system call.
const FREE: usize = 1024;

/// Passes on reads of memory until they have become too many, so that a search in forged memory, in
/// which everything leads everywhere, ends as soon as one in a real process.
#[derive(Debug)]
pub(super) struct Bounded<M> {
    memory: M,
    left: Cell<u64>,
}

impl<M> Bounded<M> {
    /// Memory for one search.
    pub(super) fn new(memory: M) -> Self {
        Self { memory, left: Cell::new(MAX_SEARCH) }
    }
}

impl<M: ReadMemory> ReadMemory for Bounded<M> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let cost = 1 + (buffer.len() / FREE) as u64;
        let Some(left) = self.left.get().checked_sub(cost) else {
            self.left.set(0);
            return Err(ReadError::Implausible { address, what: "it leads everywhere" });
        };
        self.left.set(left);
        self.memory.read(address, buffer)
    }
}

/// Fields of a block of target memory that was read in one go.
pub(crate) trait Fields {
    /// The little-endian `u64` at `offset`; 0 past the end.
    fn u64_at(&self, offset: u16) -> u64;
    /// The little-endian `u32` at `offset`; 0 past the end.
    fn u32_at(&self, offset: u16) -> u32;
    /// The byte at `offset`; 0 past the end.
    fn u8_at(&self, offset: u16) -> u8;
}

impl Fields for [u8] {
    fn u64_at(&self, offset: u16) -> u64 {
        self.get(usize::from(offset)..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn u32_at(&self, offset: u16) -> u32 {
        self.get(usize::from(offset)..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn u8_at(&self, offset: u16) -> u8 {
        self.get(usize::from(offset)).copied().unwrap_or(0)
    }
}

/// Memory of a live process by `process_vm_readv(2)`: nothing is attached and the process never
/// stops, so what is read may change between two reads.
#[derive(Debug, Clone, Copy)]
pub struct ProcessMemory {
    pid: i32,
}

impl ProcessMemory {
    /// Memory of process `pid`. Never fails: the first read tells whether it exists.
    pub fn new(pid: i32) -> Self {
        Self { pid }
    }
}

impl ReadMemory for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        if length == 0 {
            return Ok(());
        }
        let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: length };
        let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length };
        // SAFETY: `local` describes `buffer`, which is exclusively borrowed for the call; `remote`
        // is only interpreted in the other process, and the kernel checks it.
        let read = unsafe { libc::process_vm_readv(self.pid, &local, 1, &remote, 1, 0) };
        if usize::try_from(read) == Ok(length) {
            return Ok(());
        }
        if read >= 0 {
            return Err(ReadError::Unmapped { address, length });
        }
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        Err(match errno {
            libc::EFAULT => ReadError::Unmapped { address, length },
            libc::ESRCH => ReadError::Gone,
            libc::EPERM | libc::EACCES => ReadError::Denied,
            errno => ReadError::System { errno },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_memory_of_a_live_process() {
        let value: u64 = 0x5eed_cafe;
        let memory = ProcessMemory::new(std::process::id().cast_signed());
        assert_eq!(memory.read_u64(std::ptr::from_ref(&value) as u64), Ok(value));
    }

    #[test]
    fn says_why_it_cannot_read() {
        let memory = ProcessMemory::new(std::process::id().cast_signed());
        assert_eq!(memory.read_u64(8), Err(ReadError::Unmapped { address: 8, length: 8 }));
        assert!(matches!(memory.read_bytes(8, usize::MAX), Err(ReadError::Implausible { .. })));
        assert_eq!(ProcessMemory::new(i32::MAX).read_u8(8), Err(ReadError::Gone));
    }

    #[test]
    fn fields_past_the_end_are_zero() {
        let block: &[u8] = &[1, 0, 0, 0, 2];
        assert_eq!(block.u32_at(0), 1);
        assert_eq!(block.u8_at(4), 2);
        assert_eq!(block.u32_at(2), 0);
        assert_eq!(block.u64_at(0), 0);
        assert_eq!(block.u64_at(u16::MAX), 0);
    }
}
