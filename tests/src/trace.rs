//! The lines that `pitviper trace --json` prints.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A finished trace: an event a line, then the summary.
#[derive(Debug)]
pub struct Trace {
    /// The descriptor events, in the order printed.
    pub events: Vec<Value>,
    /// The ledger of the summary.
    pub ledger: Value,
}

impl Trace {
    /// Reads every line.
    ///
    /// # Errors
    /// When a line is not JSON, or the last is not the summary.
    pub fn parse(lines: &[String]) -> Result<Trace> {
        let mut events = lines.iter().map(|line| parse_line(line)).collect::<Result<Vec<_>>>()?;
        let mut summary = events.pop().context("the trace is empty")?;
        ensure!(summary["event"] == "summary", "the last line is no summary: {summary}");
        Ok(Trace { events, ledger: summary["ledger"].take() })
    }
}

/// Reads one line.
///
/// # Errors
/// When it is not JSON.
pub fn parse_line(line: &str) -> Result<Value> {
    serde_json::from_str(line).with_context(|| format!("not JSON: {line:.500?}"))
}
