//! Python in programs of other languages: it comes late, is taken down and brought up again, and its
//! threads are made by the program.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::embedding::Embeddable;
use pitviper_tests::report::{is_confirmed, outline};
use pitviper_tests::requirements::{met, skip, tell};
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::{Trace, parse_line};
use pitviper_tests::{http, interpreter, leak, opened, together, venv};

const LIMIT: Duration = Duration::from_secs(60);

/// glibc keeps the first 32 keys of a thread in one place and others elsewhere, in blocks of 32 that
/// come with their first value.
const KEYS_PAST_A_BLOCK: u32 = 40;
const KEYS_PAST_EMPTY_BLOCKS: u32 = 100;

/// Versions that are tried at the same time where they mostly wait.
const AT_ONCE: usize = 7;

/// Fewer opens than these would show nothing.
const OPENED: usize = 700;

fn on_each(
    test: &str,
    at_once: usize,
    check: impl Fn(&Embeddable) -> Result<()> + Sync,
) -> Result<()> {
    let found = interpreter::all()?.iter().map(Embeddable::of).collect::<Result<Vec<_>>>()?;
    let found: Vec<Embeddable> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return skip(test, "no interpreter has a shared libpython");
    }
    together::each(at_once, &found, |one| one.python.label.clone(), check)
}

/// Attaching fails with a sentence that has `words` in it.
fn refused(pid: u32, words: &str) -> Result<()> {
    let ended = Agent::start(&["attach", &pid.to_string(), "--json"])?.ended(LIMIT)?;
    ensure!(ended.code() == Some(3), "{} {:?}", ended.status, ended.stderr);
    ensure!(ended.stderr.iter().any(|line| line.contains(words)), "{:?}", ended.stderr);
    Ok(())
}

fn do_and_wait(target: &mut Target, word: &str, answer: &str) -> Result<()> {
    target.tell(word)?;
    target.expect(answer)?;
    Ok(())
}

#[test]
fn stacks_are_right_until_it_is_taken_down_and_after() -> Result<()> {
    if !met("embedded")? {
        return Ok(());
    }
    on_each("embedded", 1, |python| {
        for keys in [0, KEYS_PAST_A_BLOCK] {
            taken_down(python, keys).with_context(|| format!("{keys} keys"))?;
        }
        Ok(())
    })
}

fn taken_down(python: &Embeddable, keys: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = python.build(folder.path(), true)?;
    let mut target = Target::start_command(python.command(&program, keys, folder.path()))?;
    refused(target.pid(), "not initialised yet; try again in a moment")?;
    do_and_wait(&mut target, "init", "INITIALIZED")?;
    let agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
    do_and_wait(&mut target, "record first", "RECORDED")?;
    do_and_wait(&mut target, "finalize", "FINALIZED")?;
    do_and_wait(&mut target, "init", "INITIALIZED")?;
    do_and_wait(&mut target, "record second", "RECORDED")?;
    do_and_wait(&mut target, "elsewhere other", "RECORDED")?;
    compare(python, agent, folder.path(), &["first", "second", "other"], keys)
}

fn compare(
    python: &Embeddable,
    agent: Agent,
    folder: &Path,
    names: &[&str],
    keys: u32,
) -> Result<()> {
    let trace = Trace::parse(&agent.stop()?.stdout)?;
    let records: Vec<_> = names.iter().map(|name| folder.join(format!("{name}.json"))).collect();
    let compared = opened::check(&trace, &records)?;
    ensure!(compared >= OPENED, "{compared} stacks are too few to tell");
    tell(&format!("{}: {compared} stacks behind {keys} keys", python.python.label));
    Ok(())
}

#[test]
fn a_libpython_that_is_opened_late_is_found_behind_a_hundred_keys() -> Result<()> {
    if !met("embedded")? {
        return Ok(());
    }
    on_each("embedded", 1, opened_late)
}

fn opened_late(python: &Embeddable) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = python.build(folder.path(), false)?;
    let keys = KEYS_PAST_EMPTY_BLOCKS;
    let mut target = Target::start_command(python.command(&program, keys, folder.path()))?;
    refused(target.pid(), "does not run CPython, or not yet")?;
    do_and_wait(&mut target, "init", "INITIALIZED")?;
    let agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
    do_and_wait(&mut target, "record first", "RECORDED")?;
    compare(python, agent, folder.path(), &["first"], keys)
}

/// The program takes the key that Python gave back, so that Python comes back with another: what a
/// thread has under the old one is the program's. It is told once the agent has seen the change.
#[test]
fn it_comes_back_with_another_key() -> Result<()> {
    if !met("embedded")? {
        return Ok(());
    }
    on_each("embedded", 1, |python| {
        let folder = tempfile::tempdir()?;
        let program = python.build(folder.path(), true)?;
        let mut target = Target::start_command(python.command(&program, 0, folder.path()))?;
        do_and_wait(&mut target, "init", "INITIALIZED")?;
        let mut agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
        do_and_wait(&mut target, "record first", "RECORDED")?;
        do_and_wait(&mut target, "finalize", "FINALIZED")?;
        do_and_wait(&mut target, "keys 3", "TAKEN")?;
        do_and_wait(&mut target, "init", "INITIALIZED")?;
        // Until a stack is whole again.
        let mut tries = 0;
        wait_for("the interpreter that came back", LIMIT, || {
            tries += 1;
            do_and_wait(&mut target, &format!("record try-{tries}"), "RECORDED")?;
            let whole = agent.line_where("a whole stack", Duration::from_millis(500), |line| {
                line.contains(&format!("/try-{tries}/")) && line.contains("\"complete\"")
            });
            Ok(whole.ok())
        })?;
        do_and_wait(&mut target, "record second", "RECORDED")?;
        compare(python, agent, folder.path(), &["first", "second"], 3)
    })
}

#[test]
fn a_leak_in_it_is_told_at_its_line() -> Result<()> {
    if !met("embedded")? {
        return Ok(());
    }
    on_each("embedded", AT_ONCE, |python| {
        let folder = tempfile::tempdir()?;
        let program = python.build(folder.path(), true)?;
        let mut target = Target::start_command(python.command(&program, 0, folder.path()))?;
        do_and_wait(&mut target, "init", "INITIALIZED")?;
        let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
        target.tell("leak 60")?;
        leak::told_at(agent, &marked("inside_interpreter.py", "inside")?, LIMIT)?;
        Ok(())
    })
}

const APPLICATION: &str = "
import os

KEPT = []


def application(environment, start_response):
    KEPT.append(os.dup(0))
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'done']
";

/// A worker of uwsgi, a server in C, leaks at the line of the application that it serves.
#[test]
fn the_application_of_a_uwsgi_worker_is_named() -> Result<()> {
    if !met("embedded")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(3, folder.path(), &["uwsgi"])?;
    let file = folder.path().join("application.py");
    fs::write(&file, APPLICATION)?;
    let port = http::free_port()?;
    let uwsgi = Path::new(&python.command[0]).with_file_name("uwsgi");
    let mut command = Command::new("sh");
    command.args(["-c", "echo READY; exec \"$@\" 2> /dev/null", "sh"]).arg(uwsgi);
    command.args(["--http", &format!("127.0.0.1:{port}"), "--threads", "2", "--master"]);
    command.arg("--wsgi-file").arg(&file);
    let target = Target::start_command(command)?;
    let get = || http::get(port, "/");
    wait_for("the application", LIMIT, || {
        Ok(get().is_ok_and(|(_, body)| body == "done").then_some(()))
    })?;
    let list = format!("/proc/{0}/task/{0}/children", target.pid());
    let children = fs::read_to_string(list)?;
    // The master forks its worker first.
    let worker = children.split(' ').next().context("uwsgi has no worker")?;
    let mut agent = Agent::attach(&["attach", worker, "--json=lines"])?;
    let leak = wait_for("the leak", LIMIT, || {
        get()?;
        let line = agent.line(Duration::from_millis(200)).ok().flatten();
        let finding = line.and_then(|line| parse_line(&line).ok());
        Ok(finding.filter(|finding| is_confirmed(finding, "fd-leak")))
    })?;
    let at = (&leak["site"]["file"], &leak["site"]["line"], &leak["site"]["function"]);
    ensure!(
        at.0 == file.to_string_lossy().as_ref() && at.1 == 8 && at.2 == "application",
        "{}",
        outline(&leak)
    );
    agent.stop()?;
    Ok(())
}
