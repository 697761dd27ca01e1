//! What the kernel side had to cut of a code object is filled in, if it is still that object.

use pitviper::event::{CodeRecord, ProcessId};
use pitviper::python::{
    Layout, ReadError, ReadMemory, complete_from_memory, read_code, thread_states, walk,
};

use super::snapshots::{MINORS, replay};

fn records(memory: &impl ReadMemory, layout: &Layout, states: &[u64]) -> Vec<CodeRecord> {
    let frames = states.iter().flat_map(|state| walk(memory, layout, *state, 100).unwrap());
    frames.map(|frame| read_code(memory, layout, frame.code, ProcessId(1), 2).unwrap()).collect()
}

#[test]
fn what_was_cut_is_filled_in() {
    for minor in MINORS {
        let (memory, interpreter, _) = replay(minor);
        let states = thread_states(&memory, &interpreter).unwrap();
        let states: Vec<u64> = states.iter().map(|state| state.address).collect();
        let records = records(&memory, &interpreter.layout, &states);
        assert!(records.len() > 20, "3.{minor}: {}", records.len());
        for whole in records {
            let complete = |record: &CodeRecord| {
                let mut record = record.clone();
                complete_from_memory(&mut record, &memory, &interpreter.layout).map(|()| record)
            };
            let mut cut = whole.clone();
            cut.filename.data.truncate(2 * usize::from(cut.filename.kind));
            cut.name.data.clear();
            if let Some(qualname) = &mut cut.qualname {
                // As when it could not be read at all.
                (qualname.kind, qualname.length) = (0, 0);
                qualname.data.clear();
            }
            cut.line_table.data.truncate(1);
            assert_eq!(complete(&cut), Ok(whole.clone()));

            let mut other = cut.clone();
            other.filename.length += 1;
            assert!(matches!(complete(&other), Err(ReadError::Implausible { .. })));
            let mut other = cut.clone();
            // A function of one line may have an empty table in 3.8 and 3.9.
            if let Some(byte) = other.line_table.data.first_mut() {
                *byte ^= 1;
                assert!(matches!(complete(&other), Err(ReadError::Implausible { .. })));
            }
            let mut other = cut;
            other.name.address = 16;
            assert!(matches!(complete(&other), Err(ReadError::Unmapped { .. })));
        }
    }
}
