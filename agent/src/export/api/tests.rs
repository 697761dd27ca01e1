//! Answers made from a ledger that was filled by hand.

use std::sync::Arc;

use super::profile::cumulative;
use super::*;
use crate::detect::Rules;
use crate::event::{Object, ObjectId, StackId};
use crate::export::graph::Graph;
use crate::ledger::{Limits, ObjectNames, ProcessInfo};
use crate::python::Stack;
use crate::source::{
    Act, ActCounters, DescriptorOrigin, LiveDescriptor, SiteCounters, Snapshot, Sums,
};

const SECOND_NS: u64 = 1_000_000_000;

/// Stack `n` is line `n` of the application; 99 has a hostile name.
struct Names;

impl StackNames for Names {
    fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        let function = if id == 99 { "x".repeat(9_999) } else { "f".to_owned() };
        let frame = Frame::new("/srv/app.py", function, None, id as u32);
        (id > 0).then(|| Arc::new(Stack { frames: vec![frame], ..Stack::default() }))
    }
}

impl ObjectNames for Names {
    fn object(&self, _id: ObjectId) -> Option<&Object> {
        None
    }
}

struct Known {
    ledger: Ledger,
    board: Board,
    health: Health,
}

impl Known {
    fn new() -> Self {
        let mut ledger = Ledger::new(Limits::default());
        for (id, pid) in [(1, 41), (2, 42), (3, 42)] {
            let info = ProcessInfo { pid, service: format!("s{id}"), ..ProcessInfo::default() };
            ledger.process_started(ProcessId(id), info);
        }
        Self { ledger, board: Rules::default().board(), health: Health::default() }
    }

    fn view(&self) -> View<'_> {
        let Self { ledger, board, health } = self;
        View { ledger, board, health, stacks: &Names, clock: WallClock::default() }
    }

    /// A look at `second`: samples of stacks 1 and 2, and so many descriptors of stack 3.
    fn look(&mut self, second: u64, samples: [u64; 2], open: u32) {
        let act = |stack, count| ActCounters {
            process: ProcessId(1),
            stack,
            act: Act::OnCpu,
            call: 0,
            object: 0,
            sums: Sums { count, ..Sums::default() },
            first_ns: 1,
            last_ns: 2,
            mode: 0,
            made_by: 0,
            flags: 0,
        };
        let descriptor = |fd| LiveDescriptor {
            process: ProcessId(1),
            fd,
            stack: 3,
            call: 41,
            mode: 0,
            born_ns: u64::from(fd) * SECOND_NS,
            used_ns: u64::from(fd) * SECOND_NS,
            origin: DescriptorOrigin::Traced,
        };
        let site = SiteCounters {
            process: ProcessId(1),
            stack: 3,
            opened: u64::from(open) + 5,
            closed: 5,
            first_ns: SECOND_NS,
            last_ns: SECOND_NS,
        };
        let snapshot = Snapshot {
            time_ns: second * SECOND_NS,
            acts: vec![act(1, samples[0]), act(2, samples[1])],
            descriptors: (0..open).map(descriptor).collect(),
            sites: vec![site],
            ..Snapshot::default()
        };
        self.ledger.observe(&snapshot, &Names);
        self.ledger.observe_acts(&snapshot, &Names, &Names);
    }
}

/// Exercise processes: those that live, those that ended, and a pid that was given out twice.
#[test]
fn processes_are_listed_and_found() {
    let mut known = Known::new();
    known.look(1, [1, 1], 0);
    known.ledger.process_ended(ProcessId(3), SECOND_NS);
    let pids = |answer: Value| {
        let rows = answer["processes"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["service"].as_str().expect("a name").to_owned()).collect()
    };
    let alive: Vec<String> = pids(processes(&known.view(), false));
    assert_eq!(alive, ["s1", "s2"]);
    let all: Vec<String> = pids(processes(&known.view(), true));
    assert_eq!(all, ["s1", "s2", "s3"]);
    let found = process(&known.view(), 42).expect("found");
    assert_eq!(found["process"]["service"], "s2", "the living one");
    known.ledger.process_ended(ProcessId(2), SECOND_NS);
    let found = process(&known.view(), 42).expect("found");
    assert_eq!(
        (&found["process"]["service"], &found["process"]["state"]),
        (&"s3".into(), &"ended".into())
    );
    assert_eq!(process(&known.view(), 43), None);
    assert_eq!(descriptors(&known.view(), 43), None);
}

/// Exercise a command line of megabytes, and findings whose names are as long as names can be.
#[test]
fn answers_are_bounded() {
    let mut known = Known::new();
    let words = vec!["x".repeat(1_000); 5_000];
    let info = ProcessInfo { pid: 41, cmdline: words, ..ProcessInfo::default() };
    known.ledger.process_started(ProcessId(1), info);
    let answer = processes(&known.view(), false);
    assert_eq!(answer["processes"][0]["cmdline"].as_array().expect("words").len(), 3);

    let mut template = crate::export::sample::report().findings.swap_remove(0);
    let long: Arc<str> = "x".repeat(16_384).into();
    let frame = Frame::new(long.clone(), long.clone(), Some(long), 1);
    template.stack = vec![frame; 256];
    let mut verdicts = crate::detect::Verdicts::default();
    for line in 0..100 {
        let site = template.site.clone().map(|site| Frame { line, ..site });
        verdicts.findings.push(crate::detect::Finding { site, ..template.clone() });
    }
    let news = known.board.update(verdicts, SECOND_NS);
    assert_eq!(news.len(), 100);
    let answer = findings(&known.view(), None);
    let shown = answer["findings"].as_array().expect("a list").len() as u64;
    assert!((5..50).contains(&shown), "{shown}");
    assert_eq!(answer["findings_left_out"], 100 - shown);
    let event = change(&known.view(), &news[0]);
    assert!(event.to_string().len() < 32 << 10);
    assert_eq!(event["finding"]["stack"].as_array().expect("frames").len(), 4);
}

/// Exercise ages: each descriptor is in one class, the oldest is told first.
#[test]
fn descriptors_have_ages() {
    let mut known = Known::new();
    known.look(100, [0, 0], 95);
    let answer = descriptors(&known.view(), 41).expect("found");
    let line = &answer["lines"][0];
    assert_eq!((&line["kind"], &line["open"]), (&"socket".into(), &95.into()));
    assert_eq!(line["site"]["line"], 3);
    assert_eq!(line["ages"], serde_json::json!([4, 50, 41, 0, 0]));
    assert_eq!(
        line["oldest"][0],
        serde_json::json!({ "fd": 0, "age_seconds": 100.0, "idle_seconds": 100.0 })
    );
    assert_eq!(line["oldest"].as_array().expect("a list").len(), 16);
    assert_eq!((&line["opened"], &line["closed"]), (&100.into(), &5.into()));
}

/// Exercise a window: what came within it, and nothing else.
#[test]
fn a_window_is_a_difference() {
    let mut known = Known::new();
    known.look(1, [10, 4], 2);
    let before = cumulative(&known.view(), Some(41), Graph::OnCpu).expect("found");
    let alive = cumulative(&known.view(), None, Graph::Alive).expect("found");
    known.look(6, [13, 4], 1);
    let after = cumulative(&known.view(), Some(41), Graph::OnCpu).expect("found");
    let json = after.since(&before).json();
    assert_eq!((&json["total"], &json["window"]["seconds"]), (&3.into(), &5.0.into()));
    assert_eq!(json["stacks"], serde_json::json!([{ "frames": [0], "weight": 3 }]));
    assert_eq!(json["frames"][0]["line"], 1);
    let fewer = cumulative(&known.view(), None, Graph::Alive).expect("found").since(&alive);
    assert!(fewer.stacks.is_empty(), "one was closed, none came");
    assert!(cumulative(&known.view(), Some(42), Graph::OnCpu).expect("found").stacks.is_empty());
    assert!(cumulative(&known.view(), Some(7), Graph::OnCpu).is_none());
}

/// Exercise one line under two versions of Python, of which one knows the qualified name: one frame.
#[test]
fn frames_that_look_alike_are_one() {
    let mut known = Known::new();
    known.look(1, [2, 3], 0);
    let mut profile = cumulative(&known.view(), None, Graph::OnCpu).expect("found");
    let stack = |name: Option<&str>| {
        let frame = Frame::new("/srv/app.py", "f", name.map(Into::into), 7);
        Some(Arc::new(Stack { frames: vec![frame], ..Stack::default() }))
    };
    for (weighed, name) in profile.stacks.iter_mut().zip([None, Some("f")]) {
        weighed.stack = stack(name);
    }
    let json = profile.json();
    assert_eq!(json["stacks"], serde_json::json!([{ "frames": [0], "weight": 5 }]));
    assert_eq!(json["frames"].as_array().expect("a list").len(), 1);
}

/// Exercise a stack by its id, and strings that are too long.
#[test]
fn stacks_are_found_and_strings_cut() {
    let known = Known::new();
    let found = stack(&known.view(), 99).expect("found");
    assert_eq!(found["id"], "0000000000000063");
    let function = found["frames"][0]["function"].as_str().expect("a name");
    assert!(function.ends_with("x…(+8975)"), "{function:.20}");
    assert_eq!(stack(&known.view(), 0), None);
    let answer = health(&known.view());
    assert_eq!(answer["processes"], 3);
}
