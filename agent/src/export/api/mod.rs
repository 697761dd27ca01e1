//! What `/api/v1` answers: one sort of answer a file. Each is made whole from the ledger and owns what
//! it says, so that the thread that knows is free again before anything is written.
//!
//! Strings are those of the target, as in every JSON here; long ones are cut. Whoever shows them makes
//! them visible.

mod descriptors;
mod findings;
mod health;
mod process;
mod processes;
pub mod profile;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use super::WallClock;
use super::metrics::Health;
use crate::detect::Board;
use crate::event::ProcessId;
use crate::ledger::{Ledger, Process, StackNames};
use crate::python::Frame;

pub use descriptors::descriptors;
pub use findings::{change, findings};
pub use health::health;
pub use process::process;
pub use processes::{came, processes, went};

/// Characters of a string. Names in code may have thousands, and an answer thousands of names.
const TEXT: usize = 1_024;

/// Everything that is known at one moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The findings.
    pub board: &'a Board,
    /// How the agent itself is doing.
    pub health: &'a Health,
    /// Stacks by their ids.
    pub stacks: &'a dyn StackNames,
    /// From the ledger's clock to the calendar's.
    pub clock: WallClock,
}

impl<'a> View<'a> {
    /// The process of that pid: the living one, or else the last that had it.
    pub fn process(&self, pid: u32) -> Option<(ProcessId, &'a Process)> {
        let of_pid = self.ledger.processes().filter(|(_, process)| process.info.pid == pid);
        of_pid.max_by_key(|(id, process)| (process.ended_ns.is_none(), *id))
    }

    /// Unix seconds of the ledger's newest look.
    fn time(&self) -> f64 {
        self.clock.unix_seconds(self.ledger.time_ns())
    }
}

/// The frames of a stack, innermost first; `None` where the id is not known.
pub fn stack(view: &View<'_>, id: u64) -> Option<Value> {
    let stack = view.stacks.stack(id)?;
    let frames: Vec<Value> = stack.frames.iter().map(super::json::frame).collect();
    Some(bounded(serde_json::json!({
        "id": stack_id(id),
        "truncated": stack.truncated,
        "frames": frames,
    })))
}

/// How the id of a stack is written: 16 hexadecimal digits, which no reader of JSON rounds.
pub fn stack_id(id: u64) -> String {
    format!("{id:016x}")
}

/// Bytes of all strings in a value.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(fields) => fields.values().map(text_bytes).sum(),
        _ => 0,
    }
}

fn place(frame: Option<&Frame>) -> Value {
    frame.map_or(Value::Null, super::json::frame)
}

/// Seconds, to the millisecond, from `earlier` to `later`.
fn seconds_between(earlier_ns: u64, later_ns: u64) -> f64 {
    (later_ns.saturating_sub(earlier_ns) / 1_000_000) as f64 / 1e3
}

fn value(of: impl Serialize) -> Value {
    // Fails for maps whose keys are not strings; there is none.
    bounded(serde_json::to_value(of).unwrap_or_default())
}

/// Cuts long strings wherever they are.
fn bounded(mut value: Value) -> Value {
    cut(&mut value);
    value
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT => {
            let rest = text.chars().count().saturating_sub(TEXT);
            if rest > 0 {
                let kept: String = text.chars().take(TEXT).collect();
                *text = format!("{kept}…(+{rest})");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        _ => {}
    }
}
