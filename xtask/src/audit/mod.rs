//! `cargo xtask audit`: runs the programs of the audited systems, at fault and remedied, under
//! `pitviper attach`, and compares what it reports with what the audits say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::bench::environment::Environment;
use crate::interpreters::{self, Interpreter};
use crate::privilege::Privilege;
use crate::setup::{self, Set};
use crate::{cargo, interrupt, process, workspace};

mod packages;
mod readme;
mod rows;
mod run;
mod table;
mod verdict;

use rows::{Row, System};
use run::Watched;
use verdict::Check;

/// The Python that the audits' packages are pinned for.
const PYTHON: &str = "3.12";

/// Options of `cargo xtask audit`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these rows, such as `sam-2`, or all of a system, such as `aios` [default: all]
    #[arg(long = "row", value_name = "ID", value_delimiter = ',')]
    rows: Vec<String>,
    /// The interpreter: a version such as 3.12, or a program
    #[arg(long, default_value = PYTHON)]
    python: String,
    /// How many programs are watched at the same time
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: usize,
    /// Where the result goes as Markdown [default: docs/audit.md, when all rows run]
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Run this pitviper [default: build one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Take the systems from this folder
    #[arg(long, value_name = "DIR")]
    workloads: Option<PathBuf>,
}

/// Which of its two programs a row runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// With the fault.
    Audited,
    /// With the audit's remedy.
    Fixed,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Audited => "as audited",
            Self::Fixed => "fixed",
        }
    }
}

/// One run to be done.
struct Job<'a> {
    system: &'a System,
    row: &'a Row,
    variant: Variant,
    python: &'a Path,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Audit])?;
    let folder = match &options.workloads {
        Some(folder) => fs::canonicalize(folder)
            .with_context(|| format!("failed to find {}", folder.display()))?,
        None => workspace::root().join("tests/workloads"),
    };
    let systems = chosen(rows::systems(&folder)?, &options.rows)?;
    let python = interpreter(&options.python)?;
    let privilege = Privilege::obtain("attach to processes with eBPF", "cargo xtask audit")?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => cargo::build_pitviper()?,
    };
    interrupt::catch();

    let programs: Vec<&str> =
        systems.iter().flat_map(|s| &s.programs).map(String::as_str).collect();
    setup::ensure_packages(&programs, "run the audited systems")?;
    let mut pythons = BTreeMap::new();
    for system in &systems {
        pythons.insert(&system.name, packages::python_with(&python, &system.packages)?);
    }
    let jobs: Vec<Job<'_>> = systems
        .iter()
        .flat_map(|system| system.rows.iter().map(move |row| (system, row)))
        .flat_map(|(system, row)| {
            let python = &pythons[&system.name];
            [Variant::Audited, Variant::Fixed].map(|variant| Job { system, row, variant, python })
        })
        .collect();
    let watched = Watched { program: &program, privilege, workloads: &folder };
    let checks = work(&jobs, options.jobs, &watched)?;

    let environment = Environment::of(Some(&python));
    print!("\n{}", table::text(&checks));
    let whole = options.rows.is_empty() && options.workloads.is_none();
    let default = whole.then(|| workspace::root().join("docs/audit.md"));
    if whole {
        let row = |row: &Row| (row.id.clone(), row.audit.clone());
        let audits: Vec<_> = systems.iter().flat_map(|s| s.rows.iter().map(row)).collect();
        readme::write(&workspace::root().join("README.md"), &checks, &audits, &today()?)?;
    }
    if let Some(path) = options.markdown.clone().or(default) {
        write(&path, &table::markdown(&checks, &environment.describe(), &today()?))?;
        println!("\nWritten to {}", path.display());
    }
    let failed = table::failed(&checks);
    println!("\n{} rows, {} of them failed", table::rows(&checks).len(), failed.len());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn chosen(systems: Vec<System>, wanted: &[String]) -> Result<Vec<System>> {
    if wanted.is_empty() {
        return Ok(systems);
    }
    let known = |word: &String| {
        systems.iter().any(|s| s.name == *word || s.rows.iter().any(|row| row.id == *word))
    };
    if let Some(unknown) = wanted.iter().find(|word| !known(word)) {
        let ids = systems.iter().flat_map(|s| s.rows.iter().map(|row| row.id.as_str()));
        bail!("there is no row {unknown}; there are {}", ids.collect::<Vec<_>>().join(", "));
    }
    let picked = systems.into_iter().filter_map(|mut system| {
        if !wanted.contains(&system.name) {
            system.rows.retain(|row| wanted.contains(&row.id));
        }
        (!system.rows.is_empty()).then_some(system)
    });
    Ok(picked.collect())
}

fn interpreter(wanted: &str) -> Result<Interpreter> {
    let minor = wanted.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
    if let Some(minor) = minor {
        let all = interpreters::discover()?;
        let found = all.into_iter().filter(|each| each.version.minor == minor).max_by_key(|each| {
            // Debian's own cannot always make environments.
            (each.origin.is_none(), each.version)
        });
        return found.with_context(|| {
            format!("found no Python {wanted}; --python takes another version or a program")
        });
    }
    let program = PathBuf::from(wanted);
    let version = interpreters::version_of(&mut Command::new(&program))
        .with_context(|| format!("{wanted} is no CPython release"))?;
    Ok(Interpreter { version, origin: None, program })
}

/// Runs the jobs, some at a time, and tells of each. An interrupt ends what runs.
fn work(jobs: &[Job<'_>], at_once: usize, watched: &Watched<'_>) -> Result<Vec<Check>> {
    ensure!(!jobs.is_empty(), "no row to run");
    let next = AtomicUsize::new(0);
    let done: Mutex<BTreeMap<usize, Vec<Check>>> = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, jobs.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index).filter(|_| !interrupt::happened()) else {
                        break;
                    };
                    let checks = one(job, watched, index + 1, jobs.len());
                    let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    done.insert(index, checks);
                }
            });
        }
    });
    interrupt::check()?;
    let done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(done.into_values().flatten().collect())
}

fn one(job: &Job<'_>, watched: &Watched<'_>, number: usize, of: usize) -> Vec<Check> {
    let name = format!("[{number}/{of}] {} {}", job.row.id, job.variant.name());
    eprintln!("{name}, watched for {} s: {}", job.row.seconds, job.row.audit);
    let began = Instant::now();
    let checks = match watched.run(job) {
        Ok(findings) => verdict::judge(job.row, job.variant, &findings),
        Err(error) => vec![Check::broken(job.row, job.variant, &format!("{error:#}"))],
    };
    let failed = checks.iter().filter(|check| check.passed == Some(false)).count();
    if interrupt::happened() {
        return checks;
    }
    let word = if failed == 0 { "ok".to_owned() } else { format!("{failed} not as expected") };
    eprintln!("{name}: {word} ({:.0} s)", began.elapsed().as_secs_f64());
    checks
}

fn today() -> Result<String> {
    Ok(process::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to create {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
