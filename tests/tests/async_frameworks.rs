//! A handler that blocks its loop is told at its line, with its stack and its task or greenlet, under
//! each of the async frameworks, as the handler itself sees them. A loop that only awaits is not told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::outline;
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::{together, venv};
use serde_json::Value;

const PROGRAM: &str = "async_handlers.py";
const KIND: &str = "event-loop-blocked";
const WATCHED: &str = "10s";
const LIMIT: Duration = Duration::from_secs(90);
const AT_ONCE: usize = 6;

/// Of Python alone: one folder serves each interpreter.
const PURE: [&str; 2] = ["trio==0.27.0", "anyio==4.5.2"];
/// Minor versions for which these have binaries, from the first to the newest arrangement of frames.
const COMPILED: [(&str, [&str; 2]); 6] = [
    ("3.8", ["gevent==24.2.1", "uvloop==0.21.0"]),
    ("3.11", ["gevent==24.11.1", "uvloop==0.21.0"]),
    ("3.12", ["gevent==24.11.1", "uvloop==0.21.0"]),
    ("3.13", ["gevent==24.11.1", "uvloop==0.21.0"]),
    ("3.14", ["gevent==26.9.0", "uvloop==0.23.0"]),
    ("3.15", ["gevent==26.9.0", "uvloop==0.23.0"]),
];

/// Frameworks, and what their handlers do.
type Rows = [(&'static str, &'static [&'static str])];

const ASYNCIO: &Rows = &[("asyncio", &["sleep", "socket", "compute", "none"])];
const EAGER: &Rows = &[("eager", &["sleep", "compute", "none"]), ("eager-factory", &["sleep"])];
const OF_PYTHON: &Rows = &[
    ("trio", &["sleep", "socket", "compute", "none"]),
    ("anyio-trio", &["sleep", "none"]),
    ("anyio-asyncio", &["sleep", "none"]),
];
const OF_C: &Rows = &[
    ("uvloop", &["sleep", "compute", "none"]),
    ("bare-uvloop", &["sleep"]),
    ("gevent", &["sleep", "socket", "compute", "none"]),
    ("gevent-threads", &["sleep", "none"]),
    ("asyncio-greenlets", &["sleep", "compute"]),
];

/// What a blocked loop's finding has to name.
#[derive(Clone, Copy)]
enum Runner {
    Task,
    Greenlet,
}

struct Case {
    python: Interpreter,
    packages: Option<PathBuf>,
    framework: &'static str,
    blocker: &'static str,
}

impl Case {
    fn name(&self) -> String {
        format!("{} {} {}", self.python.label, self.framework, self.blocker)
    }

    fn runner(&self) -> Runner {
        match self.framework {
            "gevent" | "gevent-threads" | "asyncio-greenlets" => Runner::Greenlet,
            _ => Runner::Task,
        }
    }

    /// The name of the loop that anyio and uvloop stand for or run on.
    fn event_loop(&self) -> &'static str {
        match self.framework {
            "trio" | "anyio-trio" => "trio",
            "gevent" | "gevent-threads" => "gevent",
            _ => "asyncio",
        }
    }

    fn start(&self) -> Result<Target> {
        let mut command = self.python.command();
        command.arg(workload(PROGRAM)).args([self.framework, self.blocker]);
        if let Some(packages) = &self.packages {
            command.env("PYTHONPATH", packages);
        }
        Target::start_command(command)
    }

    fn check(&self) -> Result<()> {
        let mut target = self.start()?;
        let args = ["attach", &target.pid().to_string(), "--duration", WATCHED, "--json"];
        let agent = Agent::attach(&args)?;
        target.tell("go")?;
        let report = agent.ended(LIMIT)?.report()?;
        target.tell("end")?;
        let seen: Value = serde_json::from_str(&target.expect("SEEN")?)?;
        report.ledger().check_sums()?;
        let blocked: Vec<_> = report.findings().iter().filter(|f| f["kind"] == KIND).collect();
        if self.blocker == "none" {
            ensure!(blocked.is_empty(), "a loop that awaits is told: {}", report.outline());
            return Ok(());
        }
        let marker = match self.runner() {
            Runner::Task => format!("task {}", self.blocker),
            Runner::Greenlet => format!("greenlet {}", self.blocker),
        };
        let site = marked(PROGRAM, &marker)?;
        let finding = report.confirmed_at(KIND, &site)?;
        ensure!(blocked.len() == 1, "another line is told: {}", report.outline());
        ensure!(
            !report.findings().iter().any(|f| f["kind"] == "slow-call" && site.is(&f["site"])),
            "told twice: {}",
            report.outline()
        );
        self.check_runner(finding, &seen)?;
        check_stack(finding, &seen)?;
        let evidence = &finding["evidence"];
        let runner = evidence.get("task").or(evidence.get("greenlet_function"));
        tell(&format!("{}: {} times, {runner:?}", self.name(), evidence["count"]));
        Ok(())
    }

    fn check_runner(&self, finding: &Value, seen: &Value) -> Result<()> {
        let evidence = &finding["evidence"];
        ensure!(evidence["loop"] == self.event_loop(), "another's loop: {}", outline(finding));
        let (key, truth) = match self.runner() {
            Runner::Task => ("task", "tasks"),
            Runner::Greenlet => ("greenlet_function", "functions"),
        };
        let truth = words(&seen[truth]);
        let named = evidence[key].as_str().with_context(|| format!("no {key} in {evidence}"))?;
        ensure!(truth.contains(named), "{key} {named:?}, those that ran were {truth:?}");
        let other = if key == "task" { "greenlet_function" } else { "task" };
        ensure!(evidence.get(other).is_none(), "{key} and {other} in {evidence}");
        Ok(())
    }
}

fn words(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Holds the finding's stack against `traceback`'s: each frame, the line of all but the innermost,
/// which has gone on by the time that it looks at itself.
fn check_stack(finding: &Value, seen: &Value) -> Result<()> {
    let frame = |frame: &Value, inner: bool| {
        let line = if inner { Value::Null } else { frame["line"].clone() };
        (frame["file"].clone(), frame["function"].clone(), line)
    };
    let stack = finding["stack"].as_array().context("no `stack`")?;
    let found: Vec<_> = stack.iter().enumerate().map(|(n, f)| frame(f, n == 0)).collect();
    let truths = seen["stacks"].as_array().context("no `stacks`")?;
    let matched = truths.iter().any(|truth| {
        let truth = truth.as_array().into_iter().flatten().enumerate();
        let truth = truth.map(|(n, f)| {
            (f[0].clone(), f[1].clone(), if n == 0 { Value::Null } else { f[2].clone() })
        });
        truth.eq(found.iter().cloned())
    });
    ensure!(matched, "the stack {stack:?} is none of {truths:?}");
    Ok(())
}

fn cases_of(python: &Interpreter, packages: Option<&PathBuf>, rows: &Rows) -> Vec<Case> {
    let one = |framework, blocker| Case {
        python: python.clone(),
        packages: packages.cloned(),
        framework,
        blocker,
    };
    rows.iter().flat_map(|(name, blockers)| blockers.iter().map(|b| one(*name, *b))).collect()
}

/// Whether it is 3.12 or newer, which begins tasks within `create_task` when asked to.
fn has_eager_tasks(python: &Interpreter) -> Result<bool> {
    let program = "import sys; print(sys.version_info >= (3, 12))";
    let output = python.command().args(["-c", program]).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}: {output:?}", python.label);
    Ok(output.stdout.starts_with(b"True"))
}

#[test]
fn asyncio_names_its_tasks_on_every_interpreter() -> Result<()> {
    if !met("async_frameworks")? {
        return Ok(());
    }
    let mut cases = Vec::new();
    for python in interpreter::all()? {
        cases.extend(cases_of(&python, None, ASYNCIO));
        if has_eager_tasks(&python)? {
            cases.extend(cases_of(&python, None, EAGER));
        }
    }
    together::each(AT_ONCE, &cases, Case::name, Case::check)
}

#[test]
fn trio_and_anyio_name_their_tasks_on_every_interpreter() -> Result<()> {
    if !met("async_frameworks")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    // The oldest gets what stands in for newer modules, and the newer ones ignore that.
    let pip = venv::create(0, folder.path(), &[])?;
    let packages = folder.path().join("site-packages");
    venv::put(&pip, &packages, None, &PURE)?;
    let mut cases = Vec::new();
    for python in interpreter::all()? {
        cases.extend(cases_of(&python, Some(&packages), OF_PYTHON));
    }
    together::each(AT_ONCE, &cases, Case::name, Case::check)
}

#[test]
fn uvloop_names_its_tasks_and_gevent_its_greenlets() -> Result<()> {
    if !met("async_frameworks")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let pip = venv::newest(folder.path())?;
    let mut cases = Vec::new();
    for (minor, packages) in COMPILED {
        let Some(python) = interpreter::of_minor(minor)? else {
            skip("async_frameworks", &format!("there is no CPython {minor}"))?;
            continue;
        };
        let into = folder.path().join(minor);
        venv::put(&pip, &into, Some(minor), &packages)?;
        cases.extend(cases_of(&python, Some(&into), OF_C));
    }
    together::each(AT_ONCE, &cases, Case::name, Case::check)
}
