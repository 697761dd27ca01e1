//! Files that a program opens on record (`workloads/truth.py`): each path's own stack is held against
//! the one that a trace shows.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::trace::Trace;

/// How many different stacks an error message shows.
const SHOWN: usize = 3;

/// Checks that each open of the records has an event with exactly the stack that the program knows
/// of itself; gives how many there were.
///
/// # Errors
/// When a record cannot be read, an open is missing, or a stack is another.
pub fn check(trace: &Trace, records: &[impl AsRef<Path>]) -> Result<usize> {
    let opens = trace.events.iter().filter(|event| event["event"] == "open");
    let by_path: HashMap<&str, &Value> =
        opens.filter_map(|event| Some((event["path"].as_str()?, event))).collect();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for record in records {
        let path = record.as_ref();
        let text = fs::read_to_string(path).with_context(|| format!("failed to read {path:?}"))?;
        let record: Value = serde_json::from_str(&text)?;
        for call in record["calls"].as_array().context("no calls in the record")? {
            let (kind, path, stack) = (&call[0][0], &call[0][1], &call[1]);
            if kind != "open" {
                continue;
            }
            compared += 1;
            let own = &record["stacks"][stack.as_u64().context("no stack")? as usize];
            match by_path.get(path.as_str().unwrap_or_default()) {
                None => wrong.push(format!("{path}: no event")),
                Some(event) if !same(own, &event["stack"]) => {
                    let (status, seen) = (&event["stack_status"], &event["stack"]);
                    wrong.push(format!("{path}: {status}\n  own  {own}\n  seen {seen}"));
                }
                Some(_) => {}
            }
        }
    }
    ensure!(compared > 0, "nothing is on record");
    let shown = wrong[..wrong.len().min(SHOWN)].join("\n");
    ensure!(wrong.is_empty(), "{} of {compared} stacks are wrong:\n{shown:.4000}", wrong.len());
    Ok(compared)
}

fn same(own: &Value, seen: &Value) -> bool {
    let (Some(own), Some(seen)) = (own.as_array(), seen.as_array()) else { return false };
    own.len() == seen.len()
        && own.iter().zip(seen).all(|(own, seen)| {
            seen["file"] == own[0] && seen["function"] == own[1] && seen["line"] == own[2]
        })
}
