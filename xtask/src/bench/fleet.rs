//! `cargo xtask bench fleet`: what `pitviper agent` itself uses while it follows hundreds of processes
//! that come and go.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::observer;
use crate::privilege::Privilege;
use crate::process::{self, Background, Lines};
use crate::{cargo, http, interpreters, interrupt, workspace};

/// How long a process lives that is one of those that come and go.
const LIFE: Duration = Duration::from_secs(30);

/// How long the agent may take to begin and, when all have ended, to notice.
const PATIENCE: Duration = Duration::from_secs(90);

const READY: &str = "pitviper: agent is ready";

/// From line to line of what is printed.
const LOOK: Duration = Duration::from_secs(15);

/// Options of `cargo xtask bench fleet`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Processes that stay
    #[arg(long, default_value_t = 300, value_name = "N")]
    processes: usize,
    /// Processes that start, and end after half a minute, each minute
    #[arg(long, default_value_t = 100, value_name = "N")]
    turnover: u32,
    /// For how long
    #[arg(long, default_value_t = 120, value_name = "N")]
    seconds: u64,
    /// The agent's own limit [default: its default]
    #[arg(long, value_name = "N")]
    max_processes: Option<usize>,
    /// Run this pitviper [default: build one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => cargo::build_pitviper()?,
    };
    let privilege = observer::privilege()?;
    let mut members = Members::new()?;
    eprintln!("Starting {} processes.", options.processes);
    for _ in 0..options.processes {
        members.start(Duration::from_secs(3_600))?;
        interrupt::check()?;
    }

    let address = http::free_address()?;
    let began = Instant::now();
    let agent = Agent::start(privilege, &program, &members.mark, address, options.max_processes)?;
    // Before its first look there is nothing to tell.
    let mut before = wait_for(|| Ok(http::fetch(address, "/metrics").ok().map(|m| Usage::of(&m))))?;
    println!("The first look at all was done after {:.1} s.", began.elapsed().as_secs_f64());

    let pause = Duration::from_secs(60).checked_div(options.turnover).unwrap_or(LOOK);
    let begun = Instant::now();
    let mut next_look = begun + LOOK;
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        thread::sleep(pause);
        interrupt::check()?;
        if options.turnover > 0 {
            members.start(LIFE)?;
        }
        members.reap()?;
        if Instant::now() >= next_look {
            next_look += LOOK;
            before = look(address, &members, &before, begun)?;
        }
    }

    members.end()?;
    wait_for(|| Ok((with_series(&http::fetch(address, "/metrics")?).is_empty()).then_some(())))
        .context("series of processes that have ended are left")?;
    println!("All have ended; no series is left.");
    drop(agent);
    Ok(())
}

/// `pitviper agent`, told to end with the value.
struct Agent {
    process: Background,
    privilege: Privilege,
    _said: Lines,
}

impl Agent {
    fn start(
        privilege: Privilege,
        program: &Path,
        mark: &str,
        address: SocketAddr,
        most: Option<usize>,
    ) -> Result<Self> {
        let mut command = privilege.command(program);
        command.args(["agent", "--include", &format!("cmdline={mark}")]);
        command.arg(format!("--web.listen-address={address}"));
        command.args(most.map(|most| format!("--max-processes={most}")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Background::start(&mut command)?;
        let mut said = Lines::of(process.child().stderr.take().context("no standard error")?);
        said.wait_for(READY, PATIENCE).context("the agent did not begin")?;
        Ok(Self { process, privilege, _said: said })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // sudo, where it is between, hands the signal on.
        let mut kill = self.privilege.command("kill");
        let _ = kill.args(["-TERM", &self.process.pid().to_string()]).status();
        let _ = self.process.wait(PATIENCE, || false);
    }
}

/// What the agent says that it has used, and when it said so.
struct Usage {
    at: Instant,
    cpu_seconds: f64,
    resident_bytes: f64,
}

impl Usage {
    fn of(metrics: &str) -> Self {
        Self {
            at: Instant::now(),
            cpu_seconds: value(metrics, "pitviper_agent_cpu_seconds_total "),
            resident_bytes: value(metrics, "pitviper_agent_resident_memory_bytes "),
        }
    }
}

/// Prints how it stands.
fn look(address: SocketAddr, members: &Members, before: &Usage, begun: Instant) -> Result<Usage> {
    let asked = Instant::now();
    let metrics = http::fetch(address, "/metrics")?;
    let took = asked.elapsed();
    let usage = Usage::of(&metrics);
    let share =
        (usage.cpu_seconds - before.cpu_seconds) / (usage.at - before.at).as_secs_f64() * 100.0;
    let followed = value(&metrics, "pitviper_processes ");
    let alive = members.pids();
    let named = with_series(&metrics);
    println!(
        "{:>4} s: {} alive, {followed} followed, {} with series of their own, {} of ended ones; \
         {share:.1} % of a CPU ({:.3} % a process), {:.0} MB ({:.0} kB a process); \
         /metrics {} KiB in {} ms",
        begun.elapsed().as_secs(),
        alive.len(),
        named.len(),
        named.difference(&alive).count(),
        share / followed.max(1.0),
        usage.resident_bytes / 1e6,
        usage.resident_bytes / 1e3 / followed.max(1.0),
        metrics.len() >> 10,
        took.as_millis(),
    );
    Ok(usage)
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
}

/// Processes that have series of their own.
fn with_series(metrics: &str) -> BTreeSet<u32> {
    let labels = metrics.split("pid=\"").skip(1);
    labels.filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
}

fn wait_for<T>(mut check: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        interrupt::check()?;
        if let Some(found) = check()? {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(100));
    }
    bail!("not so within {} s", PATIENCE.as_secs())
}

/// The processes, which end with the value.
struct Members {
    python: PathBuf,
    /// In the command line of each.
    mark: String,
    all: VecDeque<Background>,
}

impl Members {
    fn new() -> Result<Self> {
        let python = interpreters::newest()?.program;
        let mark = format!("pitviper-bench-fleet-{}", std::process::id());
        Ok(Self { python, mark, all: VecDeque::new() })
    }

    fn start(&mut self, life: Duration) -> Result<()> {
        let mut command = Command::new(&self.python);
        command.arg(workspace::workload("bench/member.py")).arg(&self.mark);
        command.arg(life.as_secs().to_string());
        self.all.push_back(Background::start(process::quiet(&mut command))?);
        Ok(())
    }

    /// Forgets those that have ended.
    fn reap(&mut self) -> Result<()> {
        for _ in 0..self.all.len() {
            let Some(mut one) = self.all.pop_front() else { break };
            if one.wait(Duration::ZERO, || false)?.is_none() {
                self.all.push_back(one);
            }
        }
        Ok(())
    }

    fn pids(&self) -> BTreeSet<u32> {
        self.all.iter().map(Background::pid).collect()
    }

    fn end(&mut self) -> Result<()> {
        self.all.clear();
        interrupt::check()
    }
}
