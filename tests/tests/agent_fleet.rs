//! `pitviper agent` with more processes than it may follow, which come and go while its
//! configuration is read again: who is left out is told, who ends leaves no series, and no counter
//! goes back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::requirements::met;
use pitviper_tests::target::Target;
use pitviper_tests::{http, interpreter};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(60);
const PROCESSES: usize = 24;
const FOLLOWED: usize = 16;

/// Values by series, in the classic format.
type Scrape = BTreeMap<String, f64>;

struct Fleet {
    agent: Agent,
    port: u16,
    before: Scrape,
    compared: usize,
}

impl Fleet {
    fn start(folder: &Path, config: &Path) -> Result<Fleet> {
        let name = folder.file_name().context("the folder has no name")?.to_string_lossy();
        let rule = format!("cmdline=leak\\.py .*{name}");
        let port = http::free_port()?;
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let file = config.display().to_string();
        let mut agent = Agent::start(&["agent", "--include", &rule, "--config", &file, &listen])?;
        agent.told_where("ready", LIMIT, |line| line.contains("agent is ready"))?;
        Ok(Fleet { agent, port, before: Scrape::new(), compared: 0 })
    }

    /// Scrapes, and holds each counter against the scrape before.
    fn scrape(&mut self) -> Result<&Scrape> {
        let (status, body) = http::get(self.port, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        let mut now = Scrape::new();
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').context("a series has no value")?;
            now.insert(series.to_owned(), value.parse()?);
        }
        let counts = |series: &str| {
            let name = series.split('{').next().unwrap_or(series);
            ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
        };
        for (series, value) in now.iter().filter(|(series, _)| counts(series)) {
            let Some(before) = self.before.get(series) else { continue };
            ensure!(value >= before, "{series} went from {before} back to {value}");
            self.compared += 1;
        }
        self.before = now;
        Ok(&self.before)
    }

    /// Waits until so many are followed, and so many left out because there are too many.
    fn wait(&mut self, followed: usize, left_out: usize) -> Result<()> {
        let of = |scrape: &Scrape, series: &str| scrape.get(series).copied().unwrap_or(-1.0);
        let mut last = (0.0, 0.0);
        let reached = wait_for("the processes", LIMIT, || {
            let scrape = self.scrape()?;
            let reason = "pitviper_processes_left_out{reason=\"max_processes\"}";
            last = (of(scrape, "pitviper_processes"), of(scrape, reason));
            Ok((last == (followed as f64, left_out as f64)).then_some(()))
        });
        reached.with_context(|| format!("wanted {followed} and {left_out}, had {last:?}"))
    }

    /// Pids that have series.
    fn pids(&self) -> Vec<u32> {
        let all = self.before.keys().filter_map(|series| series.split_once("pid=\""));
        let mut pids: Vec<u32> =
            all.filter_map(|(_, rest)| rest.split('"').next()?.parse().ok()).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

fn start(turn: usize, folder: &Path) -> Result<Target> {
    let mut target = Target::start(
        &interpreter::pick(turn)?,
        "leak.py",
        &["file".as_ref(), "0.05".as_ref(), folder.as_os_str()],
    )?;
    target.tell("go")?;
    Ok(target)
}

#[test]
fn a_fleet_comes_and_goes() -> Result<()> {
    if !met("agent_fleet")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("pitviper.toml");
    let configure = |more: &str| fs::write(&config, format!("max-processes = {FOLLOWED}\n{more}"));
    configure("")?;
    let mut all = Vec::new();
    for turn in 0..PROCESSES {
        all.push(start(turn, folder.path())?);
    }
    let mut fleet = Fleet::start(folder.path(), &config)?;
    fleet.wait(FOLLOWED, PROCESSES - FOLLOWED)?;
    // One goes, one comes, and the rules change each time.
    for round in 0..6 {
        all.remove(round);
        all.push(start(PROCESSES + round, folder.path())?);
        configure(&format!("[threshold.slow-call]\ncount = {}\n", round + 3))?;
        fleet.agent.signal(Signal::HUP)?;
        fleet
            .agent
            .told_where("read again", LIMIT, |line| line.contains("read the configuration"))?;
        fleet.wait(FOLLOWED, PROCESSES - FOLLOWED)?;
    }
    // There is room for the rest once the first are gone.
    all.drain(..PROCESSES - FOLLOWED);
    fleet.wait(FOLLOWED, 0)?;
    all.drain(..FOLLOWED / 2);
    fleet.wait(FOLLOWED / 2, 0)?;
    let mut alive: Vec<u32> = all.iter().map(Target::pid).collect();
    alive.sort_unstable();
    ensure!(fleet.pids() == alive, "series of {:?}, alive are {alive:?}", fleet.pids());
    ensure!(fleet.compared > 1_000, "only {} counters were compared", fleet.compared);
    fleet.agent.signal(Signal::TERM)?;
    let ended = fleet.agent.ended(LIMIT)?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    println!("{} counters compared", fleet.compared);
    Ok(())
}
