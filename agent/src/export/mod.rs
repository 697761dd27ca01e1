//! One format a file. Exporters never read process memory, and every string from a target is
//! hostile to them: what it could do to a terminal, a browser or a parser is made visible instead.

pub mod activity;
pub mod api;
mod escape;
pub mod flamegraph;
pub mod folded;
pub mod graph;
pub mod json;
pub mod metrics;
pub mod otlp;
pub mod output;
pub mod pprof;
mod report;
#[cfg(test)]
pub(crate) mod sample;
mod slow_lines;
pub mod speedscope;
mod steps;
pub mod terminal;

pub use escape::visible;
pub use report::{Report, WallClock};
