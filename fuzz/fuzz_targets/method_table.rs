//! `agent/src/fuzzing.rs` names the harness.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pitviper::fuzzing::run("method_table", input));
