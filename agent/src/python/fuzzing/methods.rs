//! The search for the function behind `warnings.warn` in an interpreter's data.

use std::ops::Range;

use super::super::memory::MAX_SEARCH;
use super::super::warnings;
use super::memory::Process;

/// Most bytes that one search reads: as in `warnings`, and the names that candidates lead to.
const MAX_VOLUME: u64 = (16 << 20) + 32 * MAX_SEARCH;

/// Bits of the head's flags, all of which say that ranges are as long as they say. Seldom, as the
/// longest search takes a tenth of a second.
const LONG: u8 = 0b1111_0000;

/// What they are cut to otherwise.
const SHORT: u64 = 64 << 10;

/// Where the head's address says, then in what the words of the input say: little is read, and what
/// is found is a word that is there, in an entry whose name is.
pub(crate) fn method_table(input: &[u8]) {
    let Some(process) = Process::new(input) else { return };
    let head = process.head;
    let length = 256 * u64::from(head.number);
    let stated = head.start..head.start.saturating_add(length);
    let longest = if head.flags & LONG == LONG { u64::MAX } else { SHORT };
    let range = |start: u64, end: u64| start..end.min(start.saturating_add(longest));
    let words = process.words();
    let ranges: Vec<Range<u64>> =
        words.chunks_exact(2).take(8).map(|pair| range(pair[0], pair[1])).collect();
    for (ranges, bias) in [(vec![stated], 0), (ranges, head.runtime)] {
        let before = (process.reads(), process.volume());
        let found = warnings::warn(&process, ranges, bias);
        assert!(process.reads() - before.0 <= MAX_SEARCH);
        assert!(process.volume() - before.1 <= MAX_VOLUME);
        if let Some(function) = found.filter(|_| process.stands_still()) {
            assert!(process.holds(&function.to_le_bytes()));
            assert!(process.holds(b"warn\0") && process.holds(b"warn_explicit\0"));
        }
    }
}
