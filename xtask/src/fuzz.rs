//! `cargo xtask fuzz`: runs the fuzz targets, one for each reader of hostile bytes, and says what
//! they found.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Set};
use crate::{cargo, process, workspace};

/// The version that this task was written for.
const CARGO_FUZZ: &str = "0.13.2";

/// What one input may take: seconds, and megabytes. Single allocations libFuzzer does not see without
/// a sanitizer.
const LIMITS: [&str; 2] = ["-timeout=5", "-rss_limit_mb=512"];

/// Longest input: a recording of what one search reads.
const LONGEST: &str = "-max_len=16384";

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these targets; all when none is named
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// How many run at once
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Afterwards add to fuzz/corpus what reaches code that nothing there reaches
    #[arg(long)]
    keep: bool,
}

/// What one target did.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    runs: u64,
    per_second: u64,
    /// Edges of the code that were reached.
    coverage: u64,
    /// Inputs that reach something which no other does, those of the corpus included.
    inputs: u64,
    megabytes: u64,
    /// The input that broke it.
    finding: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Fuzz])?;
    let tool = cargo::tool("cargo-fuzz", CARGO_FUZZ)?;
    let known = targets(&tool)?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target {unknown}: there are {}", known.join(", "));
    }
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    let programs = build(&tool)?;

    let waiting = Mutex::new(chosen.iter().cloned().collect::<VecDeque<String>>());
    let next = || waiting.lock().ok()?.pop_front();
    let workers: Vec<Result<Vec<_>>> = thread::scope(|scope| {
        let one = || {
            let mut done = Vec::new();
            while let Some(target) = next() {
                eprintln!("{target}: {} s", options.seconds);
                let outcome = fuzz(&programs, &target, options)
                    .with_context(|| format!("target {target}"))?;
                done.push((target, outcome));
            }
            Ok(done)
        };
        let workers: Vec<_> = (0..options.jobs.max(1)).map(|_| scope.spawn(one)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker broke")))
            .collect()
    });
    let mut outcomes = Vec::new();
    for done in workers {
        outcomes.extend(done?);
    }
    outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
    print!("{}", table(&outcomes));
    let found: Vec<_> = outcomes.iter().filter_map(|(_, done)| done.finding.as_ref()).collect();
    if !found.is_empty() {
        let paths: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
        bail!("broken by {}", paths.join(", "));
    }
    Ok(())
}

fn targets(tool: &Path) -> Result<Vec<String>> {
    let mut list = Command::new(tool);
    list.current_dir(workspace::root()).arg("list");
    Ok(process::output(&mut list)?.lines().map(str::to_owned).collect())
}

/// Builds all targets; the folder of the programs. Without a sanitizer, which takes another
/// compiler than this project's: the readers' only unsafe code copies what was measured before.
fn build(tool: &Path) -> Result<PathBuf> {
    let folder = workspace::target().join("fuzz");
    let mut build = Command::new(tool);
    build.current_dir(workspace::root()).args(["build", "--sanitizer", "none", "--target-dir"]);
    process::run(build.arg(&folder))?;
    Ok(folder.join("x86_64-unknown-linux-gnu/release"))
}

/// Runs one target over the corpus and over what earlier runs have collected.
fn fuzz(programs: &Path, target: &str, options: &Options) -> Result<Outcome> {
    let corpus = workspace::root().join("fuzz/corpus").join(target);
    let collected = workspace::target().join("fuzz/corpus").join(target);
    let artifacts = workspace::root().join("fuzz/artifacts").join(target);
    for folder in [&corpus, &collected, &artifacts] {
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to create {}", folder.display()))?;
    }
    let program = programs.join(target);
    let mut command = Command::new(&program);
    command.args(LIMITS).arg(LONGEST).arg("-print_final_stats=1");
    command.arg(format!("-max_total_time={}", options.seconds));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let output = command.arg(&collected).arg(&corpus).output();
    let output = output.with_context(|| format!("failed to start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let outcome = outcome(&text);
    if !output.status.success() && outcome.finding.is_none() {
        bail!("it ended with {}: {}", output.status, text.trim());
    }
    if outcome.finding.is_some() {
        eprintln!("{text}");
    } else if options.keep {
        let mut merge = Command::new(&program);
        merge.args(["-merge=1", "-timeout=5"]).arg(LONGEST).arg(&corpus).arg(&collected);
        process::output(&mut merge)?;
    }
    Ok(outcome)
}

/// What libFuzzer says at its end.
fn outcome(text: &str) -> Outcome {
    let number = |line: &str, name: &str| -> Option<u64> {
        let rest = line.split_once(name)?.1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let mut outcome = Outcome::default();
    for line in text.lines() {
        let mut put = |field: fn(&mut Outcome) -> &mut u64, name: &str| {
            if let Some(value) = number(line, name) {
                *field(&mut outcome) = value;
            }
        };
        put(|outcome| &mut outcome.runs, "stat::number_of_executed_units:");
        put(|outcome| &mut outcome.per_second, "stat::average_exec_per_sec:");
        put(|outcome| &mut outcome.megabytes, "stat::peak_rss_mb:");
        if line.starts_with('#') {
            put(|outcome| &mut outcome.coverage, " cov:");
            put(|outcome| &mut outcome.inputs, " corp:");
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            outcome.finding = Some(path.trim().into());
        }
    }
    outcome
}

fn table(outcomes: &[(String, Outcome)]) -> String {
    let mut text = format!(
        "{:<14} {:>12} {:>9} {:>9} {:>7} {:>7}  finding\n",
        "target", "runs", "runs/s", "coverage", "inputs", "MB"
    );
    for (target, done) in outcomes {
        let Outcome { runs, per_second, coverage, inputs, megabytes, finding } = done;
        let finding = finding.as_ref().map_or("none".into(), |path| path.display().to_string());
        text += &format!(
            "{target:<14} {runs:>12} {per_second:>9} {coverage:>9} {inputs:>7} {megabytes:>7}  \
             {finding}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "\
#1024\tpulse  cov: 11 ft: 12 corp: 3/45b lim: 4 exec/s: 512 rss: 40Mb
#2048\tDONE   cov: 110 ft: 210 corp: 30/1245b lim: 4 exec/s: 1024 rss: 41Mb
Done 2048 runs in 2 second(s)
stat::number_of_executed_units: 2048
stat::average_exec_per_sec:     1024
stat::new_units_added:          28
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              41
";

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let mut clean = Outcome {
            runs: 2048,
            per_second: 1024,
            coverage: 110,
            inputs: 30,
            megabytes: 41,
            finding: None,
        };
        assert_eq!(outcome(CLEAN), clean);
        let broken = "artifact_prefix='/f/'; Test unit written to /f/crash-0a\n";
        clean.finding = Some("/f/crash-0a".into());
        assert_eq!(outcome(&format!("{CLEAN}{broken}")), clean);
        assert!(table(&[("walk".into(), clean)]).ends_with("/f/crash-0a\n"));
    }
}
