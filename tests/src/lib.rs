//! Harness of the end-to-end tests: real CPython processes, the real program, the real kernel.
//!
//! A test starts a [`target::Target`] (a program of `workloads/`), attaches an [`agent::Agent`] to
//! it and compares what the agent says with what the target knows of itself. Nothing sleeps for a
//! fixed time: every wait is for a condition and has a deadline.
//!
//! Environment: `PITVIPER_BIN` (the program under test), `PITVIPER_PYTHONS` (see
//! [`interpreter`]), `CI=true` (what would be skipped fails instead).

pub mod agent;
pub mod certificates;
pub mod deadline;
pub mod embedding;
pub mod http;
pub mod interpreter;
pub mod leak;
pub mod lines;
pub mod machine;
pub mod monitoring;
pub mod opened;
pub mod output;
pub mod process;
pub mod prometheus;
pub mod release;
pub mod report;
pub mod requirements;
pub mod site;
pub mod starved;
pub mod target;
pub mod together;
pub mod trace;
pub mod venv;
pub mod webhook;
