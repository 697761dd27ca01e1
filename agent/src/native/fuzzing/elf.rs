//! A small ELF file with what unwinding and naming need, made of parts of a real one.

/// Entries of one `.eh_frame`, where they were in memory.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    address: u64,
    /// Each CIE that is there already, and where.
    commons: Vec<(Vec<u8>, usize)>,
    /// Functions and their entries' addresses.
    rows: Vec<(u64, u64)>,
}

impl Frames {
    pub(crate) fn at(address: u64) -> Self {
        Self { address, ..Self::default() }
    }

    /// Adds the entry of the function at `start`, whose addresses are distances of 4 bytes, and the
    /// one that it shares with others. Both begin with their lengths.
    pub(crate) fn add(&mut self, start: u64, entry: &[u8], common: &[u8]) {
        if self.rows.iter().any(|(known, _)| *known == start) {
            return;
        }
        let known = self.commons.iter().find(|(bytes, _)| bytes == common).map(|(_, at)| *at);
        let shared = known.unwrap_or_else(|| {
            let at = self.bytes.len();
            self.commons.push((common.to_vec(), at));
            self.bytes.extend_from_slice(common);
            at
        });
        let at = self.bytes.len();
        self.rows.push((start, self.address + at as u64));
        self.bytes.extend_from_slice(&entry[..4]);
        self.bytes.extend_from_slice(&((at + 4 - shared) as u32).to_le_bytes());
        let distance = start.wrapping_sub(self.address + at as u64 + 8);
        self.bytes.extend_from_slice(&(distance as u32).to_le_bytes());
        self.bytes.extend_from_slice(&entry[12..]);
    }

    /// The index, as it is at `address`.
    fn index(&self, address: u64) -> Vec<u8> {
        let mut rows = self.rows.clone();
        rows.sort_unstable();
        let mut index = vec![1, 0x1b, 3, 0x3b];
        let mut put = |distance: u64| index.extend_from_slice(&(distance as u32).to_le_bytes());
        put(self.address.wrapping_sub(address + 4));
        put(rows.len() as u64);
        for (start, entry) in rows {
            put(start.wrapping_sub(address));
            put(entry.wrapping_sub(address));
        }
        index
    }
}

/// Name, first address and size.
pub(crate) type Function = (String, u64, u64);

/// The file: a segment that is run (its offset, address and size), the entries with the address of
/// their index, and functions, of which `exported` names those that the dynamic linker knows.
pub(crate) fn file(
    segment: (u64, u64, u64),
    frames: &Frames,
    index: u64,
    functions: &[Function],
    exported: &str,
) -> Vec<u8> {
    let table = |chosen: &dyn Fn(&str) -> bool| {
        let (mut symbols, mut names) = (vec![0; 24], vec![0]);
        for (name, start, size) in functions.iter().filter(|(name, _, _)| chosen(name)) {
            symbols.extend_from_slice(&(names.len() as u32).to_le_bytes());
            // A global function, in the first section.
            symbols.extend_from_slice(&[0x12, 0, 1, 0]);
            symbols.extend_from_slice(&start.to_le_bytes());
            symbols.extend_from_slice(&size.to_le_bytes());
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        (symbols, names)
    };
    let (dynamic, dynamic_names) = table(&|name| name == exported);
    let (symbols, symbol_names) = table(&|_| true);
    let mut sections = vec![
        (".eh_frame_hdr", 1u32, index, frames.index(index), 0u32),
        (".eh_frame", 1, frames.address, [&frames.bytes[..], &[0; 4]].concat(), 0),
        (".symtab", 2, 0, symbols, 4),
        (".strtab", 3, 0, symbol_names, 0),
    ];
    if functions.iter().any(|(name, _, _)| name == exported) {
        sections.push((".dynsym", 11, 0, dynamic, 6));
        sections.push((".dynstr", 3, 0, dynamic_names, 0));
    }
    let mut names = vec![0];
    for name in sections.iter().map(|section| section.0).chain([".shstrtab"]) {
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    sections.push((".shstrtab", 3, 0, names.clone(), 0));

    let count = sections.len() as u16 + 1;
    let (header, program, section) = (64u64, 56u64, 64u64);
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    for word in [0, header, header + program] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for word in [0, 0, header as u16, program as u16, 1, section as u16, count, count - 1] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    // To be loaded, read and run.
    bytes.extend_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    let (offset, address, size) = segment;
    for word in [offset, address, address, size, size, 1 << 12] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 64]);
    let mut at = header + program + section * u64::from(count);
    let mut name_at = 1u32;
    for (name, kind, address, content, link) in &sections {
        for word in [name_at, *kind] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [0, *address, at, content.len() as u64] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [*link, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let entry = if *link == 0 { 0u64 } else { 24 };
        for word in [8, entry] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        name_at += name.len() as u32 + 1;
        at += content.len() as u64;
    }
    for (_, _, _, content, _) in sections {
        bytes.extend_from_slice(&content);
    }
    bytes
}
