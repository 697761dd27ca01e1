//! Dicts, as far as it takes to find a string among their keys. The target keeps running, so that
//! what is read may be torn: a caller checks what it is given.

use super::layout::Layout;
use super::memory::{Fields, ReadError, ReadMemory};
use super::version::Version;

/// Bytes of `PyDictObject` that are read: `ma_keys` lies at 32, `ma_values` behind it.
const DICT: usize = 48;

/// `tp_flags` of a type, and the bit that dicts have (`Include/object.h`).
const TYPE_FLAGS: u64 = 168;
const DICT_SUBCLASS: u64 = 1 << 29;

/// More entries than any dict of modules or of a module's names has.
const MAX_ENTRIES: u64 = 1 << 18;

/// Offsets into `PyDictKeysObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysLayout {
    /// The number of indices (to 3.10).
    pub size: u16,
    /// The logarithm to base 2 of the bytes of the indices (3.11+).
    pub log: Option<u16>,
    /// The number of entries, those that were taken out included.
    pub count: u16,
    /// The indices, behind which the entries lie.
    pub indices: u16,
}

impl KeysLayout {
    /// That of `version` (`Objects/dict-common.h`; from 3.11 on `pycore_dict.h`).
    pub fn of(version: Version) -> Self {
        if version.minor >= 11 {
            Self { size: 8, log: Some(9), count: 24, indices: 32 }
        } else {
            Self { size: 8, log: None, count: 32, indices: 40 }
        }
    }
}

/// The entries of a dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entries {
    start: u64,
    count: u64,
    /// Without hashes (3.11+, where all keys are strings).
    short: bool,
}

/// Whether a dict lies at `address`.
pub(super) fn is_dict(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: u64,
) -> Result<bool, ReadError> {
    let of_type = memory.read_u64(address.wrapping_add(layout.object_type.into()))?;
    Ok(memory.read_u64(of_type.wrapping_add(TYPE_FLAGS))? & DICT_SUBCLASS != 0)
}

/// The entries of the dict at `address`; `None` for one whose values lie elsewhere, as those of
/// instances do.
pub(super) fn entries(
    memory: &impl ReadMemory,
    keys_layout: KeysLayout,
    address: u64,
) -> Result<Option<Entries>, ReadError> {
    let dict = memory.read_bytes(address, DICT)?;
    let (keys, values) = (dict.u64_at(32), dict.u64_at(40));
    if values != 0 {
        return Ok(None);
    }
    let head = memory.read_bytes(keys, keys_layout.indices.into())?;
    let count = head.u64_at(keys_layout.count);
    if count > MAX_ENTRIES {
        return Err(ReadError::Implausible { address: keys, what: "a dict has too many entries" });
    }
    let (bytes, short) = match keys_layout.log {
        Some(log) => (1u64 << (head.u8_at(log) & 31), head.u8_at(log + 1) == 1),
        None => {
            let size = head.u64_at(keys_layout.size);
            (
                size.saturating_mul(if size <= 0xff { 1 } else { 2 << u8::from(size > 0xffff) }),
                false,
            )
        }
    };
    let start = keys.wrapping_add(keys_layout.indices.into()).wrapping_add(bytes);
    Ok(Some(Entries { start, count, short }))
}

/// The value of the key `name`, an ASCII string.
pub(super) fn find(
    memory: &impl ReadMemory,
    layout: &Layout,
    entries: Entries,
    name: &str,
) -> Result<Option<u64>, ReadError> {
    let (stride, key_at) = if entries.short { (16, 0) } else { (24, 8) };
    let block = memory.read_bytes(entries.start, entries.count as usize * stride)?;
    let data = usize::from(layout.string.ascii_data);
    for entry in block.chunks_exact(stride) {
        let (key, value) = (entry.u64_at(key_at), entry.u64_at(key_at + 8));
        if key == 0 || value == 0 {
            continue;
        }
        // A name that is shorter may end at the end of what is mapped.
        let Ok(head) = memory.read_bytes(key, data) else { continue };
        if head.u64_at(layout.string.length) != name.len() as u64 {
            continue;
        }
        let text = memory.read_bytes(key.wrapping_add(data as u64), name.len());
        if text.is_ok_and(|text| text == name.as_bytes()) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}
