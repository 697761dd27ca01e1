//! Whatever blocks an event loop is reported at its line, with the request's task, under each of
//! the common servers. What leaves the loop free is not.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::{Agent, Ended};
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::{is_confirmed, outline};
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;
use pitviper_tests::{together, venv};
use serde_json::Value;

const SERVERS: [&str; 4] = ["plain", "uvicorn", "aiohttp", "uvloop"];
const BLOCKERS: [&str; 7] =
    ["requests", "sleep", "sqlite", "subprocess", "getaddrinfo", "fifo", "json"];
const HARMLESS: [&str; 2] = ["none", "thread"];

/// How long a finding may take from the first request on.
const CONFIRMED: Duration = Duration::from_secs(30);
/// Far longer than a finding takes.
const WATCHED: &str = "15s";
const LIMIT: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 4;

struct Case {
    python: Interpreter,
    server: &'static str,
    handler: &'static str,
}

impl Case {
    fn name(&self) -> String {
        format!("{} {} {}", self.python.label, self.server, self.handler)
    }

    fn serve(&self) -> Result<Target> {
        let mut command = self.python.command();
        command.current_dir(workload(""));
        command.args(["-m", "blocked_loop", self.server, self.handler, "--handshake"]);
        Target::start_command(command)
    }

    fn check(&self) -> Result<()> {
        let mut target = self.serve()?;
        if HARMLESS.contains(&self.handler) {
            self.stays_clean(&mut target)?;
        } else {
            self.is_told(&mut target)?;
        }
        target.end(LIMIT).context("the server, left alone again")?;
        Ok(())
    }

    fn is_told(&self, target: &mut Target) -> Result<()> {
        let mut agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
        target.tell("go")?;
        let begun = Instant::now();
        let line = agent.line_where("a blocked event loop", CONFIRMED, |line| {
            parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "event-loop-blocked"))
        })?;
        tell(&format!("{}: confirmed after {:.1?}", self.name(), begun.elapsed()));
        let others = findings(&agent.stop()?)?;
        let finding = parse_line(&line)?;
        let marker = format!("{} event-loop-blocked", self.handler);
        let site = marked("blocked_loop/blockers.py", &marker)?;
        ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
        let task = finding["evidence"]["task"].as_str().unwrap_or_default();
        let number = task.strip_prefix("handler-").and_then(|number| number.parse::<u32>().ok());
        ensure!(number.is_some_and(|n| n > 0), "no request's task: {}", outline(&finding));
        let innocent = others
            .iter()
            .find(|other| other["kind"] == "event-loop-blocked" && !site.is(&other["site"]));
        ensure!(
            innocent.is_none(),
            "an innocent line: {}",
            innocent.map_or(String::new(), outline)
        );
        Ok(())
    }

    fn stays_clean(&self, target: &mut Target) -> Result<()> {
        let pid = target.pid().to_string();
        let agent = Agent::attach(&["attach", &pid, "--duration", WATCHED, "--json"])?;
        target.tell("go")?;
        let report = agent.ended(LIMIT)?.report()?;
        let wrong = report.findings().iter().find(|finding| {
            finding["kind"] == "event-loop-blocked" || finding["confidence"] == "confirmed"
        });
        ensure!(wrong.is_none(), "found: {}", report.outline());
        report.ledger().check_sums()
    }
}

fn findings(ended: &Ended) -> Result<Vec<Value>> {
    ended.stdout.iter().map(|line| parse_line(line)).collect()
}

/// Each server with each handler, where the servers' packages are.
fn servers(folder: &Path) -> Result<Vec<Case>> {
    let pythons = interpreter::all()?;
    let Some(turn) = pythons.iter().position(|python| python.label.starts_with("3.12")) else {
        skip("blocked_loop under servers of the registry", "there is no CPython 3.12")?;
        return Ok(Vec::new());
    };
    let requirements = workload("blocked_loop/requirements.txt").display().to_string();
    let python = venv::create(turn, folder, &["--requirement", &requirements])?;
    let case = |server, handler| Case { python: python.clone(), server, handler };
    let handlers = HARMLESS.iter().chain(&BLOCKERS);
    Ok(handlers.flat_map(|handler| SERVERS.map(|server| case(server, *handler))).collect())
}

#[test]
fn what_blocks_a_loop_is_told_with_its_task() -> Result<()> {
    if !met("blocked_loop")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut cases = servers(folder.path())?;
    for python in interpreter::all()? {
        for handler in ["sleep", "json"] {
            cases.push(Case { python: python.clone(), server: "plain", handler });
        }
    }
    together::each(AT_ONCE, &cases, Case::name, Case::check)
}
