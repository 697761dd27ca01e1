//! Dicts, as far as it takes to find a string among their keys. The target keeps running, so that
//! what is read may be torn: a caller checks what it is given.

use super::layout::Layout;
use super::memory::{Fields, ReadError, ReadMemory};
use super::version::Version;

/// `ma_keys` of a dict, behind its head; `ma_values` follows.
const KEYS: u64 = 16;

/// `tp_flags` of a type, behind its head, and the bit that dicts have (`Include/object.h`).
const TYPE_FLAGS: u64 = 152;
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
    let flags = u64::from(layout.object_size) + TYPE_FLAGS;
    let of_type = memory.read_u64(address.wrapping_add(layout.object_type.into()))?;
    Ok(memory.read_u64(of_type.wrapping_add(flags))? & DICT_SUBCLASS != 0)
}

/// The entries of the dict at `address`; `None` for one whose values lie elsewhere, as those of
/// instances do.
pub(super) fn entries(
    memory: &impl ReadMemory,
    layout: &Layout,
    keys_layout: KeysLayout,
    address: u64,
) -> Result<Option<Entries>, ReadError> {
    let start = address.wrapping_add(u64::from(layout.object_size) + KEYS);
    let dict = memory.read_bytes(start, 16)?;
    let (keys, values) = (dict.u64_at(0), dict.u64_at(8));
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

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;

    const BASE: u64 = 0x10_0000;
    const KEYS: u64 = 0x100;
    const NAME: u64 = 0x400;

    /// Memory from [`BASE`] on.
    struct Forged(Vec<u8>);

    impl Forged {
        fn put(&mut self, at: u64, bytes: &[u8]) {
            self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    impl ReadMemory for Forged {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            let at = address.checked_sub(BASE).and_then(|at| self.0.get(at as usize..));
            let found = at.and_then(|rest| rest.get(..buffer.len()));
            let length = buffer.len();
            buffer.copy_from_slice(found.ok_or(ReadError::Unmapped { address, length })?);
            Ok(())
        }
    }

    fn version(minor: u8) -> Version {
        Version { major: 3, minor, micro: 0 }
    }

    /// A dict at [`BASE`] with two entries, the first of which was taken out; 8 indices.
    fn forged(minor: u8, value: u64) -> (Forged, Layout) {
        let mut memory = Forged(vec![0; 0x1000]);
        let layout = Layout::read(version(if minor == 13 { 12 } else { minor }), &memory, BASE);
        let layout = layout.expect("a layout");
        memory.put(32, &(BASE + KEYS).to_le_bytes());
        let keys = KeysLayout::of(version(minor));
        memory.put(KEYS + u64::from(keys.count), &2u64.to_le_bytes());
        if keys.log.is_some() {
            memory.put(KEYS + 8, &[3, 3, 1]);
        } else {
            memory.put(KEYS + 8, &8u64.to_le_bytes());
        }
        let entries = KEYS + u64::from(keys.indices) + 8;
        let at = entries + if keys.log.is_some() { 16 } else { 24 + 8 };
        memory.put(at, &(BASE + NAME).to_le_bytes());
        memory.put(at + 8, &value.to_le_bytes());
        memory.put(NAME + u64::from(layout.string.length), &3u64.to_le_bytes());
        memory.put(NAME + u64::from(layout.string.ascii_data), b"sys");
        (memory, layout)
    }

    /// Exercise both layouts of keys.
    #[test]
    fn a_name_is_found_among_the_keys() {
        for minor in [8, 10, 11, 13] {
            let (memory, layout) = forged(minor, 7);
            let found = entries(&memory, &layout, KeysLayout::of(version(minor)), BASE);
            let entries = found.expect("readable").expect("entries");
            assert_eq!(find(&memory, &layout, entries, "sys"), Ok(Some(7)), "3.{minor}");
            assert_eq!(find(&memory, &layout, entries, "syt"), Ok(None), "3.{minor}");
            assert_eq!(find(&memory, &layout, entries, "system"), Ok(None), "3.{minor}");
        }
    }

    /// Exercise counts and pointers that cannot be right.
    #[test]
    fn garbage_is_an_error_and_costs_nothing() {
        let (mut memory, layout) = forged(12, 7);
        let keys = KeysLayout::of(version(12));
        memory.put(KEYS + 24, &u64::MAX.to_le_bytes());
        assert!(matches!(
            entries(&memory, &layout, keys, BASE),
            Err(ReadError::Implausible { .. })
        ));
        memory.put(32, &8u64.to_le_bytes());
        assert!(matches!(entries(&memory, &layout, keys, BASE), Err(ReadError::Unmapped { .. })));
        memory.put(40, &1u64.to_le_bytes());
        assert_eq!(entries(&memory, &layout, keys, BASE), Ok(None));
    }
}
