//! The layout that a process states about itself.

use super::super::layout::Layout;
use super::super::memory::{ReadError, ReadMemory};
use super::super::version::Version;

/// A `_PyRuntime` and nothing else.
struct Runtime<'a>(&'a [u8]);

impl ReadMemory for Runtime<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let at = usize::try_from(address).unwrap_or(usize::MAX);
        let found = self.0.get(at..).and_then(|rest| rest.get(..buffer.len()));
        let unmapped = ReadError::Unmapped { address, length: buffer.len() };
        buffer.copy_from_slice(found.ok_or(unmapped)?);
        Ok(())
    }
}

/// Debug offsets: what comes out lies within its struct, and each number was stated.
pub(crate) fn debug_offsets(input: &[u8]) {
    let Some((&minor, block)) = input.split_first() else { return };
    let version = Version { major: 3, minor: 13 + minor % 4, micro: 0 };
    let Ok(layout) = Layout::read(version, &Runtime(block), 0) else { return };
    assert!(block.starts_with(b"xdebugpy"));
    assert_eq!(layout.is_free_threaded(), block[16] == 1);
    assert!(layout.runtime.interpreters < 16 << 20);

    let (code, frame) = (&layout.code, &layout.frame);
    for pointer in [code.filename, code.name, code.line_table, code.qualname.unwrap_or(0)] {
        assert!(pointer + 8 <= code.size && pointer.is_multiple_of(8));
    }
    for number in [code.first_line, code.flags, code.first_traceable.unwrap_or(0)] {
        assert!(number + 4 <= code.size);
    }
    assert!(code.size <= 4096 + 8 && code.bytecode.is_some_and(|start| start >= code.size));
    for pointer in [frame.previous, frame.code, frame.instruction] {
        assert!(pointer + 8 <= frame.size && pointer.is_multiple_of(8));
    }
    assert!(frame.owner.is_some_and(|owner| owner < frame.size));
    assert!(frame.bytecode_index.is_none_or(|index| index + 4 <= frame.size));

    // But for the ends of structs, each number that came out is one that went in.
    let mut stated = vec![
        layout.interpreter.next,
        layout.interpreter.threads,
        layout.thread_state.next,
        layout.thread_state.interp,
        layout.thread_state.frame,
        layout.thread_state.thread_id,
        layout.object_type,
        layout.type_name,
        layout.bytes.size,
        layout.bytes.data,
        layout.string.state,
        layout.string.length,
        layout.string.ascii_data,
        code.filename,
        code.name,
        code.first_line,
        code.line_table,
        frame.previous.into(),
        frame.code.into(),
        frame.instruction.into(),
    ];
    stated.extend(layout.thread_state.native_thread_id);
    stated.extend(code.qualname);
    stated.extend(code.bytecode);
    let is_stated = |number: u16| {
        let mut words = block.chunks_exact(8);
        words.any(|word| word == u64::from(number).to_le_bytes())
    };
    assert!(stated.into_iter().all(is_stated));
}
