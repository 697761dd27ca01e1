//! The published JSON: one document a run, or one finding a line. A key once published keeps its
//! meaning; new ones may come.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::detect::{Evidence, Finding};
use crate::ledger::Totals;
use crate::native::NativeFrame;
use crate::python::Frame;
use crate::source::Flow;

use super::activity::{Activity, Waits};
use super::{Report, WallClock};

/// The version of the schema; raised when a key changes its meaning.
pub const SCHEMA: u32 = 1;

/// The whole run as one line of JSON, with a line feed.
pub fn document(report: &Report) -> String {
    let (start_ns, end_ns) = report.window_ns;
    line_of(&Document {
        schema: SCHEMA,
        pitviper: &report.version,
        process: Process {
            pid: report.process.pid,
            start_time: report.process.start_time,
            python: &report.process.python,
            executable: &report.process.executable,
            cmdline: &report.process.cmdline,
        },
        window: Window {
            start: report.clock.unix_seconds(start_ns),
            end: report.clock.unix_seconds(end_ns),
            seconds: (end_ns.saturating_sub(start_ns) / 1_000_000) as f64 / 1e3,
        },
        findings: report
            .findings
            .iter()
            .map(|finding| finding_of(finding, report.pid(finding), &report.clock))
            .collect(),
        activity: &report.activity,
        waits: &report.waits,
        ledger: ledger_of(&report.totals),
    })
}

/// One finding as a line of JSON, with a line feed: what `findings` holds in the document.
pub fn line(finding: &Finding, pid: u32, clock: &WallClock) -> String {
    line_of(&finding_of(finding, pid, clock))
}

/// One finding as a value: what [`line()`] writes.
pub fn finding(finding: &Finding, pid: u32, clock: &WallClock) -> serde_json::Value {
    serde_json::to_value(finding_of(finding, pid, clock)).unwrap_or_default()
}

fn line_of(value: &impl Serialize) -> String {
    // Fails for maps whose keys are not strings and for writers that fail; there is neither.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    pitviper: &'a str,
    process: Process<'a>,
    window: Window,
    findings: Vec<JsonFinding<'a>>,
    activity: &'a [Activity],
    waits: &'a [Waits],
    ledger: JsonLedger<'a>,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: u32,
    start_time: f64,
    python: &'a str,
    executable: &'a str,
    cmdline: &'a [String],
}

#[derive(Serialize)]
struct Window {
    start: f64,
    end: f64,
    seconds: f64,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    kind: &'static str,
    severity: &'static str,
    confidence: &'static str,
    pid: u32,
    site: Option<JsonFrame<'a>>,
    origin: Option<JsonFrame<'a>>,
    stack: Vec<JsonFrame<'a>>,
    native: Vec<JsonNative<'a>>,
    evidence: BTreeMap<&'static str, JsonEvidence<'a>>,
    advice: &'a str,
    first_seen: f64,
    last_seen: f64,
}

#[derive(Serialize)]
struct JsonNative<'a> {
    function: Option<&'a str>,
    file: &'a str,
    address: u64,
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    file: &'a str,
    line: u32,
    function: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    qualname: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum JsonEvidence<'a> {
    Count(u64),
    Measure(f64),
    Text(&'a str),
    Place(JsonFrame<'a>),
}

#[derive(Serialize)]
struct JsonLedger<'a> {
    emitted: u64,
    received: u64,
    dropped: BTreeMap<&'static str, u64>,
    by_kind: BTreeMap<&'static str, JsonFlow<'a>>,
    stacks: JsonStacks,
    descriptors: JsonDescriptors,
    tables: BTreeMap<&'static str, JsonTable>,
}

#[derive(Serialize)]
struct JsonTable {
    entries: u64,
    capacity: u64,
}

#[derive(Serialize)]
struct JsonFlow<'a> {
    emitted: u64,
    received: u64,
    dropped: &'a BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct JsonStacks {
    complete: u64,
    truncated: u64,
    unreadable: u64,
    no_thread_state: u64,
}

#[derive(Serialize)]
struct JsonDescriptors {
    tracked: u64,
    actual: Option<u64>,
    drift: Option<i64>,
    before_attach: u64,
}

fn finding_of<'a>(finding: &'a Finding, pid: u32, clock: &WallClock) -> JsonFinding<'a> {
    JsonFinding {
        kind: finding.kind.name(),
        severity: finding.severity.name(),
        confidence: finding.confidence.name(),
        pid,
        site: finding.site.as_ref().map(frame_of),
        origin: finding.origin.as_ref().map(frame_of),
        stack: finding.stack.iter().map(frame_of).collect(),
        native: finding.native.iter().flat_map(|stack| stack.iter().map(native_of)).collect(),
        evidence: finding.evidence.iter().map(|(key, value)| (*key, evidence_of(value))).collect(),
        advice: &finding.advice,
        first_seen: clock.unix_seconds(finding.first_ns),
        last_seen: clock.unix_seconds(finding.last_ns),
    }
}

/// One frame, for the lines of a trace.
pub fn frame(frame: &Frame) -> serde_json::Value {
    serde_json::to_value(frame_of(frame)).unwrap_or_default()
}

/// The loss ledger by itself, for the last line of a trace.
pub fn ledger(totals: &Totals) -> serde_json::Value {
    serde_json::to_value(ledger_of(totals)).unwrap_or_default()
}

fn native_of(frame: &NativeFrame) -> JsonNative<'_> {
    JsonNative { function: frame.function.as_deref(), file: &frame.object, address: frame.address }
}

fn frame_of(frame: &Frame) -> JsonFrame<'_> {
    JsonFrame {
        file: &frame.file,
        line: frame.line,
        function: &frame.function,
        qualname: frame.qualname.as_deref(),
    }
}

fn evidence_of(evidence: &Evidence) -> JsonEvidence<'_> {
    match evidence {
        Evidence::Count(count) => JsonEvidence::Count(*count),
        Evidence::Measure(measure) => JsonEvidence::Measure(*measure),
        Evidence::Text(text) => JsonEvidence::Text(text),
        Evidence::Place(frame) => JsonEvidence::Place(frame_of(frame)),
    }
}

fn ledger_of(totals: &Totals) -> JsonLedger<'_> {
    let table =
        |(entries, capacity): &(u64, u64)| JsonTable { entries: *entries, capacity: *capacity };
    JsonLedger {
        tables: totals.fill.iter().map(|(name, fill)| (*name, table(fill))).collect(),
        emitted: totals.emitted(),
        received: totals.received(),
        dropped: totals.dropped(),
        by_kind: totals.flows.iter().map(|(kind, flow)| (*kind, flow_of(flow))).collect(),
        stacks: JsonStacks {
            complete: totals.stacks.complete,
            truncated: totals.stacks.truncated,
            unreadable: totals.stacks.unreadable,
            no_thread_state: totals.stacks.no_thread_state,
        },
        descriptors: JsonDescriptors {
            tracked: totals.descriptors.tracked,
            actual: totals.descriptors.actual,
            drift: totals.descriptors.drift(),
            before_attach: totals.descriptors.before_attach,
        },
    }
}

fn flow_of(flow: &Flow) -> JsonFlow<'_> {
    JsonFlow { emitted: flow.emitted, received: flow.received, dropped: &flow.dropped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    fn parsed(text: &str) -> serde_json::Value {
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "one line");
        serde_json::from_str(text).expect("JSON")
    }

    /// Exercise the whole document against its golden file.
    #[test]
    fn the_document_is_as_published() {
        let report = parsed(&document(&sample::report()));
        let pretty = serde_json::to_string_pretty(&report).expect("JSON");
        sample::assert_golden("report.json", &pretty);
    }

    /// Exercise the top level: exactly the published keys.
    #[test]
    fn the_keys_are_the_published_ones() {
        let report = parsed(&document(&sample::report()));
        let keys: Vec<_> = report.as_object().expect("object").keys().cloned().collect();
        assert_eq!(
            keys,
            ["activity", "findings", "ledger", "pitviper", "process", "schema", "waits", "window"]
        );
        assert_eq!(report["schema"], 1);
    }

    /// Exercise a line: the same as in the document.
    #[test]
    fn a_line_is_an_element_of_findings() {
        let report = sample::report();
        let all = parsed(&document(&report));
        for (index, finding) in report.findings.iter().enumerate() {
            let one = parsed(&line(finding, report.pid(finding), &report.clock));
            assert_eq!(one, all["findings"][index]);
        }
    }

    /// Exercise hostile strings: they come back as they were.
    #[test]
    fn hostile_strings_come_back_whole() {
        let mut report = sample::report();
        let hostile = "\u{1b}[2J\n\"]]>\u{202e}\0\u{fffe}\\udc80";
        report.process.cmdline = vec![hostile.to_owned()];
        assert_eq!(parsed(&document(&report))["process"]["cmdline"][0], hostile);
    }

    /// Exercise the sum: emitted is received and dropped.
    #[test]
    fn the_ledger_adds_up() {
        let report = parsed(&document(&sample::report()));
        let ledger = &report["ledger"];
        let dropped: u64 = ledger["dropped"]
            .as_object()
            .expect("object")
            .values()
            .filter_map(serde_json::Value::as_u64)
            .sum();
        let received = ledger["received"].as_u64().expect("a count");
        assert_eq!(ledger["emitted"].as_u64(), Some(received + dropped));
    }
}
