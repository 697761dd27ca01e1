//! What a process holds open, by the line that opened it, with ages.

use serde::Serialize;
use serde_json::Value;

use super::{View, place, seconds_between, stack_id, value};
use crate::ledger::{Account, Living, Owner};

/// Lines of one answer, those that hold most first.
const LINES: usize = 500;

/// Descriptors that a line tells of, the oldest first.
const OLDEST: usize = 16;

/// Ends of the classes of age, in seconds; older than the last is a class of its own.
const AGES: [u64; 4] = [10, 60, 600, 3_600];

#[derive(Serialize)]
struct Descriptors {
    time: f64,
    pid: u32,
    open: u64,
    before_attach: u64,
    age_classes: [u64; 4],
    lines: Vec<Line>,
    lines_left_out: usize,
}

#[derive(Serialize)]
struct Line {
    site: Value,
    origin: Value,
    owner: &'static str,
    kind: &'static str,
    overflow: bool,
    open: usize,
    opened: u64,
    closed: u64,
    stacks: u32,
    stack: Option<String>,
    oldest_seconds: Option<f64>,
    median_seconds: Option<f64>,
    idle_seconds: Option<f64>,
    ages: [u64; 5],
    oldest: Vec<One>,
}

#[derive(Serialize)]
struct One {
    fd: u32,
    age_seconds: f64,
    idle_seconds: f64,
}

/// What the process of that pid holds; `None` when there was none.
pub fn descriptors(view: &View<'_>, pid: u32) -> Option<Value> {
    let (id, process) = view.process(pid)?;
    let mut accounts: Vec<&Account> = view
        .ledger
        .accounts()
        .filter(|account| account.process == id && (account.opened > 0 || !is_empty(account)))
        .collect();
    let order = |account: &&Account| (account.living().len(), account.opened);
    accounts.sort_by_key(|account| std::cmp::Reverse(order(account)));
    Some(value(Descriptors {
        time: view.time(),
        pid,
        open: process.open(),
        before_attach: process.before_attach(),
        age_classes: AGES,
        lines: accounts.iter().take(LINES).map(|account| line(view, account)).collect(),
        lines_left_out: accounts.len().saturating_sub(LINES),
    }))
}

fn is_empty(account: &Account) -> bool {
    account.living().is_empty()
}

fn line(view: &View<'_>, account: &Account) -> Line {
    let now_ns = view.ledger.time_ns();
    let living = account.living();
    let age = |one: &Living| seconds_between(one.born_ns, now_ns);
    let idle = |one: &Living| seconds_between(one.used_ns, now_ns);
    let stack = account.largest_stack();
    let frames = stack.and_then(|id| view.ledger.stack(account.process, id));
    let mut ages = [0; 5];
    for one in living {
        let class = AGES.iter().position(|end| age(one) < *end as f64).unwrap_or(AGES.len());
        // There is one class more than there are ends.
        if let Some(count) = ages.get_mut(class) {
            *count += 1;
        }
    }
    let told = |one: &Living| One { fd: one.fd, age_seconds: age(one), idle_seconds: idle(one) };
    Line {
        site: place(account.site.as_ref()),
        origin: place(frames.and_then(|stack| stack.frames.first())),
        owner: owner_name(account.owner),
        kind: account.kind.name(),
        overflow: account.overflow,
        open: living.len(),
        opened: account.opened,
        closed: account.closed,
        stacks: account.stacks,
        stack: stack.map(stack_id),
        oldest_seconds: living.first().map(age),
        median_seconds: living.get(living.len() / 2).map(age),
        idle_seconds: living.iter().map(idle).reduce(f64::max),
        ages,
        oldest: living.iter().take(OLDEST).map(told).collect(),
    }
}

fn owner_name(owner: Owner) -> &'static str {
    match owner {
        Owner::Unknown => "unknown",
        Owner::Stdlib => "stdlib",
        Owner::Package => "package",
        Owner::Own => "own",
    }
}
