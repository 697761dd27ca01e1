//! A leak is confirmed in time, at the user's own line, on every interpreter.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::{Report, is_confirmed, outline};
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;
use pitviper_tests::{together, venv};
use serde_json::Value;

/// A leak of one a second must be confirmed this soon after the attach.
const FAST_LIMIT: Duration = Duration::from_secs(20);
/// A leak of one in ten seconds must be confirmed this soon.
const SLOW_LIMIT: Duration = Duration::from_secs(180);

/// Where the descriptor is made: in the user's own line, or in a file with this in its path.
enum Origin {
    Own,
    Library(&'static str),
}

/// Every kind of leak, with the seconds between two.
const LEAKS: [(&str, &str, Origin, Duration); 11] = [
    ("file", "1", Origin::Own, FAST_LIMIT),
    ("socket", "1", Origin::Library("/socket.py"), FAST_LIMIT),
    ("pipe", "1", Origin::Own, FAST_LIMIT),
    ("epoll", "1", Origin::Own, FAST_LIMIT),
    ("inotify", "1", Origin::Own, FAST_LIMIT),
    ("mkstemp", "1", Origin::Library("/tempfile.py"), FAST_LIMIT),
    ("named_temporary_file", "1", Origin::Library("/tempfile.py"), FAST_LIMIT),
    ("popen", "1", Origin::Library("/subprocess.py"), FAST_LIMIT),
    ("sqlite", "1", Origin::Own, FAST_LIMIT),
    ("package", "1", Origin::Library("/site-packages/filelock/"), FAST_LIMIT),
    ("file", "10", Origin::Own, SLOW_LIMIT),
];

#[test]
fn each_kind_of_leak_is_confirmed_in_time() -> Result<()> {
    if !met("fd_leak")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let with_package = venv::create(0, folder.path(), &["filelock"])?;
    let leaks: Vec<_> = LEAKS.iter().enumerate().collect();
    together::each(
        leaks.len(),
        &leaks,
        |(_, (kind, interval, ..))| format!("{kind} every {interval} s"),
        |(turn, (kind, interval, origin, limit))| {
            let python = match *kind {
                "package" => with_package.clone(),
                _ => interpreter::pick(*turn)?,
            };
            confirmed_in_time(&python, kind, interval, origin, *limit)
        },
    )
}

#[test]
fn a_leaking_file_is_reported_on_every_interpreter() -> Result<()> {
    if !met("fd_leak")? {
        return Ok(());
    }
    interpreter::on_every(usize::MAX, |python| {
        let folder = tempfile::tempdir()?;
        let target = leaking(python, "file", "1", folder.path())?;
        let seconds = FAST_LIMIT.as_secs().to_string();
        let args = ["attach", &target.pid().to_string(), "--duration", &seconds, "--json"];
        let ended = Agent::attach(&args)?.ended(FAST_LIMIT + Duration::from_secs(30))?;
        let report = ended.report()?;
        ensure!(ended.code() == Some(1), "{} with {}", ended.status, report.outline());
        check_finding(&report, "file")
    })
}

/// What the program leaks.
const COUNTED: u64 = 100;

#[test]
fn the_same_leak_is_the_same_finding_on_every_interpreter() -> Result<()> {
    if !met("fd_leak")? {
        return Ok(());
    }
    interpreter::on_every(usize::MAX, |python| {
        let folder = tempfile::tempdir()?;
        let mut target = Target::start(python, "counted_leak.py", &[folder.path()])?;
        let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
        target.tell("go")?;
        target.expect("DONE")?;
        let report = agent.stop()?.report()?;
        let finding = report.confirmed_at("fd-leak", &marked("counted_leak.py", "counted")?)?;
        let evidence = &finding["evidence"];
        for (key, count) in [("opened", COUNTED), ("alive", COUNTED), ("closed", 0)] {
            ensure!(evidence[key] == count, "{}: {key} in {evidence}", python.label);
        }
        let others = report.findings().iter().filter(|other| *other != finding).count();
        ensure!(others == 0, "{}: {}", python.label, report.outline());
        Ok(())
    })
}

fn leaking(
    python: &Interpreter,
    kind: &str,
    interval: &str,
    folder: &std::path::Path,
) -> Result<Target> {
    let args = [kind.as_ref(), interval.as_ref(), folder.as_os_str()];
    let mut target = Target::start(python, "leak.py", &args)?;
    // Attached to in full flow, as a user does.
    target.tell("go")?;
    Ok(target)
}

fn confirmed_in_time(
    python: &Interpreter,
    kind: &str,
    interval: &str,
    origin: &Origin,
    limit: Duration,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let target = leaking(python, kind, interval, folder.path())?;
    let mut agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
    let attached = Instant::now();
    let line = agent.line_where("a confirmed fd-leak", limit, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "fd-leak"))
    })?;
    let took = attached.elapsed();
    let finding = parse_line(&line)?;
    tell(&format!("{}: {kind} every {interval} s confirmed after {took:.1?}", python.label));

    let site = marked("leak.py", kind)?;
    ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
    let file = finding["origin"]["file"].as_str().context("no origin")?;
    match origin {
        Origin::Own => ensure!(site.is(&finding["origin"]), "{}", outline(&finding)),
        Origin::Library(part) => ensure!(file.contains(part), "{}", outline(&finding)),
    }
    check_stack(&finding)?;
    let ended = agent.stop()?;
    ensure!(ended.code() == Some(1), "a confirmed finding, and {}", ended.status);
    Ok(())
}

/// The one leak is there, and nothing else is called one.
fn check_finding(report: &Report, kind: &str) -> Result<()> {
    let finding = report.confirmed_at("fd-leak", &marked("leak.py", kind)?)?;
    let leaks = report.confirmed("fd-leak");
    ensure!(leaks.len() == 1, "healthy lines are called leaks: {}", report.outline());
    let evidence = finding["evidence"].as_object().context("no evidence")?;
    ensure!(evidence.values().any(Value::is_number), "no numbers in {evidence:?}");
    ensure!(!finding["advice"].as_str().unwrap_or_default().is_empty(), "no advice: {finding}");
    check_stack(finding)?;
    report.ledger().check_sums()
}

/// The stack begins at the origin and has the site.
fn check_stack(finding: &Value) -> Result<()> {
    let stack = finding["stack"].as_array().context("no stack")?;
    ensure!(stack.first() == Some(&finding["origin"]), "{} in {stack:?}", finding["origin"]);
    ensure!(stack.contains(&finding["site"]), "{} in {stack:?}", finding["site"]);
    Ok(())
}
