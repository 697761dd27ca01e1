//! Findings: what `attach --json` says of each, and what a page needs besides.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::{View, bounded, stack_id, text_bytes};
use crate::detect::{Change, Finding, FindingKey, News};
use crate::export::json::finding as published;

/// Bytes of text of one answer. A finding has about a thousand; a hostile one a megabyte.
const ROOM: usize = 8 << 20;

/// Bytes of text from which an event tells only the innermost frames: events wait for slow clients.
const EVENT: usize = 32 << 10;

/// Those frames.
const EVENT_FRAMES: usize = 4;

/// Every finding, the most certain and severe first; with `pid` only those about that process.
pub fn findings(view: &View<'_>, pid: Option<u32>) -> Value {
    let mut findings = view.board.findings();
    if let Some(pid) = pid {
        let process = view.process(pid).map(|(id, _)| id);
        findings.retain(|finding| Some(finding.process) == process);
    }
    let mut shown = Vec::new();
    let mut room = ROOM;
    for finding in &findings {
        let value = one(view, finding);
        let bytes = text_bytes(&value);
        if bytes > room {
            break;
        }
        room -= bytes;
        shown.push(value);
    }
    let left_out = view.board.left_out() + (findings.len() - shown.len()) as u64;
    json!({ "time": view.time(), "findings": shown, "findings_left_out": left_out })
}

/// The event that a finding came, changed or went.
pub fn change(view: &View<'_>, news: &News) -> Value {
    let change = match news.change {
        Change::New => "new",
        Change::Upgraded => "upgraded",
        Change::Downgraded => "downgraded",
        Change::Withdrawn => "withdrawn",
    };
    let mut finding = one(view, &news.finding);
    if text_bytes(&finding) > EVENT
        && let Some(stack) = finding.get_mut("stack").and_then(Value::as_array_mut)
    {
        stack.truncate(EVENT_FRAMES);
    }
    json!({ "change": change, "finding": finding })
}

fn one(view: &View<'_>, finding: &Finding) -> Value {
    let process = view.ledger.process(finding.process);
    let mut value = published(finding, process.map_or(0, |known| known.info.pid), &view.clock);
    if let Some(fields) = value.as_object_mut() {
        let service = process.map_or("", |known| known.info.service.as_str());
        let alive = process.is_some_and(|known| known.ended_ns.is_none());
        fields.insert("id".into(), json!(id(finding)));
        fields.insert("service".into(), json!(service));
        fields.insert("alive".into(), json!(alive));
        fields.insert("summary".into(), json!(finding.summary));
    }
    bounded(value)
}

/// Stays the same for as long as the finding is the same one.
fn id(finding: &Finding) -> String {
    let key = FindingKey::of(finding);
    let mut hasher = DefaultHasher::new();
    (key.kind, key.process.0, key.site, key.about).hash(&mut hasher);
    stack_id(hasher.finish())
}
