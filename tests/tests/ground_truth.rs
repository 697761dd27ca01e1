//! What is counted equals what others count: strace, the server, /proc, the program's own clock.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::Report;
use pitviper_tests::requirements::met;
use pitviper_tests::site::workload;
use pitviper_tests::target::Target;
use serde_json::Value;

/// What the program says of itself, what pitviper says of it, and strace's lines if it was there.
struct Run {
    truth: Value,
    report: Report,
    strace: Vec<String>,
}

/// Runs one deed of the workload under pitviper, and under strace too where `strace` asks for it.
fn run(python: &Interpreter, deed: &str, strace: bool) -> Result<Run> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("strace");
    let program = python.command();
    let mut command = if strace {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=process,connect", "-o"]).arg(&log);
        command.arg(program.get_program()).args(program.get_args());
        command
    } else {
        program
    };
    command.arg(workload("counted.py")).arg(deed).current_dir(folder.path());
    let mut target = Target::start_command(command)?;
    let pid = target.said("PID")?;
    let agent = Agent::attach(&["attach", &pid, "--json"])?;
    let before = lines(&log, strace)?.len();
    target.tell("go")?;
    let truth = serde_json::from_str(&target.expect("DONE")?).context("the program's own count")?;
    let report = agent.stop()?.report()?;
    report.ledger().check_sums()?;
    let lost = report.ledger().dropped("/dropped")?;
    ensure!(lost == 0, "{lost} events lost");
    let strace = lines(&log, strace)?.split_off(before);
    Ok(Run { truth, report, strace })
}

fn lines(log: &Path, wanted: bool) -> Result<Vec<String>> {
    let text = if wanted { fs::read_to_string(log)? } else { String::new() };
    Ok(text.lines().map(str::to_owned).collect())
}

impl Run {
    /// The sum of a field over all lines of an act (of a class).
    fn sum(&self, act: &str, class: Option<&str>, field: &str) -> f64 {
        let of_act =
            |one: &&Value| one["act"] == act && class.is_none_or(|class| one["class"] == class);
        self.report.activity().iter().filter(of_act).filter_map(|one| one[field].as_f64()).sum()
    }

    /// strace's lines that end a call with one of these names and a result that `wanted` accepts.
    fn ended(&self, names: &[&str], wanted: impl Fn(&str) -> bool) -> usize {
        let ends = |line: &&String| {
            let named = names.iter().any(|name| {
                line.contains(&format!(" {name}("))
                    || line.contains(&format!("<... {name} resumed"))
            });
            let result = line.rsplit_once(" = ").map(|(_, result)| result);
            named && result.is_some_and(&wanted)
        };
        self.strace.iter().filter(ends).count()
    }
}

fn is_pid(result: &str) -> bool {
    result.parse::<u32>().is_ok_and(|pid| pid > 0)
}

/// Exercise every way in which Python starts processes, the failing ones and grandchildren too.
#[test]
fn spawns_and_execs_are_those_of_strace() -> Result<()> {
    if !met("ground_truth")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let run = run(python, "spawns", true)?;
        let threads = run.strace.iter().filter(|line| line.contains("CLONE_THREAD")).count();
        let forks = run.ended(&["fork", "vfork", "clone", "clone3"], is_pid) - threads;
        let execs = run.ended(&["execve", "execveat"], |result| result == "0");
        ensure!(forks >= 30 && execs >= 20, "strace saw {forks} forks, {execs} execs");
        let (spawned, executed) = (run.sum("spawn", None, "count"), run.sum("exec", None, "count"));
        ensure!(spawned == forks as f64, "{spawned} spawns, strace has {forks}");
        ensure!(executed == execs as f64, "{executed} execs, strace has {execs}");
        Ok(())
    })
}

/// Exercise TCP and Unix sockets, blocking, with a timeout, from asyncio, and refused.
#[test]
fn connects_are_those_of_strace_and_of_the_server() -> Result<()> {
    if !met("ground_truth")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let run = run(python, "connects", true)?;
        let calls = run.ended(&["connect"], |_| true) as f64;
        let (connected, failed) =
            (run.sum("connect", None, "count"), run.sum("connect", None, "failed"));
        ensure!(connected == calls, "{connected} connects, strace has {calls}");
        let refused = run.truth["refused"].as_f64().context("refused")?;
        ensure!(failed == refused, "{failed} failed, the program knows of {refused}");
        let taken = run.truth["taken"].as_f64().context("taken")?;
        ensure!(connected - failed == taken, "{connected} - {failed}, the servers took {taken}");
        Ok(())
    })
}

/// Exercise files and pipes, by read and write and by their vector and positioned forms.
#[test]
fn bytes_are_those_of_proc_io() -> Result<()> {
    if !met("ground_truth")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let run = run(python, "bytes", false)?;
        for (class, field) in [("read", "rchar"), ("write", "wchar")] {
            let truth = run.truth[field].as_f64().context("no count of bytes")?;
            let seen = run.report.waits(class)["bytes"].as_f64().context("no bytes")?;
            let off = (seen - truth).abs() / truth;
            ensure!(off <= 0.001, "{class}: {seen} bytes, /proc/PID/io has {truth}");
        }
        Ok(())
    })
}

/// Exercise large and small objects, a growing one, mmap, threads with their stacks and arenas.
#[test]
fn mapped_bytes_are_those_of_proc_maps() -> Result<()> {
    if !met("ground_truth")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let run = run(python, "maps", false)?;
        let truth = run.truth["grown"].as_f64().context("grown")?;
        let seen = run.sum("map", None, "bytes") - run.sum("unmap", None, "bytes");
        ensure!(seen == truth, "{seen} bytes, /proc/PID/maps grew by {truth}");
        Ok(())
    })
}

/// Milliseconds from a look at the clock to the syscall after it.
const BEFORE_CALL_MS: f64 = 1.0;

const ATTEMPTS: u32 = 3;

/// Exercise each class of waits that a program can time itself.
#[test]
fn waits_last_as_long_as_the_program_says() -> Result<()> {
    if !met("ground_truth")? {
        return Ok(());
    }
    // Again where the machine was busy: the program may be kept from the call after it looked at
    // its clock.
    interpreter::on_every(1, |python| {
        let mut off = Vec::new();
        for _ in 0..ATTEMPTS {
            off = waits_out_of_bounds(&run(python, "waits", false)?)?;
            if off.is_empty() {
                return Ok(());
            }
        }
        bail!("each of {ATTEMPTS} times: {off:?}")
    })
}

/// The classes whose waits took longer or shorter than they can have.
fn waits_out_of_bounds(run: &Run) -> Result<Vec<String>> {
    let classes = run.truth["bounds"].as_object().context("bounds")?;
    let mut off = Vec::new();
    for (class, calls) in classes {
        let calls: Vec<(f64, f64)> = serde_json::from_value(calls.clone())?;
        let (least, most) =
            calls.iter().fold((0.0, 0.0), |sum, call| (sum.0 + call.0, sum.1 + call.1));
        let least = least - BEFORE_CALL_MS * 1e-3 * calls.len() as f64;
        let within = |one: &&Value| {
            let seconds = one["seconds"].as_f64().unwrap_or(0.0);
            one["count"] == calls.len() && (least..=most).contains(&seconds)
        };
        // Before 3.11 time.sleep is a select without descriptors.
        let classes = [class.as_str(), if class == "sleep" { "poll" } else { class }];
        let of_class =
            |one: &&Value| one["act"] == "wait" && classes.iter().any(|c| one["class"] == *c);
        let seen: Vec<&Value> = run.report.activity().iter().filter(of_class).collect();
        if !seen.iter().any(within) {
            off.push(format!("{class}: {calls:?} of the program's, and {seen:?}"));
        }
    }
    Ok(off)
}
