//! `pitviper agent` follows processes that come and go, reads its configuration again when told,
//! and is the only one on its host.
//!
//! Its rule matches a folder's random name, which only this test's processes have on their command
//! lines: it touches no other process of the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::report::{is_confirmed, outline};
use pitviper_tests::requirements::met;
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;
use pitviper_tests::{http, interpreter};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(60);

/// What tells the third process from the others, on its command line.
const HEALTHY: &str = "3600";

struct Run {
    agent: Agent,
    port: u16,
    rule: String,
}

impl Run {
    fn start(folder: &Path, config: &Path) -> Result<Run> {
        let name = folder.file_name().context("the folder has no name")?.to_string_lossy();
        let rule = format!("cmdline=leak\\.py .*{name}");
        let port = http::free_port()?;
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let file = config.display().to_string();
        let args = ["agent", "--include", &rule, "--config", &file, &listen, "--json=lines"];
        let mut agent = Agent::start(&args)?;
        agent.told_where("ready", LIMIT, |line| line.contains("agent is ready"))?;
        Ok(Run { agent, port, rule })
    }

    /// The processes that have series.
    fn followed(&self) -> Result<BTreeSet<u32>> {
        let (status, body) = http::get(self.port, "/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        let series = body.lines().filter(|line| !line.starts_with('#'));
        let pids = series.filter_map(|line| line.split_once("pid=\"")?.1.split('"').next());
        pids.map(|pid| pid.parse().with_context(|| format!("{pid} is no pid"))).collect()
    }

    fn wait_followed(&self, what: &str, pids: &[u32]) -> Result<()> {
        let wanted: BTreeSet<u32> = pids.iter().copied().collect();
        let mut last = BTreeSet::new();
        let reached = wait_for(what, LIMIT, || {
            last = self.followed()?;
            Ok((last == wanted).then_some(()))
        });
        reached.with_context(|| format!("wanted {wanted:?}, had {last:?}"))
    }

    /// Has it read its configuration again; it says one of these.
    fn reload(&mut self, told: &str) -> Result<String> {
        self.agent.signal(Signal::HUP)?;
        self.agent.told_where(told, LIMIT, |line| line.contains(told))
    }
}

fn start(turn: usize, kind: &str, interval: &str, folder: &Path) -> Result<Target> {
    let args = [kind.as_ref(), interval.as_ref(), folder.as_os_str()];
    Target::start(&interpreter::pick(turn)?, "leak.py", &args)
}

#[test]
fn the_agent_follows_what_its_rules_name() -> Result<()> {
    if !met("agent_command")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("pitviper.toml");
    fs::write(&config, "max-processes = 10\n")?;
    // One is there before the agent, the others come later.
    let mut first = start(0, "file", "0.3", folder.path())?;
    let mut run = Run::start(folder.path(), &config)?;
    let mut second = start(2, "socket", "0.3", folder.path())?;
    let third = start(4, "file", HEALTHY, folder.path())?;
    let pids = [first.pid(), second.pid(), third.pid()];
    run.wait_followed("three processes", &pids)?;

    second_agent_is_refused(&run.rule)?;

    first.tell("go")?;
    second.tell("go")?;
    let mut leaks = BTreeSet::new();
    while leaks.len() < 2 {
        let line = run.agent.line_where("two leaks", LIMIT, |line| {
            parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "fd-leak"))
        })?;
        let finding = parse_line(&line)?;
        let pid = finding["pid"].as_u64().context("a finding has no pid")?;
        let kind = match pid {
            pid if pid == u64::from(pids[0]) => "file",
            pid if pid == u64::from(pids[1]) => "socket",
            _ => anyhow::bail!("neither leaks: {}", outline(&finding)),
        };
        let site = marked("leak.py", kind)?;
        ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
        leaks.insert(pid);
    }

    // It leaks until it is killed.
    drop(first);
    run.wait_followed("the end of one", &pids[1..])?;

    fs::write(&config, format!("exclude = ['cmdline= {HEALTHY} ']\n"))?;
    run.reload("read the configuration again")?;
    run.wait_followed("the new rule", &pids[1..2])?;

    fs::write(&config, "exclude = []\nmax-proceses = 3\n")?;
    let told = run.reload("kept the configuration")?;
    ensure!(told.contains(":2:") && told.contains("`max-processes`"), "{told}");
    run.wait_followed("the old rule", &pids[1..2])?;

    fs::write(&config, "exclude = []\n")?;
    run.reload("read the configuration again")?;
    run.wait_followed("no rule", &pids[1..])?;

    run.agent.signal(Signal::TERM)?;
    let ended = run.agent.ended(LIMIT)?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    ensure!(ended.stderr.iter().any(|line| line.contains("agent ended")), "{:?}", ended.stderr);
    Ok(())
}

fn second_agent_is_refused(rule: &str) -> Result<()> {
    let listen = format!("--web.listen-address=127.0.0.1:{}", http::free_port()?);
    let ended = Agent::start(&["agent", "--include", rule, &listen])?.ended(LIMIT)?;
    ensure!(ended.code() == Some(2), "{}: {:?}", ended.status, ended.stderr);
    let [told] = &ended.stderr[..] else { anyhow::bail!("not one line: {:?}", ended.stderr) };
    ensure!(told.contains("already runs on this host"), "{told}");
    Ok(())
}
