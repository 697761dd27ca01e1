//! Precision: real programs from the package registry that do nothing wrong get no finding at all,
//! with the thresholds as they are by default.
//!
//! Each program of `workloads/wellbehaved` is watched with its children. Every second one is watched
//! from before its load begins, start-up included; the others from the middle of their work. A
//! program that did no work while it was watched proves nothing and fails the test.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::interpreter::Interpreter;
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::workload;
use pitviper_tests::target::Target;
use pitviper_tests::{together, venv};

/// How long each is watched: twice what the slowest rule takes to confirm a fault, and some.
const WATCHED: &str = "36s";
/// All of them together; some end by themselves before their time.
const WATCHED_AT_LEAST: Duration = Duration::from_secs(600);
/// From the last second watched to the report.
const LIMIT: Duration = Duration::from_secs(120);
/// Making the files that a job works on takes its time on a busy machine.
const PREPARATION: Duration = Duration::from_secs(90);
/// Two processors carry no more than this without the programs starving each other.
const AT_ONCE: usize = 3;
/// On a slow machine a program is watched again until it has done its least.
const MOST_TIMES: usize = 4;
/// Of a program that is watched from the middle of its work.
const WORK_BEFORE: u64 = 3;

/// Each program, and the least work that it has to do while it is watched.
const PROGRAMS: [(&str, u64); 22] = [
    ("aiohttp_proxy", 300),
    ("pillow_thumbnails", 5),
    ("apscheduler_ticks", 30),
    ("black_check", 10),
    ("celery_worker", 100),
    ("django_waitress", 300),
    ("mypy_check", 100),
    ("fastapi_notes", 300),
    ("flask_sync", 300),
    ("pandas_files", 100),
    ("flask_threads", 300),
    ("httpx_client", 150),
    ("mkdocs_build", 100),
    ("redis_worker", 300),
    ("pytest_suite", 100),
    ("requests_poller", 10),
    ("rq_worker", 20),
    ("sklearn_training", 10),
    ("sqlalchemy_jobs", 200),
    ("tornado_notes", 300),
    ("watchdog_observer", 60),
    ("websockets_feed", 300),
];

#[test]
fn programs_that_do_nothing_wrong_have_no_finding() -> Result<()> {
    if !met("precision")? {
        return Ok(());
    }
    let Some(python) = environment()? else {
        return skip("precision", "it needs CPython 3.12, for which its packages are pinned");
    };
    let watched = Mutex::new(Duration::ZERO);
    let programs: Vec<_> = PROGRAMS.iter().enumerate().collect();
    let result = together::each(
        AT_ONCE,
        &programs,
        |(_, (name, _))| (*name).to_owned(),
        |(turn, (name, least))| {
            let from_middle = turn % 2 == 1 && !ends_by_itself(name);
            let time = watch(&python, name, *least, from_middle)?;
            *watched.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += time;
            Ok(())
        },
    );
    let watched = watched.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    tell(&format!("precision: {:.0} s watched without a finding", watched.as_secs_f64()));
    result?;
    ensure!(watched >= WATCHED_AT_LEAST, "only {watched:?} watched in all");
    Ok(())
}

/// Its end may come before the middle.
fn ends_by_itself(name: &str) -> bool {
    ["black_check", "mypy_check", "mkdocs_build", "pytest_suite"].contains(&name)
}

/// Watches one program; how long.
fn watch(python: &Interpreter, name: &str, least: u64, from_middle: bool) -> Result<Duration> {
    let mut command = python.command();
    command.args(["-m", "wellbehaved", name, "--handshake"]).current_dir(workload(""));
    let mut target = Target::start_command_within(command, PREPARATION)?;
    let mut before = 0;
    if from_middle {
        target.tell("go")?;
        target.expect("WORK")?;
        before = wait_for("the program's first work", LIMIT, || {
            let count = count(&mut target)?;
            Ok((count >= WORK_BEFORE).then_some(count))
        })?;
    }
    let (mut time, mut begun) = (Duration::ZERO, from_middle);
    for _ in 0..MOST_TIMES {
        time += watch_once(&mut target, &mut begun)?;
        // One that has ended by itself does not answer any more.
        let Ok(reached) = count(&mut target) else { break };
        if reached >= before + least {
            break;
        }
    }
    target.close_input();
    let work = target.said("DONE").or_else(|_| target.expect("DONE"))?;
    let work: u64 = work.parse().context("DONE has no number")?;
    let when = if from_middle { "from the middle" } else { "from the start" };
    tell(&format!("{name}: {:.0} s {when}, {} units of work", time.as_secs_f64(), work - before));
    ensure!(work >= before + least, "did {} of at least {least}", work - before);
    Ok(time)
}

/// For its time, or until the program ends; how long.
fn watch_once(target: &mut Target, begun: &mut bool) -> Result<Duration> {
    let pid = target.pid().to_string();
    let agent =
        Agent::attach(&["attach", &pid, "--follow-children", "--duration", WATCHED, "--json"])?;
    let start = Instant::now();
    if !*begun {
        target.tell("go")?;
        target.expect("WORK")?;
        *begun = true;
    }
    let ended = agent.ended(LIMIT)?;
    let time = start.elapsed();
    let report = ended.report()?;
    // Suspicions count, too: nobody should have to look into them.
    let findings = report.findings().len();
    ensure!(findings == 0, "{findings} findings:\n{}", report.outline());
    ensure!(ended.code() == Some(0), "nothing found, and {}", ended.status);
    report.ledger().check_sums()?;
    Ok(time)
}

fn count(target: &mut Target) -> Result<u64> {
    target.tell("count")?;
    target.expect("WORK")?.parse().context("WORK has no number")
}

/// An environment with the pinned packages, made once and kept; nothing without a CPython 3.12.
fn environment() -> Result<Option<Interpreter>> {
    let requirements = workload("wellbehaved/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("failed to read {requirements:?}"))?;
    let packages: Vec<&str> = wanted.lines().filter(|line| !line.is_empty()).collect();
    venv::kept("3.12", &Path::new(env!("CARGO_TARGET_TMPDIR")).join("wellbehaved"), &packages)
}
