//! Every panel and rule shows something for programs that misbehave, and alerts reach their receiver
//! and are resolved there: a real Prometheus scrapes the agent, a real Alertmanager delivers.
//!
//! The rules are the shipped ones with one change: each minute of theirs lasts a second here.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::monitoring::{
    Monitoring, Pace, dashboard, offered, panels, rules, substituted, wait_for_samples,
};
use pitviper_tests::prometheus::Prometheus;
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::starved::Starved;
use pitviper_tests::target::Target;
use pitviper_tests::{http, interpreter};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(90);

/// What the faulty service has to set off within that time.
const ALERTS: [&str; 4] =
    ["PitviperDescriptorLeak", "PitviperHeadroomLow", "PitviperStorm", "PitviperEventLoopBlocked"];

#[test]
fn panels_show_and_alerts_arrive() -> Result<()> {
    if !met("dashboards")? {
        return Ok(());
    }
    if let Some(tool) = Monitoring::missing() {
        return skip("dashboards", &format!("{tool} is not installed"));
    }
    let folder = tempfile::tempdir()?;
    let mut faulty = start("faulty", folder.path())?;
    let (agent, listen) = follow(folder.path())?;
    let mut starved = Starved::start(folder.path())?;
    let agents = [listen.as_str(), starved.listen.as_str()];
    let monitoring = Monitoring::start(folder.path(), &agents, Pace::Hastened)?;
    let server = &monitoring.servers[0];
    let delivered =
        |status: &str, alerts: &[&str], pid| monitoring.wait_delivered(status, alerts, pid, LIMIT);
    faulty.tell("go")?;
    starved.target.tell("go")?;

    let pid = faulty.pid();
    let variables = [
        ("$__rate_interval", "10s".to_owned()),
        ("$job", "pitviper".to_owned()),
        ("$instance", agents.join("|")),
        ("$service", "faulty_service|leak".to_owned()),
        ("$pid", format!("{pid}|{}", starved.target.pid())),
    ];
    wait_for_samples(server, panels(&variables)?, LIMIT)?;
    variables_offer(server, &variables)?;
    wait_for_samples(server, rules(server)?, LIMIT)?;
    delivered("firing", &ALERTS, Some(pid))?;
    delivered("firing", &["PitviperLosesEvents", "PitviperTableFull"], None)?;

    drop(faulty);
    let mut fixed = start("fixed", folder.path())?;
    fixed.tell("go")?;
    delivered("resolved", &ALERTS, Some(pid))?;
    let looks =
        format!("count_over_time(pitviper_descriptors_open{{pid=\"{}\"}}[1m]) > 10", fixed.pid());
    server.wait_for_sample(&looks)?;
    for name in ALERTS {
        let fired = monitoring.webhook.has("firing", name, Some(fixed.pid()));
        ensure!(!fired, "{name} fires for the fixed service: {:#?}", monitoring.webhook.outline());
    }

    agent.signal(Signal::TERM)?;
    let ended = agent.ended(LIMIT)?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    delivered("firing", &["PitviperDown"], None)
}

fn start(mode: &str, folder: &Path) -> Result<Target> {
    let args = [mode.as_ref(), folder.as_os_str()];
    Target::start(&interpreter::pick(3)?, "faulty_service.py", &args)
}

/// Follows the processes that have the folder's random name on their command line, and no others.
fn follow(folder: &Path) -> Result<(Agent, String)> {
    let name = folder.file_name().context("the folder has no name")?.to_string_lossy();
    let rule = format!("cmdline=faulty_service\\.py .*{name}");
    let listen = format!("127.0.0.1:{}", http::free_port()?);
    let flag = format!("--web.listen-address={listen}");
    let mut agent = Agent::start(&["agent", "--include", &rule, &flag])?;
    agent.told_where("ready", LIMIT, |line| line.contains("agent is ready"))?;
    Ok((agent, listen))
}

/// Each variable has the value that the panels were asked with.
fn variables_offer(server: &Prometheus, variables: &[(&str, String)]) -> Result<()> {
    let dashboard = dashboard("process")?;
    let list = dashboard["templating"]["list"].as_array().context("no variables")?;
    let mut asked = 0;
    for variable in list {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let call = query.strip_prefix("label_values(").and_then(|call| call.strip_suffix(')'));
        let (series, label) = call.and_then(|call| call.rsplit_once(", ")).context("no query")?;
        let offered = offered(server, label, &substituted(series, variables))?;
        let wanted = variables.iter().find(|(name, _)| name[1..] == *label);
        let (_, wanted) = wanted.with_context(|| format!("{label} is no variable"))?;
        let wanted: BTreeSet<String> = wanted.split('|').map(str::to_owned).collect();
        ensure!(offered == wanted, "${label} offers {offered:?} and not {wanted:?}");
        asked += 1;
    }
    ensure!(asked == 4, "{asked} variables were asked");
    Ok(())
}
