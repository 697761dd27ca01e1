//! The harnesses of all readers of hostile bytes, for the fuzz targets in `fuzz/`
//! (`cargo xtask fuzz`) and for the test below, which replays what they have collected. Only there
//! with the feature `fuzzing` and in tests.

#[cfg(test)]
pub(crate) mod running;

use crate::native::fuzzing as native;
use crate::python::fuzzing as python;
use crate::source::ebpf::fuzzing as source;

/// A harness: it panics when an invariant does not hold.
pub type Harness = fn(&[u8]);

/// Each by the name of its target, which is that of its folder in `fuzz/corpus`.
pub const HARNESSES: [(&str, Harness); 14] = [
    ("analyse", python::analyse),
    ("asyncio", python::asyncio),
    ("code_object", python::code_object),
    ("debug_offsets", python::debug_offsets),
    ("dict", python::dict),
    ("elf", python::elf),
    ("events", source::events),
    ("line_table", python::line_table),
    ("maps", python::maps),
    ("method_table", python::method_table),
    ("native", native::native),
    ("thread_slot", python::thread_slot),
    ("trio", python::trio),
    ("walk", python::walk),
];

/// Runs the harness of this name over `input`.
pub fn run(name: &str, input: &[u8]) {
    if let Some((_, harness)) = HARNESSES.iter().find(|(known, _)| *known == name) {
        harness(input);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// The inputs that the targets have collected.
    fn corpus() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
    }

    /// Exercise each harness over its target's inputs: those of real interpreters, and what showed
    /// a mistake once. `PITVIPER_SEEDS=PYTHON:…` first makes the real ones anew.
    #[test]
    fn what_the_fuzz_targets_collected_breaks_nothing() {
        if let Some(pythons) = std::env::var_os("PITVIPER_SEEDS") {
            python::make_seeds(&pythons, &corpus());
            native::make_seeds(&pythons, &corpus().join("native"));
            for (name, record) in source::seeds() {
                fs::write(corpus().join("events").join(name), record).expect("writable");
            }
        }
        for (name, harness) in HARNESSES {
            let mut inputs = 0;
            for entry in fs::read_dir(corpus().join(name)).expect("a corpus") {
                let path = entry.expect("an entry").path();
                let input = fs::read(&path).expect("readable");
                let broken = std::panic::catch_unwind(|| harness(&input)).is_err();
                assert!(!broken, "{name} breaks over {}", path.display());
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
        }
    }
}
