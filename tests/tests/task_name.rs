//! What blocks an event loop is reported with the name of the task, as the task itself has it: on
//! loops of several threads, for every sort of name, with asyncio imported after the attach. What
//! no task does has no name.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::{Agent, Ended};
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::met;
use pitviper_tests::site::{Site, marked};
use pitviper_tests::target::Target;
use serde_json::Value;

/// Several rounds of the workload, the first of which may come before asyncio was found.
const WATCHED: &str = "10s";
const LIMIT: Duration = Duration::from_secs(90);

/// Looks at what was done at the line where loops stood still.
fn tasks_at(ended: &Ended, site: &Site) -> Result<BTreeSet<String>> {
    let report: Value = serde_json::from_str(&ended.stdout.join("\n"))?;
    let activity = report["activity"].as_array().context("no `activity`")?;
    let stall = activity
        .iter()
        .find(|activity| activity["act"] == "stall" && site.is(&activity["site"]))
        .with_context(|| format!("no stall at {site:?} in {activity:?}"))?;
    let objects = stall["objects"].as_array().context("no `objects`")?;
    Ok(objects.iter().filter_map(|o| Some(o["name"].as_str()?.to_owned())).collect())
}

fn watch(target: &mut Target) -> Result<Ended> {
    let args = ["attach", &target.pid().to_string(), "--duration", WATCHED, "--json"];
    let agent = Agent::attach(&args)?;
    target.tell("go")?;
    agent.ended(LIMIT)
}

#[test]
fn tasks_have_the_names_that_they_give_themselves() -> Result<()> {
    if !met("task_name")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let mut target = Target::start::<&str>(python, "task_name.py", &[])?;
        let ended = watch(&mut target)?;
        target.tell("end")?;
        let truth: Value = serde_json::from_str(&target.expect("BLOCKED")?)?;
        let truth = |marker: &str| -> Result<BTreeSet<String>> {
            let names = truth[marker].as_array().with_context(|| format!("no {marker}"))?;
            Ok(names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect())
        };
        for marker in ["sleep", "compute", "hostile"] {
            let found = tasks_at(&ended, &marked("task_name.py", marker)?)?;
            let names = truth(marker)?;
            ensure!(found == names, "{marker}: reported {found:?}, the tasks were {names:?}");
        }
        let found = tasks_at(&ended, &marked("task_name.py", "unnamed")?)?;
        let names = truth("unnamed")?;
        ensure!(!found.is_empty(), "no unnamed task of {names:?} is reported");
        ensure!(found.is_subset(&names), "reported {found:?}, the tasks were {names:?}");
        let found = tasks_at(&ended, &marked("task_name.py", "callback")?)?;
        ensure!(found.is_empty(), "a callback is taken for the tasks {found:?}");
        ended.report()?.ledger().check_sums()
    })
}

fn serve(python: &Interpreter, blocker: &str) -> Result<Target> {
    let mut command: Command = python.command();
    command.current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("workloads"));
    command.args(["-m", "blocked_loop", "plain", blocker, "--handshake"]);
    Target::start_command(command)
}

#[test]
fn a_blocked_server_tells_which_requests_were_the_reason() -> Result<()> {
    if !met("task_name")? {
        return Ok(());
    }
    interpreter::on_every(3, |python| {
        for blocker in ["sleep", "json"] {
            let ended = watch(&mut serve(python, blocker)?)?;
            let marker = format!("{blocker} event-loop-blocked");
            let found = tasks_at(&ended, &marked("blocked_loop/blockers.py", &marker)?);
            let found = found.with_context(|| blocker.to_owned())?;
            ensure!(!found.is_empty(), "{blocker}: no task is named");
            let wrong = found.iter().find(|name| {
                let number = name.strip_prefix("handler-").and_then(|n| n.parse::<u32>().ok());
                !number.is_some_and(|number| (1..=40).contains(&number))
            });
            ensure!(wrong.is_none(), "{blocker}: no task is named {wrong:?}");
        }
        Ok(())
    })
}
