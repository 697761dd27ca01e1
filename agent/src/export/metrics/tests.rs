//! Whole scrapes, held against what reads them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::detect::script::{FILE, Script, Story};
use crate::detect::{Rules, Thresholds};
use crate::event::ProcessId;
use crate::export::sample::assert_golden;
use crate::ledger::{Limits, ProcessInfo};
use crate::source::{ProgramRun, Snapshot, UnclosedCounters};

fn health() -> Health {
    let run = ProgramRun { count: 1_000, seconds: 0.25 };
    Health {
        cpu_seconds: Some(1.5),
        resident_bytes: Some(12 << 20),
        scrape_seconds: Some(0.004),
        programs: BTreeMap::from([("syscall_exit".to_owned(), run)]),
        maps: BTreeMap::from([("descriptors", (30, 65_536))]),
    }
}

fn story() -> Story {
    let mut script = Script::default();
    script.limit = Some(1_024);
    let line = script.line(10);
    script.leak(line, FILE, 0.0, 30.0, 60.0);
    script.found(0o140_777);
    script.unclosed(3.0, line, line);
    script.lose(25.0, "descriptor", 7);
    script.play(30)
}

fn scraped(story: &Story) -> Exposition {
    let clock = WallClock { monotonic_ns: 5_000_000_000_000, unix_ns: 1_700_000_000_000_000_000 };
    exposition(&story.ledger, &story.board, &health(), clock).expect("encoded")
}

/// What `promtool check metrics` says; empty when it has nothing to complain of.
fn complaints(text: &str) -> String {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool is missing: install the package `prometheus`");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("read by promtool");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// Exercise the whole scrape against its golden files.
#[test]
fn a_scrape_is_as_published() {
    let scraped = scraped(&story());
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let shown = |text: &str| text.replace(&version, "version=\"VERSION\"");
    assert_golden("metrics.openmetrics", &shown(&scraped.openmetrics));
    assert_golden("metrics.classic", &shown(&scraped.classic));
}

/// Exercise Prometheus' own linter: nothing to complain of, and it does complain where it should.
#[test]
fn promtool_has_no_complaint() {
    assert_eq!(complaints(&scraped(&story()).classic), "");
    assert!(complaints("# TYPE bad_seconds_count counter\nbad_seconds_count 1\n").contains("bad"));
}

/// Exercise names from a target that would break a line or a label.
#[test]
fn hostile_types_stay_one_label() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.process_started(ProcessId(1), ProcessInfo { pid: 7, ..ProcessInfo::default() });
    let hostile: [&[u8]; 5] =
        [b"a\"b\\c\nd", b"\xff\xfe\x1b[2J", b"} 1\n", b"", "\u{202e}x".as_bytes()];
    let unclosed = hostile.iter().map(|name| named(name)).collect();
    let snapshot = Snapshot { time_ns: 1_000_000_000, unclosed, ..Snapshot::default() };
    ledger.observe(&snapshot, &one_line());
    let board = Rules::new(Thresholds::default()).board();
    let scraped = exposition(&ledger, &board, &Health::default(), WallClock::default());
    let text = scraped.expect("encoded").classic;
    assert_eq!(complaints(&text), "");
    let lines = text.lines().filter(|line| line.starts_with("pitviper_unclosed_resources_total{"));
    assert_eq!(lines.count(), hostile.len());
}

/// Names for stack 1.
fn one_line() -> Script {
    let mut script = Script::default();
    script.line(10);
    script
}

fn named(type_name: &[u8]) -> UnclosedCounters {
    UnclosedCounters {
        process: ProcessId(1),
        opened_by: 0,
        dropped_by: 1,
        type_name: type_name.to_vec(),
        count: 1,
        lifetime_ns: 0,
        first_ns: 1,
        last_ns: 1,
    }
}

/// Exercise thousands of processes and types: so many labels, and one for the rest.
#[test]
fn labels_are_bounded() {
    let mut ledger = Ledger::new(Limits::default());
    for pid in 1..=1_000 {
        ledger.process_started(ProcessId(pid), ProcessInfo { pid, ..ProcessInfo::default() });
    }
    let types = 1_000u32;
    let unclosed = (0..types).map(|n| named(format!("T{n}").as_bytes())).collect();
    let snapshot = Snapshot { time_ns: 1_000_000_000, unclosed, ..Snapshot::default() };
    ledger.observe(&snapshot, &one_line());
    let board = Rules::default().board();
    let scraped = exposition(&ledger, &board, &Health::default(), WallClock::default());
    let text = scraped.expect("encoded").classic;
    let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(series("pitviper_descriptors_open{"), PIDS + 1);
    assert_eq!(series("pitviper_unclosed_resources_total{"), TYPES + 1);
    let rest = format!("type=\"~other\"}} {}.0", types as usize - TYPES);
    assert!(text.contains(&rest), "the rest is added up");
    assert_eq!(complaints(&text), "");
}

/// Exercise a process that ends: its series go.
#[test]
fn series_go_with_their_process() {
    let mut story = story();
    assert!(scraped(&story).classic.contains("pid=\"4242\""));
    story.ledger.process_ended(ProcessId(1), story.ledger.time_ns());
    assert!(!scraped(&story).classic.contains("pid=\"4242\""));
}
