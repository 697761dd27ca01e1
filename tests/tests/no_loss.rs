//! Nothing is lost unseen: a flood is counted to the last call, and where a bound is hit the losses
//! are counted exactly and no verdict stands on them.

use std::time::Duration;

use anyhow::{Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::process::descriptors;
use pitviper_tests::requirements::met;
use pitviper_tests::target::Target;

const PAIRS: i64 = 200_000;

#[test]
fn a_flood_is_counted_to_the_last_call() -> Result<()> {
    if !met("no_loss")? {
        return Ok(());
    }
    // One at a time: as fast as Python can.
    interpreter::on_every(1, |python| {
        let mut target = Target::start(python, "open_close.py", &[PAIRS.to_string()])?;
        let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
        target.tell("go")?;
        target.expect("DONE")?;
        let ended = agent.stop()?;
        let report = ended.report()?;
        let ledger = report.ledger();
        ledger.check_sums()?;
        for kind in ["opened", "closed"] {
            let emitted = ledger.count(&format!("/by_kind/{kind}/emitted"))?;
            ensure!(emitted == PAIRS, "{emitted} {kind}, the program did {PAIRS}");
            let dropped = ledger.dropped(&format!("/by_kind/{kind}/dropped"))?;
            ensure!(dropped == 0, "{dropped} of {kind} lost");
        }
        ensure!(report.findings().is_empty(), "found {}", report.outline());
        ensure!(ended.code() == Some(0), "nothing found, and {}", ended.status);
        Ok(())
    })
}

/// Descriptors that the program comes to hold, in turn from so many stacks.
const HELD: i64 = 100;
const STACKS: i64 = 10;
const MAX_DESCRIPTORS: i64 = 16;
const MAX_STACKS: i64 = 4;

#[test]
fn losses_at_a_bound_are_counted_and_soften_the_verdict() -> Result<()> {
    if !met("no_loss")? {
        return Ok(());
    }
    interpreter::on_every(3, lose_at_a_bound)
}

fn lose_at_a_bound(python: &Interpreter) -> Result<()> {
    let mut target = Target::start(python, "hold_many.py", &[HELD.to_string()])?;
    let before = descriptors(target.pid())?.len() as i64;
    let agent = Agent::attach(&[
        "attach",
        &target.pid().to_string(),
        "--json",
        "--max-descriptors",
        &MAX_DESCRIPTORS.to_string(),
        "--max-stacks",
        &MAX_STACKS.to_string(),
        // A sample has a stack of its own, whenever it comes.
        "--samples",
        "0",
    ])?;
    target.tell("go")?;
    target.expect_within("DONE", Duration::from_secs(60))?;
    let report = agent.stop()?.report()?;
    let ledger = report.ledger();
    ledger.check_sums()?;

    let opened = ledger.count("/by_kind/opened/emitted")?;
    ensure!(opened == HELD, "{opened} opened, the program did {HELD}");
    let tracked = ledger.count("/descriptors/tracked")?;
    let actual = ledger.count("/descriptors/actual")?;
    ensure!(actual == before + HELD, "{actual} actual, {} are open", before + HELD);
    ensure!(tracked == MAX_DESCRIPTORS, "{tracked} tracked, of {MAX_DESCRIPTORS} at most");
    let drift = ledger.count("/descriptors/drift")?;
    ensure!(drift == tracked - actual, "{drift} drift: {}", ledger.0);
    let untracked = ledger.dropped("/by_kind/opened/dropped")?;
    ensure!(untracked == actual - tracked, "{untracked} counted as lost: {}", ledger.0);
    let stacks = ledger.count("/by_kind/stack/received")?;
    ensure!(stacks == MAX_STACKS, "{stacks} stacks kept, of {MAX_STACKS} at most");
    let unknown = ledger.dropped("/by_kind/stack/dropped")?;
    // The first one sleeps between, and its stack is kept too.
    let expected = HELD / STACKS * (STACKS - (MAX_STACKS - 1));
    ensure!(unknown == expected, "{unknown} calls of lost stacks, not {expected}: {}", ledger.0);
    for finding in report.findings() {
        ensure!(finding["confidence"] == "suspected", "sure in spite of losses: {finding}");
    }
    Ok(())
}
