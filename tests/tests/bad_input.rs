//! Every bad input gets one clear sentence and the right exit code, and leaves no half-written
//! file.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::{Agent, Ended, program};
use pitviper_tests::deadline::wait_for;
use pitviper_tests::interpreter;
use pitviper_tests::process::{kernel_thread, thread_states};
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::target::Target;
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Every refusal comes long before this.
const LIMIT: Duration = Duration::from_secs(20);

const USAGE: i32 = 2;
const UNSUPPORTED: i32 = 3;
const GONE: i32 = 4;

/// Speaks the protocol on any Python and on none.
const WAITS: &str = "import sys; print('READY'); sys.stdout.flush(); sys.stdin.readline()";

#[test]
fn arguments() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let own = std::process::id().to_string();
    let bad: [&[&str]; 14] = [
        &[],
        &["no-such-command"],
        &["attach"],
        &["attach", "banana"],
        &["attach", ""],
        &["attach", "0"],
        &["attach", "-1"],
        &["attach", "99999999999999999999"],
        &["attach", &own, "--duration", "banana"],
        &["attach", &own, "--duration", "-1"],
        &["attach", &own, "--listen", "banana"],
        &["attach", &own, "--max-stacks", "banana"],
        &["record", &own, "--what", "banana", "-o", "out.svg"],
        &["record", &own, "--what", "descriptors"],
    ];
    for arguments in bad {
        let ended = run(arguments)?;
        refused(&ended, USAGE).with_context(|| format!("{arguments:?}"))?;
    }
    Ok(())
}

#[test]
fn processes_that_are_not_there() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let mut gone = Command::new("true").spawn()?;
    gone.wait()?;
    for command in ["attach", "trace"] {
        let ended = run(&[command, &gone.id().to_string()])?;
        one_sentence(&ended, GONE).with_context(|| format!("{command}: no such process"))?;
    }
    let mut zombie = Command::new("true").spawn()?;
    wait_for("a zombie", LIMIT, || Ok((thread_states(zombie.id())? == ['Z']).then_some(())))?;
    let ended = run(&["attach", &zombie.id().to_string()])?;
    zombie.wait()?;
    one_sentence(&ended, GONE).context("a zombie")?;
    // More than any kernel gives out, and still a number that can be a pid.
    let ended = run(&["attach", "2147483647"])?;
    one_sentence(&ended, GONE).context("the highest pid")
}

#[test]
fn a_process_that_dies_while_being_attached_to() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let python = interpreter::pick(4)?;
    for step in 0..40 {
        let seconds = f64::from(step) * 0.01;
        let mut dying = python.command();
        dying.args(["-c", &format!("print(flush=True); import time; time.sleep({seconds})")]);
        let mut dying = dying.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let pid = dying.id().to_string();
        // Every other one is met while it starts: before its exec it is no Python yet.
        let starting = step % 2 == 1;
        let mut stdout = BufReader::new(dying.stdout.take().context("no standard output")?);
        if !starting {
            stdout.read_line(&mut String::new())?;
        }
        // Reaped at once, so that it does not stay as a zombie.
        let reaper = thread::spawn(move || dying.wait());
        let ended = run(&["attach", &pid, "--duration", "2"])?;
        reaper.join().ok().context("the reaper failed")??;
        ensure!(
            matches!(ended.code(), Some(0 | GONE)) || starting && ended.code() == Some(UNSUPPORTED),
            "{seconds} s: {} {:?}",
            ended.status,
            ended.stderr
        );
        no_panic(&ended)?;
    }
    Ok(())
}

#[test]
fn processes_that_cannot_be_traced() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo READY; exec sleep 1000"]);
    let sleep = Target::start_command(shell)?;
    let ended = run(&["attach", &sleep.pid().to_string()])?;
    one_sentence(&ended, UNSUPPORTED).context("not Python")?;

    match kernel_thread() {
        Some(pid) => {
            let ended = run(&["attach", &pid.to_string()])?;
            one_sentence(&ended, UNSUPPORTED).context("a thread of the kernel")?;
        }
        None => skip("bad_input", "no kernel thread in this PID namespace")?,
    }

    let old: Vec<_> = interpreter::pyenv_versions()
        .into_iter()
        .filter(|(name, _)| {
            ["2.7.", "3.6.", "3.7."].iter().any(|unsupported| name.starts_with(unsupported))
        })
        .collect();
    for (name, home) in old {
        let mut command = Command::new(home.join("bin/python"));
        command.args(["-c", WAITS]);
        let target = Target::start_command(command)?;
        let ended = run(&["attach", &target.pid().to_string()])?;
        one_sentence(&ended, UNSUPPORTED).with_context(|| format!("Python {name}"))?;
    }
    Ok(())
}

#[test]
fn missing_rights_and_missing_btf() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let target = Target::start_plain(&interpreter::pick(3)?, "open_close.py")?;
    let pid = target.pid().to_string();

    // Another user must be able to reach the program.
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    let copy = folder.path().join("pitviper");
    fs::copy(program()?, &copy)?;
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    nobody.arg(&copy).args(["attach", &pid, "--duration", "1"]);
    let ended = Agent::start_command(nobody)?.ended(LIMIT)?;
    one_sentence(&ended, UNSUPPORTED).context("another user")?;

    // unshare(1) makes the new namespace's root private, which a root that is no mount point (a
    // plain chroot) cannot be.
    if !Command::new("unshare").args(["--mount", "true"]).status()?.success() {
        return skip("bad_input: no BTF", "no mount namespace can be made here");
    }
    let mut hidden = Command::new("unshare");
    hidden.args(["--mount", "sh", "-c"]);
    hidden.arg("mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"");
    hidden.arg(program()?).args(["attach", &pid, "--duration", "1"]);
    let ended = Agent::start_command(hidden)?.ended(LIMIT)?;
    one_sentence(&ended, UNSUPPORTED).context("no BTF")
}

#[test]
fn outputs_that_cannot_be_written() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let mut target = Target::start_plain(&interpreter::pick(3)?, "open_close.py")?;
    target.tell("go")?;
    let pid = target.pid().to_string();
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("kept"), "kept")?;
    fs::create_dir(path("folder.svg"))?;
    symlink(path("kept"), path("link.svg"))?;
    symlink(path("absent"), path("dangling.svg"))?;
    mknodat(CWD, path("fifo.svg"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let before = listing(folder.path())?;

    let unwritable = [
        path("missing/out.svg"),
        path("folder.svg"),
        path("link.svg"),
        path("dangling.svg"),
        path("fifo.svg"),
        path("unknown.ending"),
        "/sys/out.svg".into(),
    ];
    for out in &unwritable {
        let out = out.to_str().context("a temporary path that is not UTF-8")?;
        let arguments = ["record", &pid, "--what", "descriptors", "--duration", "1", "-o", out];
        refused(&run(&arguments)?, USAGE).with_context(|| out.to_owned())?;
    }
    let kept = path("kept");
    let kept = kept.to_str().context("a temporary path that is not UTF-8")?;
    let ended = run(&["attach", &pid, "--duration", "1", "--svg", kept])?;
    refused(&ended, USAGE).context("a file for --svg")?;

    ensure!(fs::read_to_string(path("kept"))? == "kept", "a file was written through a symlink");
    let after = listing(folder.path())?;
    ensure!(after == before, "left behind: {:?}", after.difference(&before));
    Ok(())
}

#[test]
fn a_second_agent_on_the_same_process() -> Result<()> {
    if !met("bad_input")? {
        return Ok(());
    }
    let target = Target::start_plain(&interpreter::pick(3)?, "open_close.py")?;
    let pid = target.pid().to_string();
    let first = Agent::attach(&["attach", &pid, "--json"])?;
    for command in ["attach", "trace"] {
        one_sentence(&run(&[command, &pid, "--duration", "1"])?, USAGE).context(command)?;
    }
    let ended = first.stop()?;
    ensure!(ended.code() == Some(0), "the first agent suffered: {:?}", ended.stderr);
    let ended = run(&["attach", &pid, "--duration", "1"])?;
    ensure!(ended.code() == Some(0), "the place stays taken: {:?}", ended.stderr);

    // Nor does a killed agent keep the place.
    let killed = Agent::attach(&["attach", &pid])?;
    drop(killed);
    let ended = run(&["attach", &pid, "--duration", "1"])?;
    ensure!(ended.code() == Some(0), "a killed agent keeps its place: {:?}", ended.stderr);
    Ok(())
}

fn run(arguments: &[&str]) -> Result<Ended> {
    Agent::start(arguments)?.ended(LIMIT).with_context(|| format!("{arguments:?}"))
}

/// The exit code is right, and something is said.
fn refused(ended: &Ended, code: i32) -> Result<()> {
    no_panic(ended)?;
    ensure!(ended.code() == Some(code), "{} (not {code}): {:?}", ended.status, ended.stderr);
    ensure!(ended.stderr.iter().any(|line| !line.is_empty()), "not a word");
    ensure!(ended.stdout.is_empty(), "standard output has {:?}", ended.stdout);
    Ok(())
}

/// As [`refused`], and what is said is one line of readable length.
fn one_sentence(ended: &Ended, code: i32) -> Result<()> {
    refused(ended, code)?;
    let said: Vec<_> = ended.stderr.iter().filter(|line| !line.is_empty()).collect();
    ensure!(said.len() == 1 && said[0].len() < 400, "not one sentence: {said:#?}");
    Ok(())
}

fn no_panic(ended: &Ended) -> Result<()> {
    let panic = ended.stderr.iter().find(|line| line.contains("panicked"));
    ensure!(panic.is_none(), "{panic:?}");
    ensure!(ended.code().is_some(), "ended by a signal: {}", ended.status);
    Ok(())
}

fn listing(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
