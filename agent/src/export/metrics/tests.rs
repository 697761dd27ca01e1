//! Whole scrapes, held against what reads them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::detect::script::{FILE, Script, Story};
use crate::detect::{Rules, Thresholds};
use crate::event::ProcessId;
use crate::export::sample::assert_golden;
use crate::ledger::{Limits, ProcessInfo};
use crate::source::{
    Act, ActCounters, LiveChild, Mapped, ProgramRun, Snapshot, Sums, UnclosedCounters,
    WAIT_BUCKETS, WaitClass, WaitHistogram,
};

fn health() -> Health {
    let run = ProgramRun { count: 1_000, seconds: 0.25 };
    Health {
        cpu_seconds: Some(1.5),
        resident_bytes: Some(12 << 20),
        scrape_seconds: Some(0.004),
        programs: BTreeMap::from([("syscall_exit".to_owned(), run)]),
        maps: BTreeMap::from([("descriptors", (30, 65_536))]),
        left_out: vec![("rules", 3), ("max_processes", 0)],
        connections: Some([("answered", 7), ("evicted", 0), ("failed", 1)]),
        pushed: vec![Pushed {
            receiver: "pyroscope",
            sent: 40,
            retries: 3,
            dropped: [("queue_full", 2), ("refused", 0), ("behind", 0), ("unencoded", 0)],
            waiting: 1,
            waiting_bytes: 700,
        }],
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
    exposition(&story.ledger, &story.board, &health(), clock, &mut Continuity::default())
        .expect("encoded")
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
    let scraped = exposition(
        &ledger,
        &board,
        &Health::default(),
        WallClock::default(),
        &mut Continuity::default(),
    );
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
        by_python: false,
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
    let scraped = exposition(
        &ledger,
        &board,
        &Health::default(),
        WallClock::default(),
        &mut Continuity::default(),
    );
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

/// The samples of a scrape, by their name with labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let split = lines.filter_map(|line| line.rsplit_once(' '));
    split.map(|(name, value)| (name, value.parse().expect("a number"))).collect()
}

/// A ledger of one process of the service `shop` that has seen these acts and waits.
fn seen(snapshots: &[Snapshot]) -> Ledger {
    let mut ledger = Ledger::new(Limits::default());
    let info = ProcessInfo { pid: 7, service: "shop".to_owned(), ..ProcessInfo::default() };
    ledger.process_started(ProcessId(1), info);
    for snapshot in snapshots {
        ledger.observe(snapshot, &one_line());
        ledger.observe_acts(snapshot, &one_line(), &one_line());
    }
    ledger
}

fn text_of(ledger: &Ledger) -> String {
    let board = Rules::default().board();
    let scraped = exposition(
        ledger,
        &board,
        &Health::default(),
        WallClock::default(),
        &mut Continuity::default(),
    );
    let text = scraped.expect("encoded").classic;
    assert_eq!(complaints(&text), "");
    text
}

fn act(stack: u64, act: Act, sums: Sums) -> ActCounters {
    ActCounters {
        process: ProcessId(1),
        stack,
        act,
        call: 0,
        object: 0,
        sums,
        first_ns: 1,
        last_ns: 2,
        mode: 0,
        made_by: 0,
        flags: 0,
    }
}

/// Exercise acts of two stacks, one of them without a line yet: both count, in base units.
#[test]
fn acts_are_summed_by_process() {
    let read = Sums { count: 3, bytes: 300, starts: 2, repeats: 1, repeat_bytes: 100, ..zero() };
    let stall = Sums { count: 2, ns: 1_500_000_000, ..zero() };
    let acts = vec![
        act(1, Act::Read, read),
        act(99, Act::Read, read),
        act(1, Act::Stall, stall),
        act(1, Act::Map(Mapped::Heap), Sums { count: 1, bytes: 4_096, ..zero() }),
        act(1, Act::Child, Sums { count: 2, failed: 1, bytes: 250_000_000, ..zero() }),
        ActCounters { process: ProcessId(2), ..act(1, Act::Read, read) },
    ];
    let child = |pid, ended_ns| LiveChild {
        process: ProcessId(1),
        pid,
        parent: 7,
        stack: 1,
        command: 0,
        born_ns: 1,
        ended_ns,
        cpu_ns: 0,
        status: 0,
        depth: 0,
    };
    let children = vec![child(8, 0), child(9, 0), child(10, 5)];
    let ledger = seen(&[Snapshot { time_ns: 1_000, acts, children, ..Snapshot::default() }]);
    let text = text_of(&ledger);
    let samples = samples(&text);
    for (name, value) in [
        ("file_reads_total", 6.0),
        ("file_read_bytes_total", 600.0),
        ("file_rereads_total", 2.0),
        ("file_reread_bytes_total", 200.0),
        ("event_loop_stalls_total", 2.0),
        ("event_loop_stall_seconds_total", 1.5),
        ("children_ended_total", 2.0),
        ("children_failed_total", 1.0),
        ("children_cpu_seconds_total", 0.25),
        // Not yet, which is known too.
        ("spawns_total", 0.0),
    ] {
        let name = format!("pitviper_{name}{{pid=\"7\",service=\"shop\"}}");
        assert_eq!(samples.get(&*name), Some(&value), "{name}\n{text}");
    }
    for (name, label, value) in [
        ("mapped_bytes_total", "kind=\"heap\"", 4_096.0),
        ("children", "state=\"alive\"", 2.0),
        ("children", "state=\"zombie\"", 1.0),
    ] {
        let name = format!("pitviper_{name}{{pid=\"7\",service=\"shop\",{label}}}");
        assert_eq!(samples.get(&*name), Some(&value), "{name}\n{text}");
    }
    assert!(!text.contains("off_cpu"), "nobody looked");
}

fn zero() -> Sums {
    Sums::default()
}

/// Exercise a source that sums no acts: no zero is claimed.
#[test]
fn what_nobody_looks_at_has_no_series() {
    let text = text_of(&seen(&[Snapshot { time_ns: 1_000, ..Snapshot::default() }]));
    assert!(text.contains("pitviper_descriptors_open{"));
    assert!(!text.contains("pitviper_spawns_total"), "{text}");
}

/// Exercise two classes: buckets that add up to the count, the sum as it is, bytes where some move.
#[test]
fn waits_are_histograms() {
    let mut buckets = [0; WAIT_BUCKETS];
    for (power, count) in [(3, 5), (15, 1), (16, 2), (20, 3), (33, 1), (34, 1), (39, 4)] {
        buckets[power] = count;
    }
    let wait = |class, bytes| WaitHistogram {
        process: ProcessId(1),
        class,
        count: 18,
        ns: 12_500_000_000,
        bytes,
        buckets,
    };
    let waits = vec![wait(WaitClass::Receive, 1_000), wait(WaitClass::Epoll, 0)];
    let text = text_of(&seen(&[Snapshot { time_ns: 1_000, waits, ..Snapshot::default() }]));
    let samples = samples(&text);
    let labels = "pid=\"7\",service=\"shop\",class=\"receive\"";
    let of = |end: &str| samples[&*format!("pitviper_wait_seconds_{end}{{{labels}}}")];
    assert_eq!(of("count"), 17.0, "what the buckets hold");
    assert_eq!(of("sum"), 12.5);
    let prefix = "pitviper_wait_seconds_bucket{le=\"";
    let mut cumulative: Vec<(f64, f64)> = samples
        .iter()
        .filter(|(name, _)| name.ends_with(&format!("{labels}}}")))
        .filter_map(|(name, value)| {
            let bound = name.strip_prefix(prefix)?.split('"').next()?;
            Some((bound.parse().expect("a bound"), *value))
        })
        .collect();
    cumulative.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert_eq!(cumulative.len(), 11, "{text}");
    let counts: Vec<f64> = cumulative.iter().map(|(_, count)| *count).collect();
    // Under 2^16, 2^18 … 2^34 ns, and all.
    assert_eq!(counts, [6.0, 8.0, 8.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0, 12.0, 17.0]);
    let moved = "pitviper_transferred_bytes_total";
    assert_eq!(samples[&*format!("{moved}{{{labels}}}")], 1_000.0);
    assert!(!text.lines().any(|line| line.starts_with(moved) && line.contains("epoll")));
}

/// Exercise counters over a minute in which stacks come and get their lines: none goes back.
#[test]
fn counters_never_fall() {
    let snapshots: Vec<Snapshot> = (1..60u64)
        .map(|second| {
            let sums = |n| Sums { count: n, bytes: n * 10, ns: n * 1_000, ..zero() };
            let stacks = (1..=second).map(|stack| act(stack, Act::Write, sums(second)));
            let mut buckets = [0; WAIT_BUCKETS];
            buckets[20] = second;
            let wait = WaitHistogram {
                process: ProcessId(1),
                class: WaitClass::Write,
                count: second,
                ns: second << 20,
                bytes: second,
                buckets,
            };
            let acts = stacks.collect();
            let time_ns = second * 1_000_000_000;
            Snapshot { time_ns, acts, waits: vec![wait], ..Snapshot::default() }
        })
        .collect();
    let mut before = BTreeMap::new();
    for played in (1..=snapshots.len()).step_by(7) {
        let text = text_of(&seen(&snapshots[..played]));
        for (name, value) in samples(&text) {
            let end = name.split('{').next().unwrap_or_default();
            if !["_total", "_bucket", "_sum", "_count"].iter().any(|one| end.ends_with(one)) {
                continue;
            }
            let past = before.insert(name.to_owned(), value).unwrap_or(0.0);
            assert!(value >= past, "{name} fell from {past} to {value}");
        }
    }
    assert!(before.keys().any(|name| name.starts_with("pitviper_file_written_bytes_total")));
}

/// Exercise a service's name that would break a line, and one that is very long.
#[test]
fn hostile_services_stay_one_label() {
    let mut ledger = Ledger::new(Limits::default());
    for (pid, service) in [(1, "a\"b\n\u{1b}[2J} 1"), (2, &*"x".repeat(1 << 20)), (3, "")] {
        let info = ProcessInfo { pid, service: service.to_owned(), ..ProcessInfo::default() };
        ledger.process_started(ProcessId(pid), info);
    }
    let text = text_of(&ledger);
    assert!(text.len() < 20_000, "{} bytes", text.len());
    let open = text.lines().filter(|line| line.starts_with("pitviper_descriptors_open{"));
    assert_eq!(open.count(), 3);
}

/// Exercise a process that fills its table steadily: the time that is left is told.
#[test]
fn headroom_is_told_where_it_is_known() {
    let mut script = Script::default();
    script.limit = Some(400);
    let line = script.line(10);
    script.leak(line, FILE, 0.0, 180.0, 60.0);
    let text = scraped(&script.play(180)).classic;
    let left = samples(&text)
        .into_iter()
        .find(|(name, _)| name.starts_with("pitviper_descriptors_exhaustion_seconds{"));
    let (_, left) = left.expect("known");
    assert!((180.0..260.0).contains(&left), "{left} s for 220 at one a second");
    assert!(!scraped(&story()).classic.contains("descriptors_exhaustion"), "not near");
}

/// The value of a series in the classic format.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Exercise processes behind `~other` that end: what they had counted stays, what they held goes, and
/// nobody changes places.
#[test]
fn no_counter_goes_back() {
    let mut ledger = Ledger::new(Limits { processes: 2_000, ..Limits::default() });
    let last = PIDS as u32 + 2;
    for pid in 1..=last {
        ledger.process_started(ProcessId(pid), ProcessInfo { pid, ..ProcessInfo::default() });
    }
    let sync = |process: u32, count: u64| ActCounters {
        process: ProcessId(process),
        stack: 1,
        act: Act::Sync,
        call: 0,
        object: 0,
        sums: Sums { count, ..Sums::default() },
        first_ns: 1,
        last_ns: 1,
        mode: 0,
        made_by: 0,
        flags: 0,
    };
    let wait = |process: u32, count: u64| {
        let mut buckets = [0; WAIT_BUCKETS];
        buckets[20] = count;
        let (process, class) = (ProcessId(process), WaitClass::Sync);
        WaitHistogram { process, class, count, ns: count << 20, bytes: 0, buckets }
    };
    let mut continuity = Continuity::default();
    let board = Rules::default().board();
    let look = |ledger: &mut Ledger, second: u64, counted: &[(u32, u64)]| {
        let acts = counted.iter().map(|(process, count)| sync(*process, *count)).collect();
        let waits = counted.iter().map(|(process, count)| wait(*process, *count)).collect();
        let time_ns = second * 1_000_000_000;
        let snapshot = Snapshot { time_ns, acts, waits, ..Snapshot::default() };
        ledger.observe(&snapshot, &one_line());
        ledger.observe_acts(&snapshot, &one_line(), &Script::default());
    };
    let mut scrape = |ledger: &Ledger| {
        let (health, clock) = (Health::default(), WallClock::default());
        exposition(ledger, &board, &health, clock, &mut continuity).expect("encoded").classic
    };
    let syncs = |text: &str, pid: &str, service: &str| {
        let labels = format!("{{pid=\"{pid}\",service=\"{service}\"}}");
        value(text, &format!("pitviper_file_syncs_total{labels}"))
    };
    let calls = |text: &str| {
        let labels = "{pid=\"~other\",service=\"~other\",class=\"sync\"}";
        value(text, &format!("pitviper_wait_seconds_count{labels}"))
    };
    let own = (1, 7);
    look(&mut ledger, 1, &[own, (last - 1, 10), (last, 5)]);
    let text = scrape(&ledger);
    assert_eq!(syncs(&text, "1", ""), Some(7.0));
    assert_eq!((syncs(&text, OTHER, OTHER), calls(&text)), (Some(15.0), Some(15.0)));
    // One behind `~other` ends, and so does one with labels of its own.
    look(&mut ledger, 2, &[own, (last - 1, 12), (last, 6)]);
    for process in [last - 1, 1] {
        ledger.process_ended(ProcessId(process), 2_000_000_000);
    }
    for second in 3..6 {
        let text = scrape(&ledger);
        assert_eq!((syncs(&text, OTHER, OTHER), calls(&text)), (Some(18.0), Some(18.0)));
        assert_eq!(syncs(&text, "1", ""), None);
        assert_eq!(syncs(&text, &last.to_string(), ""), None, "it stays where it is");
        assert_eq!(value(&text, "pitviper_processes"), Some(f64::from(last - 2)));
        assert_eq!(value(&text, "pitviper_folded_labels{label=\"pid\"}"), Some(1.0));
        ledger.forget(ProcessId(last - 1));
        look(&mut ledger, second, &[(last, 6)]);
    }
    ledger.process_started(ProcessId(9_999), ProcessInfo { pid: 9_999, ..ProcessInfo::default() });
    look(&mut ledger, 6, &[(last, 9), (9_999, 1)]);
    let text = scrape(&ledger);
    assert_eq!(syncs(&text, OTHER, OTHER), Some(21.0));
    assert_eq!(syncs(&text, "9999", ""), Some(1.0), "the free place is for who comes next");
}
