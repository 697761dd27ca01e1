//! Whole snapshots, booked.

use std::cell::Cell;

use super::*;
use crate::event::{Object, ObjectId};
use crate::source::{
    Act, ActCounters, DescriptorOrigin, Flow, LiveDescriptor, SiteCounters, Snapshot, Sums,
    TableCheck, UnclosedCounters,
};

const ONE: ProcessId = ProcessId(1);
const TWO: ProcessId = ProcessId(2);

/// Stack `n` runs line `n` of the user's own code; frames are known from the look `known_from` on.
#[derive(Default)]
struct Names {
    known_from: u32,
    looks: Cell<u32>,
}

impl StackNames for Names {
    fn stack(&self, id: StackId) -> Option<Arc<Stack>> {
        self.looks.set(self.looks.get() + 1);
        if self.looks.get() <= self.known_from {
            return None;
        }
        let frame = Frame::new("/srv/app.py", "f", None, id as u32);
        Some(Arc::new(Stack { frames: vec![frame], ..Stack::default() }))
    }
}

fn file(process: ProcessId, fd: u32, stack: StackId, born_s: u64) -> LiveDescriptor {
    LiveDescriptor {
        process,
        fd,
        stack,
        call: 257,
        mode: 0o100_644,
        born_ns: born_s * SECOND_NS,
        used_ns: born_s * SECOND_NS,
        origin: DescriptorOrigin::Traced,
    }
}

fn counters(process: ProcessId, stack: StackId, opened: u64, closed: u64) -> SiteCounters {
    SiteCounters { process, stack, opened, closed, first_ns: 1, last_ns: 1 }
}

fn snapshot(second: u64, sites: Vec<SiteCounters>, descriptors: Vec<LiveDescriptor>) -> Snapshot {
    Snapshot { time_ns: second * SECOND_NS, sites, descriptors, ..Snapshot::default() }
}

fn only(ledger: &Ledger) -> &Account {
    let accounts: Vec<_> = ledger.accounts().collect();
    assert_eq!(accounts.len(), 1, "{accounts:#?}");
    accounts[0]
}

/// Exercise the counters of a line that closes some at once and keeps others.
#[test]
fn counters_and_descriptors_meet_in_one_account() {
    let mut ledger = Ledger::new(Limits::default());
    let names = Names::default();
    ledger.observe(&snapshot(1, vec![counters(ONE, 7, 5, 5)], vec![]), &names);
    assert_eq!(ledger.accounts().count(), 0, "what keeps nothing needs no account");
    let open = vec![file(ONE, 3, 7, 2)];
    ledger.observe(&snapshot(2, vec![counters(ONE, 7, 9, 8)], open), &names);
    let account = only(&ledger);
    assert_eq!((account.opened, account.closed, account.living().len()), (9, 8, 1));
    assert_eq!(account.kind, DescriptorKind::File);
    assert_eq!(account.site.as_ref().map(|site| site.line), Some(7));
    assert_eq!(account.largest_stack(), Some(7));
    let process = ledger.process(ONE).expect("taken in");
    let opened: u64 = process.by_kind.values().map(|totals| totals.opened).sum();
    assert_eq!(opened, 9, "the totals by kind miss none");
}

/// Exercise two processes whose stacks have the same id, and two kinds of one line.
#[test]
fn processes_and_kinds_are_kept_apart() {
    let mut ledger = Ledger::new(Limits::default());
    let directory = LiveDescriptor { mode: 0o40_755, ..file(ONE, 5, 7, 1) };
    let open = vec![file(ONE, 3, 7, 1), directory, file(TWO, 3, 7, 1)];
    ledger.observe(&snapshot(2, vec![], open), &Names::default());
    let mut accounts: Vec<_> =
        ledger.accounts().map(|a| (a.process, a.kind, a.living().len())).collect();
    accounts.sort();
    assert_eq!(
        accounts,
        [
            (ONE, DescriptorKind::File, 1),
            (ONE, DescriptorKind::Directory, 1),
            (TWO, DescriptorKind::File, 1),
        ]
    );
}

/// Exercise every way in which a descriptor can get there: only a birth that was seen is booked on a
/// line, and all are counted.
#[test]
fn only_births_that_were_seen_are_laid_on_a_line() {
    let mut ledger = Ledger::new(Limits::default());
    let with = |fd, origin| LiveDescriptor { origin, ..file(ONE, fd, 7, 1) };
    let open = vec![
        with(3, DescriptorOrigin::Traced),
        with(4, DescriptorOrigin::BeforeAttach),
        with(5, DescriptorOrigin::Inherited),
        with(6, DescriptorOrigin::Found),
    ];
    ledger.observe(&snapshot(2, vec![], open), &Names::default());
    assert_eq!(only(&ledger).living().len(), 1);
    let process = ledger.process(ONE).expect("taken in");
    assert_eq!((process.open(), process.before_attach()), (4, 1));
    let history = process.before_attach_history(DescriptorKind::File).expect("one");
    assert_eq!(history.last().expect("a sample").alive, 1.0);
}

/// Exercise frames that come a look late: nothing is lost, and nothing is booked elsewhere before.
#[test]
fn frames_may_come_late() {
    let mut ledger = Ledger::new(Limits::default());
    let names = Names { known_from: 2, ..Names::default() };
    for second in 1..=2 {
        let open = vec![file(ONE, 3, 7, 1)];
        ledger.observe(&snapshot(second, vec![counters(ONE, 7, 4, 3)], open), &names);
    }
    let account = only(&ledger);
    assert!(account.site.is_some());
    assert_eq!((account.opened, account.closed), (4, 3));
}

/// Exercise frames that never come: booked on no line, and still looked for.
#[test]
fn frames_may_never_come() {
    let mut ledger = Ledger::new(Limits::default());
    let names = Names { known_from: u32::MAX, ..Names::default() };
    for second in 1..=10 {
        let open = (0..20).map(|fd| file(ONE, fd, 7, 1)).collect();
        ledger.observe(&snapshot(second, vec![], open), &names);
        let patience = u64::from(Limits::default().unresolved_observations);
        assert_eq!(ledger.accounts().count() > 0, second > patience, "second {second}");
    }
    assert_eq!(only(&ledger).site, None);
    let open = (0..20).map(|fd| file(ONE, fd, 7, 1)).collect();
    ledger.observe(&snapshot(11, vec![], open), &Names::default());
    let named = ledger.accounts().find(|account| account.site.is_some()).expect("found at last");
    assert_eq!(named.living().len(), 20);
}

/// Exercise more lines than there is room for: one account takes the rest, and it is counted.
#[test]
fn too_many_lines_are_summed_up() {
    let mut ledger = Ledger::new(Limits { accounts: 4, ..Limits::default() });
    let open: Vec<_> = (1..=10).map(|n| file(ONE, n, u64::from(n), 1)).collect();
    ledger.observe(&snapshot(2, vec![], open), &Names::default());
    let other: Vec<_> = ledger.accounts().filter(|account| account.overflow).collect();
    assert_eq!((ledger.accounts().count(), other.len()), (5, 1));
    assert_eq!(other[0].living().len(), 6);
    assert_eq!(ledger.overflow().accounts, 6);
    // A minute later those that hold nothing have made room.
    ledger.observe(&snapshot(3, vec![], vec![]), &Names::default());
    let open: Vec<_> = (20..=23).map(|n| file(ONE, n, u64::from(n), 90)).collect();
    ledger.observe(&snapshot(100, vec![], open), &Names::default());
    assert_eq!(ledger.accounts().filter(|account| !account.overflow).count(), 4);
    assert_eq!(ledger.overflow().accounts, 6);
}

/// Exercise the other bounds.
#[test]
fn everything_is_bounded() {
    let limits =
        Limits { processes: 2, accounts: 100, stacks: 3, unclosed: 2, ..Limits::default() };
    let mut ledger = Ledger::new(limits);
    let open = (1..=9).map(|n| file(ProcessId(n % 3), n, u64::from(n), 1)).collect();
    let unclosed = (1..=5u64)
        .map(|n| UnclosedCounters {
            process: ProcessId(1),
            opened_by: 0,
            dropped_by: 0,
            by_python: false,
            type_name: vec![b'a' + n as u8; 10_000],
            count: 1,
            lifetime_ns: 0,
            first_ns: 1,
            last_ns: 1,
        })
        .collect();
    let snapshot = Snapshot { unclosed, ..snapshot(2, vec![], open) };
    ledger.observe(&snapshot, &Names::default());
    let overflow = ledger.overflow();
    assert_eq!(ledger.processes().count(), 2);
    assert!(overflow.processes > 0 && overflow.stacks > 0 && overflow.unclosed > 0);
    assert_eq!(ledger.unclosed().count(), 2);
    assert!(ledger.unclosed().all(|(key, _)| key.type_name.chars().count() == 200));
    let booked: usize = ledger.accounts().map(|account| account.living().len()).sum();
    let open: u64 = ledger.processes().map(|(_, process)| process.open()).sum();
    assert_eq!(booked as u64, open, "beyond the bound is booked too");
}

/// Exercise a process that ends, and another that needs its room.
#[test]
fn ended_processes_make_room() {
    let mut ledger = Ledger::new(Limits { processes: 1, ..Limits::default() });
    ledger.process_started(ONE, ProcessInfo { pid: 10, ..ProcessInfo::default() });
    ledger.observe(&snapshot(1, vec![], vec![file(ONE, 3, 7, 1)]), &Names::default());
    ledger.process_ended(ONE, 2 * SECOND_NS);
    assert_eq!(ledger.accounts().count(), 0);
    // A source may still list it for a while.
    ledger.observe(&snapshot(2, vec![], vec![file(ONE, 3, 7, 1)]), &Names::default());
    assert_eq!(ledger.accounts().count(), 0);
    assert_eq!(ledger.process(ONE).map(Process::open), Some(0));
    ledger.process_started(TWO, ProcessInfo { pid: 11, ..ProcessInfo::default() });
    assert_eq!(ledger.process(ONE), None);
    assert_eq!(ledger.process(TWO).map(|process| process.info.pid), Some(11));
}

/// Exercise counters that start again, as after a map was emptied: nothing goes negative.
#[test]
fn counters_may_start_again() {
    let mut ledger = Ledger::new(Limits::default());
    let names = Names::default();
    for (second, opened, closed) in [(1, 100, 90), (2, 3, 1), (3, u64::MAX, u64::MAX), (4, 5, 5)] {
        let open = vec![file(ONE, 3, 7, 1)];
        ledger.observe(&snapshot(second, vec![counters(ONE, 7, opened, closed)], open), &names);
    }
    assert!(only(&ledger).opened >= 103);
}

/// Exercise a snapshot that comes twice, and one that comes too late.
#[test]
fn stale_snapshots_are_left_out() {
    let mut ledger = Ledger::new(Limits::default());
    let names = Names::default();
    ledger.observe(&snapshot(5, vec![], vec![file(ONE, 3, 7, 1)]), &names);
    ledger.observe(&snapshot(5, vec![], vec![]), &names);
    ledger.observe(&snapshot(4, vec![], vec![]), &names);
    assert_eq!(ledger.overflow().stale_snapshots, 2);
    assert_eq!(only(&ledger).living().len(), 1);
}

/// Exercise the sums: what was lost, and what the process's own table says.
#[test]
fn totals_are_those_of_the_newest_snapshot() {
    let mut ledger = Ledger::new(Limits::default());
    let mut one = snapshot(1, vec![], vec![file(ONE, 3, 7, 1)]);
    let dropped = BTreeMap::from([("map_full", 2), ("ring_full", 1)]);
    one.flows.insert("opened", Flow { emitted: 10, received: 7, dropped: dropped.clone() });
    one.flows.insert("closed", Flow { emitted: 4, received: 1, dropped });
    one.tables = vec![TableCheck { process: ONE, actual: 4, tracked: 3, drift: 0 }];
    ledger.observe(&one, &Names::default());
    let totals = ledger.totals(ONE);
    assert_eq!((totals.emitted(), totals.received()), (14, 8));
    assert_eq!(totals.dropped(), BTreeMap::from([("map_full", 4), ("ring_full", 2)]));
    assert_eq!(totals.descriptors.drift(), Some(-1));
    assert_eq!(ledger.losses().since(0), 6);
    assert_eq!(ledger.totals(TWO).descriptors, DescriptorTotals::default());
}

/// Exercise what flame graphs are drawn from.
#[test]
fn stacks_are_listed_with_what_they_hold() {
    let mut ledger = Ledger::new(Limits::default());
    let sites = vec![counters(ONE, 7, 9, 8), counters(ONE, 8, 5, 5), counters(TWO, 9, 1, 1)];
    ledger.observe(&snapshot(1, sites, vec![file(ONE, 3, 7, 1)]), &Names::default());
    let mut stacks: Vec<_> =
        ledger.stacks(ONE).map(|one| (one.opened, one.closed, one.alive, one.kind)).collect();
    stacks.sort();
    assert_eq!(stacks, [(5, 5, 0, None), (9, 8, 1, Some(DescriptorKind::File))]);
    assert!(ledger.stacks(ONE).all(|one| one.stack.is_some()));
}

fn read(stack: StackId, count: u64, first_s: u64, last_s: u64) -> ActCounters {
    ActCounters {
        process: ONE,
        stack,
        act: Act::Read,
        call: 0,
        object: 0,
        sums: Sums { count, ..Sums::default() },
        first_ns: first_s * SECOND_NS,
        last_ns: last_s * SECOND_NS,
        mode: 0,
        made_by: 0,
        flags: 0,
    }
}

fn act(ledger: &mut Ledger, second: u64, acts: Vec<ActCounters>) {
    let snapshot = Snapshot { time_ns: second * SECOND_NS, acts, ..Snapshot::default() };
    ledger.observe(&snapshot, &Names::default());
    ledger.observe_acts(&snapshot, &Names::default(), &NoObjects);
}

struct NoObjects;

impl ObjectNames for NoObjects {
    fn object(&self, _: ObjectId) -> Option<&Object> {
        None
    }
}

/// Exercise a window over what comes now and then.
#[test]
fn a_window_counts_what_came_within_it() {
    let mut ledger = Ledger::new(Limits::default());
    for second in 1..=300 {
        // One each 10 s.
        act(&mut ledger, second, vec![read(7, second / 10 + 1, 1, second / 10 * 10)]);
    }
    let conduct = ledger.conducts().next().unwrap();
    let now_ns = 300 * SECOND_NS;
    assert_eq!(conduct.window(now_ns, 60 * SECOND_NS).0.count, 6);
    assert_eq!(conduct.window(now_ns, 60 * SECOND_NS).1, 60 * SECOND_NS);
    assert_eq!(conduct.window(now_ns, 5 * SECOND_NS).0.count, 1);
    assert_eq!(conduct.window(now_ns - 1, 5 * SECOND_NS).0.count, 1);
    assert!((conduct.per_minute(now_ns, 120 * SECOND_NS) - 6.0).abs() < 0.01);
}

/// Exercise a line that rests, is dropped for others, and comes back: what it did before is no news.
#[test]
fn what_rests_makes_room_and_comes_back_quietly() {
    let mut ledger = Ledger::new(Limits { conducts: 8, ..Limits::default() });
    let resting = |last_s| read(1, 1_000, 1, last_s);
    act(&mut ledger, 2, vec![resting(2)]);
    for second in [200, 201] {
        let lines = (2..=9).map(|line| read(line, second, 199, second));
        act(&mut ledger, second, lines.chain([resting(2)]).collect());
    }
    let busy: Vec<u32> = ledger.conducts().filter_map(|c| Some(c.site.as_ref()?.line)).collect();
    assert_eq!(busy, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(ledger.acts_left_out(), 1, "when it was dropped there was no room for the eighth");
    act(&mut ledger, 400, vec![read(9, 202, 199, 399)]);
    let back = Sums { count: 1_003, ..Sums::default() };
    for (second, count) in [(401, 1_001), (402, back.count)] {
        act(&mut ledger, second, vec![read(1, count, 1, second)]);
    }
    let conduct = ledger.conducts().find(|c| c.site.as_ref().is_some_and(|s| s.line == 1)).unwrap();
    assert_eq!(conduct.total.sums, back);
    assert_eq!(conduct.window(402 * SECOND_NS, 60 * SECOND_NS).0.count, 2);
}

/// Exercise a stack of a busy line that is forgotten: the line's window is of what goes on.
#[test]
fn a_forgotten_stack_leaves_the_window_as_it_was() {
    let mut ledger = Ledger::new(Limits::default());
    // Stacks 7 and 7 + 2^32 run the same line.
    let other = 7 + (1 << 32);
    for second in 1..=20 {
        act(&mut ledger, second, vec![read(7, second * 10, 1, second), read(other, 5_000, 1, 1)]);
    }
    for second in 21..=25 {
        act(&mut ledger, second, vec![read(7, second * 10, 1, second), read(0, 5_000, 1, 1)]);
        let line = ledger.conducts().find(|conduct| conduct.site.is_some()).unwrap();
        // What came in the second in which it was forgotten is not told from what left.
        let count = line.window(second * SECOND_NS, 10 * SECOND_NS).0.count;
        assert_eq!(count, 90, "at {second} s");
    }
}

/// Exercise stacks that the source let go, and a process that is gone for good.
#[test]
fn what_is_forgotten_is_gone_until_it_comes_again() {
    let mut ledger = Ledger::new(Limits::default());
    let info = ProcessInfo::default();
    ledger.process_started(ONE, info);
    act(&mut ledger, 1, vec![read(1, 5, 1, 1), read(2, 5, 1, 1)]);
    assert!(ledger.stack(ONE, 1).is_some());
    let snapshot = Snapshot {
        time_ns: 2 * SECOND_NS,
        sites: vec![counters(ONE, 2, 0, 0)],
        acts: vec![read(2, 5, 1, 1), read(0, 5, 1, 1)],
        forgotten: vec![(ONE, 1)],
        ..Snapshot::default()
    };
    ledger.observe(&snapshot, &Names::default());
    ledger.observe_acts(&snapshot, &Names::default(), &NoObjects);
    assert!(ledger.stack(ONE, 1).is_none() && ledger.stack(ONE, 2).is_some());
    let sum: u64 = ledger.conducts().map(|conduct| conduct.total.sums.count).sum();
    assert_eq!(sum, 10);
    ledger.process_ended(ONE, 3 * SECOND_NS);
    assert!(ledger.process(ONE).is_some() && !ledger.acts().is_empty());
    ledger.forget(ONE);
    assert!(ledger.process(ONE).is_none() && ledger.acts().is_empty());
    assert!(ledger.stack(ONE, 2).is_none());
}
