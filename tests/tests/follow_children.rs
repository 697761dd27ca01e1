//! With `--follow-children` a leak in a child is reported with the child's own line and pid,
//! however the child came to be; without it the child is left alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::{is_confirmed, outline};
use pitviper_tests::requirements::met;
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::together;
use pitviper_tests::trace::parse_line;

/// A leak of two a second, counted from the child's start.
const LIMIT: Duration = Duration::from_secs(40);

/// Agents that are attached at the same time.
const AT_ONCE: usize = 7;

#[test]
fn a_leaking_child_is_named_by_line_and_pid() -> Result<()> {
    if !met("follow_children")? {
        return Ok(());
    }
    let mut children = Vec::new();
    for python in interpreter::all()? {
        for how in ["fork", "multiprocessing", "subprocess"] {
            children.push((python.clone(), how));
        }
    }
    together::each(
        AT_ONCE,
        &children,
        |(python, how)| format!("{} {how}", python.label),
        |(python, how)| child_is_named(python, how),
    )
}

fn child_is_named(python: &Interpreter, how: &str) -> Result<()> {
    let mut parent = Target::start(python, "children.py", &[how])?;
    let pid = parent.pid().to_string();
    let mut agent = Agent::attach(&["attach", &pid, "--follow-children", "--json=lines"])?;
    parent.tell("go")?;
    let child: u32 = parent.expect("CHILD")?.parse()?;
    let line = agent.line_where("the child's leak", LIMIT, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "fd-leak"))
    })?;
    let finding = parse_line(&line)?;
    let site = marked("children.py", "child")?;
    ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
    ensure!(finding["pid"] == child, "the child is {child}: {}", finding["pid"]);
    agent.stop().context("with a followed child")?;
    Ok(())
}

#[test]
fn a_child_is_left_alone_unless_asked_for() -> Result<()> {
    if !met("follow_children")? {
        return Ok(());
    }
    let mut parent = Target::start(&interpreter::pick(5)?, "children.py", &["fork"])?;
    let args = ["attach", &parent.pid().to_string(), "--duration", "15s", "--json"];
    let agent = Agent::attach(&args)?;
    parent.tell("go")?;
    parent.expect("CHILD")?;
    let ended = agent.ended(Duration::from_secs(60))?;
    let report = ended.report()?;
    ensure!(report.findings().is_empty(), "found in the parent: {}", report.outline());
    ensure!(ended.code() == Some(0), "nothing found, and {}", ended.status);
    Ok(())
}
