//! A file or socket that the collector closes is reported at the line that left it open, without
//! `-X dev` and with warnings ignored; the same work with `with` is not.

use std::time::Duration;

use anyhow::{Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter;
use pitviper_tests::requirements::met;
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;

#[test]
fn what_the_collector_closes_is_reported_at_its_line() -> Result<()> {
    if !met("unclosed_resource")? {
        return Ok(());
    }
    interpreter::on_every(usize::MAX, |python| {
        let folder = tempfile::tempdir()?;
        let mut target = Target::start(python, "unclosed.py", &[folder.path()])?;
        target.tell("go")?;
        let args = ["attach", &target.pid().to_string(), "--duration", "15s", "--json"];
        let ended = Agent::attach(&args)?.ended(Duration::from_secs(60))?;
        let report = ended.report()?;
        report.confirmed_at("unclosed-resource", &marked("unclosed.py", "file")?)?;
        report.confirmed_at("unclosed-resource", &marked("unclosed.py", "socket")?)?;
        let found = report.confirmed("unclosed-resource").len();
        ensure!(found == 2, "more than these two: {}", report.outline());
        ensure!(ended.code() == Some(1), "confirmed findings, and {}", ended.status);
        report.ledger().check_sums()
    })
}

#[test]
fn a_race_for_numbers_blames_no_line_that_closes() -> Result<()> {
    if !met("unclosed_resource")? {
        return Ok(());
    }
    interpreter::on_every(1, |python| {
        let folder = tempfile::tempdir()?;
        let args = [folder.path().as_os_str(), "4".as_ref()];
        let mut target = Target::start(python, "unclosed_race.py", &args)?;
        let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
        target.tell("go")?;
        target.expect("DONE")?;
        let report = agent.stop()?.report()?;
        let left =
            report.confirmed_at("unclosed-resource", &marked("unclosed_race.py", "left_open")?)?;
        let innocent = report.findings().iter().find(|finding| finding["site"] != left["site"]);
        ensure!(innocent.is_none(), "an innocent line is blamed: {}", report.outline());
        let ledger = report.ledger();
        let opened = ledger.count("/by_kind/opened/emitted")?;
        let closed = ledger.count("/by_kind/closed/emitted")?;
        ensure!(opened == closed, "{opened} opened and all closed again, {closed} closed");
        ledger.check_sums()
    })
}
