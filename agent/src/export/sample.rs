//! A report of each kind of finding, for the tests of every format, and the golden files they are
//! held against.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::detect::{Confidence, Evidence, Finding, Kind, Severity};
use crate::event::ProcessId;
use crate::ledger::{DescriptorTotals, Overflow, ProcessInfo, Totals};
use crate::native::{NativeFrame, NativeStack};
use crate::python::{Frame, Stack};
use crate::source::{Flow, StackOutcomes};

use super::graph::Weighed;
use super::{Report, WallClock};

/// Holds `text` against `agent/tests/golden/NAME`; `PITVIPER_BLESS=1` writes it there instead.
pub(crate) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("PITVIPER_BLESS").is_some() {
        std::fs::write(&path, text).expect("golden file written");
    }
    let golden = std::fs::read_to_string(&path).expect("golden file");
    assert!(text == golden, "{name} has changed (PITVIPER_BLESS=1 accepts it):\n{text}");
}

pub(crate) fn frame(file: &str, line: u32, function: &str) -> Frame {
    Frame::new(file, function, None, line)
}

pub(crate) fn report() -> Report {
    Report {
        version: "0.1.0".to_owned(),
        process: ProcessInfo {
            pid: 4242,
            parent: None,
            start_time: 1_699_999_000.25,
            python: "3.11.7".to_owned(),
            service: "main".to_owned(),
            executable: "/usr/bin/python3.11".to_owned(),
            cmdline: vec!["python3".to_owned(), "main.py".to_owned(), "--serve".to_owned()],
            working_directory: Some("/srv".into()),
            descriptor_limit: Some(1_024),
            descriptors_open: 9,
        },
        pids: BTreeMap::from([(ProcessId(1), 4242), (ProcessId(2), 4250)]),
        services: BTreeMap::from([
            (ProcessId(1), "main".to_owned()),
            (ProcessId(2), "worker".to_owned()),
        ]),
        window_ns: (1_000_000_000, 241_500_000_000),
        clock: WallClock { monotonic_ns: 1_000_000_000, unix_ns: 1_700_000_000_000_000_000 },
        findings: vec![leak(), unclosed(), headroom()],
        findings_left_out: 0,
        activity: Vec::new(),
        waits: Vec::new(),
        totals: totals(),
        overflow: Overflow { accounts: 12, ..Overflow::default() },
    }
}

/// From a function without a name to the extension that Python called.
fn native() -> NativeStack {
    let of = |object: &str, function: Option<&str>, address| NativeFrame {
        function: function.map(Into::into),
        object: object.into(),
        address,
    };
    Arc::from([
        of("/usr/lib/libc.so.6", Some("__socket"), 0x11_2233),
        of("/usr/lib/libpq.so.5", None, 0x9_8765),
        of("/usr/lib/libpq.so.5", Some("PQconnectdb"), 0x1_0000),
        of("/srv/_psycopg.so", Some("psyco::connect(char const*)"), 0x4321),
    ])
}

fn leak() -> Finding {
    let method = Frame::new("/srv/app.py", "load", Some("Store.load".into()), 42);
    let origin = frame("/usr/lib/python3.11/socket.py", 232, "__init__");
    Finding {
        kind: Kind::FdLeak,
        severity: Severity::High,
        confidence: Confidence::Confirmed,
        process: ProcessId(1),
        site: Some(method.clone()),
        origin: Some(origin.clone()),
        stack: vec![origin, method, frame("/srv/main.py", 7, "<module>")],
        native: Some(native()),
        evidence: BTreeMap::from([
            ("descriptor_kind", Evidence::Text("socket".to_owned())),
            ("alive", Evidence::Count(412)),
            ("per_minute", Evidence::Measure(103.25)),
            ("limit", Evidence::Count(1_024)),
        ]),
        summary: "412 sockets alive, +103/min over 4 min, oldest 231 s, limit 1,024: exhausted in \
                  about 6 min."
            .to_owned(),
        advice: "Close the socket in a `with` block.".to_owned(),
        first_ns: 11_000_000_000,
        last_ns: 241_000_000_000,
    }
}

fn unclosed() -> Finding {
    let opened = frame("/srv/app.py", 10, "read");
    Finding {
        kind: Kind::UnclosedResource,
        severity: Severity::Low,
        confidence: Confidence::Confirmed,
        process: ProcessId(2),
        site: Some(opened.clone()),
        origin: Some(opened.clone()),
        stack: vec![opened],
        native: None,
        evidence: BTreeMap::from([
            ("type", Evidence::Text("_io.TextIOWrapper".to_owned())),
            ("count", Evidence::Count(3)),
            ("dropped_at", Evidence::Place(frame("/srv/app.py", 11, "read"))),
        ]),
        summary: "3 × _io.TextIOWrapper opened here and never closed by the program, 0.7/min."
            .to_owned(),
        advice: "Close it in the code: `with open(...) as f:`.".to_owned(),
        first_ns: 31_000_000_000,
        last_ns: 32_000_000_000,
    }
}

fn headroom() -> Finding {
    Finding {
        kind: Kind::FdHeadroom,
        severity: Severity::Medium,
        confidence: Confidence::Suspected,
        process: ProcessId(1),
        site: None,
        origin: None,
        stack: Vec::new(),
        native: None,
        evidence: BTreeMap::from([
            ("limit", Evidence::Count(1_024)),
            ("used", Evidence::Count(421)),
        ]),
        summary: "421 of 1,024 descriptors in use (41 %).".to_owned(),
        advice: "Raise the soft limit if the load needs that many.".to_owned(),
        first_ns: 91_000_000_000,
        last_ns: 241_000_000_000,
    }
}

fn totals() -> Totals {
    let flow = |received, lost| Flow {
        emitted: received + lost,
        received,
        dropped: BTreeMap::from([("map_full", lost), ("ring_full", 0)]),
    };
    Totals {
        fill: BTreeMap::new(),
        flows: BTreeMap::from([("closed", flow(90, 0)), ("opened", flow(502, 2))]),
        stacks: StackOutcomes { complete: 500, truncated: 1, unreadable: 0, no_thread_state: 1 },
        descriptors: DescriptorTotals { tracked: 421, actual: Some(422), before_attach: 9 },
    }
}

/// Stacks of two processes: a shared one, one that is cut, none; 12 in all.
pub(crate) fn stacks() -> Vec<Weighed> {
    let method = Frame::new("/srv/app.py", "load", Some("Store.load".into()), 42);
    let module = Frame::new("/srv/main.py", "<module>", Some("<module>".into()), 7);
    let other_line = Frame { line: 44, ..method.clone() };
    let whole = Stack { frames: vec![method, module.clone()], ..Stack::default() };
    let beside = Stack { frames: vec![other_line, module], ..Stack::default() };
    let cut = Stack { truncated: true, ..whole.clone() };
    let of = |process, stack: Option<&Stack>, weight| Weighed {
        process: ProcessId(process),
        stack: stack.cloned().map(Arc::new),
        weight,
    };
    vec![
        of(1, Some(&whole), 3),
        of(1, Some(&whole), 2),
        of(1, Some(&cut), 1),
        of(1, Some(&beside), 2),
        of(1, None, 1),
        of(2, Some(&whole), 3),
    ]
}

/// Names that would break a format, one a stack.
pub(crate) fn hostile_stacks() -> Vec<Weighed> {
    let long = "x".repeat(3_000_000);
    let names = ["\0", "\x1b[2J", "\\udc80", "\u{202e}", "\"}],", "a\nb;c 12", "\u{9b}31m", &long];
    let stacks = names.iter().map(|name| Weighed {
        process: ProcessId(1),
        stack: Some(Arc::new(Stack { frames: vec![frame(name, 1, name)], ..Stack::default() })),
        weight: 1,
    });
    stacks.collect()
}
