//! A file or socket that the collector closes is reported at the line that left it open, without
//! `-X dev` and with warnings ignored; the same work with `with` is not. So is what finalisers in
//! Python warn of.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::Report;
use pitviper_tests::requirements::met;
use pitviper_tests::site::{marked, workload};
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

const ROUNDS: u64 = 7;

/// What is left open: its line, its type (none: it differs between versions), what the interpreter
/// says of it, and whether the line is the one that opened its descriptor.
const LEFT: [(&str, Option<&str>, &str, bool); 5] = [
    ("popen", Some("Popen"), "is still running", false),
    ("folder", Some("TemporaryDirectory"), "Implicitly cleaning up <TemporaryDirectory", false),
    ("loop", Some("_UnixSelectorEventLoop"), "unclosed event loop", true),
    ("transport", Some("_SelectorSocketTransport"), "unclosed transport", true),
    ("scandir", None, "unclosed scandir iterator", false),
];

#[test]
fn what_finalisers_in_python_warn_of_is_reported_at_its_line() -> Result<()> {
    if !met("unclosed_resource")? {
        return Ok(());
    }
    interpreter::on_every(4, |python| {
        let report = watched(python, "left")?;
        let shown = shown_warnings(python)?;
        for (marker, of_type, said, opened) in LEFT {
            let site = marked("unclosed_in_python.py", marker)?;
            let evidence = &report.confirmed_at("unclosed-resource", &site)?["evidence"];
            let is_shown = |line: &&str| line.contains("ResourceWarning: ") && line.contains(said);
            let count = shown.lines().filter(is_shown).count() as u64;
            ensure!(count == ROUNDS, "{said}: {count} shown by the interpreter: {shown}");
            ensure!(evidence["count"] == count, "{marker}: not {count}: {evidence}");
            ensure!(of_type.is_none_or(|name| evidence["type"] == name), "{marker}: {evidence}");
            let timed = !evidence["mean_open_ms"].is_null();
            ensure!(timed == opened, "{marker}: a descriptor of it is tied: {evidence}");
        }
        let found = report.confirmed("unclosed-resource").len();
        ensure!(found == LEFT.len(), "more than these: {}", report.outline());
        report.ledger().check_sums()?;
        let report = watched(python, "closed")?;
        let found = report.findings().iter().any(|found| found["kind"] == "unclosed-resource");
        ensure!(!found, "what was closed is reported: {}", report.outline());
        Ok(())
    })
}

/// The report of the program, which nobody told to show warnings.
fn watched(python: &Interpreter, how: &str) -> Result<Report> {
    let rounds = ROUNDS.to_string();
    let mut target = Target::start(python, "unclosed_in_python.py", &[how, &rounds])?;
    let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
    target.tell("go")?;
    target.expect("DONE")?;
    agent.stop()?.report()
}

/// What the interpreter itself says of the same program.
fn shown_warnings(python: &Interpreter) -> Result<String> {
    let mut command = python.command();
    command.args(["-W", "always::ResourceWarning"]).arg(workload("unclosed_in_python.py"));
    command.args(["left", &ROUNDS.to_string()]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(b"go\n")?;
    Ok(String::from_utf8_lossy(&child.wait_with_output()?.stderr).into_owned())
}
