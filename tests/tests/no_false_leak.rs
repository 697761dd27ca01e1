//! Healthy programs that hold many descriptors, or come to hold them, get no confirmed leak.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::target::Target;
use pitviper_tests::{together, venv};

/// How long each is watched: longer than the pool takes to fill by several windows.
const WATCHED: &str = "50s";
const LIMIT: Duration = Duration::from_secs(120);

const HEALTHY: [&str; 8] = [
    "pool_that_fills",
    "cache_that_evicts",
    "log_files",
    "subscriptions",
    "http_server",
    "idle",
    "pip_install",
    "pytest",
];

#[test]
fn healthy_programs_have_no_confirmed_leak() -> Result<()> {
    if !met("no_false_leak")? {
        return Ok(());
    }
    let kinds: Vec<_> = HEALTHY.iter().enumerate().collect();
    together::each(
        kinds.len(),
        &kinds,
        |(_, kind)| (**kind).to_owned(),
        |(turn, kind)| {
            let folder = tempfile::tempdir()?;
            match **kind {
                "pip_install" => watch_pip(*turn, folder.path()),
                "pytest" => watch_pytest(*turn, folder.path()),
                kind => watch(&interpreter::pick(*turn)?, kind, folder.path()),
            }
        },
    )
}

fn watch(python: &Interpreter, kind: &str, folder: &Path) -> Result<()> {
    let target = Target::start(python, "healthy.py", &[kind.as_ref(), folder.as_os_str()])?;
    // What is used is seen by another way where nothing but descriptors is watched.
    let more: &[&str] = if kind == "subscriptions" { &["--descriptors-only"] } else { &[] };
    no_leak_with(target, more)?;
    Ok(())
}

fn watch_pip(turn: usize, folder: &Path) -> Result<()> {
    let environment = venv::create(turn, &folder.join("environment"), &[])?;
    let packages = folder.join("packages");
    let mut command =
        ["pip", "install", "--quiet", "--no-cache-dir", "--target"].map(Path::new).to_vec();
    command.push(&packages);
    command.extend(["requests", "rich", "jinja2", "pyyaml"].map(Path::new));
    no_leak(Target::start(&environment, "module_when_told.py", &command)?)?;
    ensure!(packages.join("requests").exists(), "pip installed nothing");
    Ok(())
}

fn watch_pytest(turn: usize, folder: &Path) -> Result<()> {
    let environment = venv::create(turn, &folder.join("environment"), &["pytest"])?;
    let suite = folder.join("suite");
    fs::create_dir(&suite)?;
    for number in 0..40 {
        fs::write(suite.join(format!("test_part_{number}.py")), suite_part(15)?)?;
    }
    let arguments = [Path::new("pytest"), Path::new("--quiet"), &suite];
    let mut pytest = no_leak(Target::start(&environment, "module_when_told.py", &arguments)?)?;
    let status = pytest.end(LIMIT)?;
    ensure!(status.success(), "the tests failed: {status}");
    Ok(())
}

/// A file of tests that open files, print and wait a little, as tests do.
fn suite_part(tests: usize) -> Result<String> {
    let mut text = String::from("import time\n\n");
    for number in 0..tests {
        writeln!(
            text,
            "\ndef test_{number}(tmp_path, capsys):\n\
             \x20   (tmp_path / 'file').write_text('{number}')\n\
             \x20   print((tmp_path / 'file').read_text())\n\
             \x20   time.sleep(0.02)\n\
             \x20   assert capsys.readouterr().out == '{number}\\n'"
        )?;
    }
    Ok(text)
}

fn no_leak(target: Target) -> Result<Target> {
    no_leak_with(target, &[])
}

fn no_leak_with(mut target: Target, more: &[&str]) -> Result<Target> {
    let pid = target.pid().to_string();
    let args = ["attach", &pid, "--duration", WATCHED, "--json"];
    let agent = Agent::attach(&[&args, more].concat())?;
    target.tell("go")?;
    let ended = agent.ended(LIMIT)?;
    let report = ended.report()?;
    if !report.findings().is_empty() {
        tell(&report.outline());
    }
    let leaks = report.confirmed("fd-leak");
    ensure!(leaks.is_empty(), "a healthy program is called leaking: {}", report.outline());
    let clean = report.findings().iter().all(|finding| finding["confidence"] != "confirmed");
    ensure!(ended.code() == Some(i32::from(!clean)), "{}: {}", ended.status, report.outline());
    report.ledger().check_sums()?;
    Ok(target)
}
