//! Every panel and rule shows something for programs that misbehave, and alerts reach their receiver
//! and are resolved there: a real Prometheus scrapes the agent, a real Alertmanager delivers.
//!
//! The rules are the shipped ones with one change: each minute of theirs lasts a second here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::deadline::wait_for;
use pitviper_tests::prometheus::{Prometheus, Server, encoded};
use pitviper_tests::requirements::{met, skip};
use pitviper_tests::target::Target;
use pitviper_tests::webhook::Webhook;
use pitviper_tests::{http, interpreter};
use rustix::process::Signal;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(90);

/// What the faulty service has to set off within that time.
const ALERTS: [&str; 4] =
    ["PitviperDescriptorLeak", "PitviperHeadroomLow", "PitviperStorm", "PitviperEventLoopBlocked"];

/// Living descriptors that the second pitviper has room for: it loses most of what it should know.
const ROOM: &str = "16";

const TOOLS: [&str; 3] = ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"];

#[test]
fn panels_show_and_alerts_arrive() -> Result<()> {
    if !met("dashboards")? {
        return Ok(());
    }
    for tool in TOOLS {
        if Command::new(tool).arg("--version").output().is_err() {
            return skip("dashboards", &format!("{tool} is not installed"));
        }
    }
    let folder = tempfile::tempdir()?;
    let mut faulty = start("faulty", folder.path())?;
    let (agent, listen) = follow(folder.path())?;
    let mut leaky = Leaky::start(folder.path())?;
    let webhook = Webhook::start()?;
    let alertmanager = start_alertmanager(folder.path(), webhook.port)?;
    let node = start_node_exporter()?;
    let agents = [listen.as_str(), leaky.listen.as_str()];
    let server = start_prometheus(folder.path(), agents, &alertmanager, &node)?;
    faulty.tell("go")?;
    leaky.target.tell("go")?;

    let pid = faulty.pid();
    let variables = [
        ("$__rate_interval", "10s".to_owned()),
        ("$job", "pitviper".to_owned()),
        ("$instance", agents.join("|")),
        ("$service", "faulty_service|leak".to_owned()),
        ("$pid", format!("{pid}|{}", leaky.target.pid())),
    ];
    wait_for_samples(&server, panels(&variables)?)?;
    variables_offer(&server, &variables)?;
    wait_for_samples(&server, rules(&server)?)?;
    wait_delivered(&webhook, "firing", &ALERTS, Some(pid))?;
    wait_delivered(&webhook, "firing", &["PitviperLosesEvents", "PitviperTableFull"], None)?;

    drop(faulty);
    let mut fixed = start("fixed", folder.path())?;
    fixed.tell("go")?;
    wait_delivered(&webhook, "resolved", &ALERTS, Some(pid))?;
    let looks =
        format!("count_over_time(pitviper_descriptors_open{{pid=\"{}\"}}[1m]) > 10", fixed.pid());
    server.wait_for_sample(&looks)?;
    for name in ALERTS {
        let fired = webhook.has("firing", name, Some(fixed.pid()));
        ensure!(!fired, "{name} fires for the fixed service: {:#?}", webhook.outline());
    }

    agent.signal(Signal::TERM)?;
    let ended = agent.ended(LIMIT)?;
    ensure!(ended.code() == Some(0), "{}: {:?}", ended.status, ended.stderr);
    wait_delivered(&webhook, "firing", &["PitviperDown"], None)
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

/// A program that leaks, watched by a pitviper of its own that has too little room.
struct Leaky {
    target: Target,
    listen: String,
    _pitviper: Agent,
}

impl Leaky {
    fn start(folder: &Path) -> Result<Leaky> {
        let args = ["socket".as_ref(), "0.2".as_ref(), folder.as_os_str()];
        let target = Target::start(&interpreter::pick(1)?, "leak.py", &args)?;
        let listen = format!("127.0.0.1:{}", http::free_port()?);
        let pid = target.pid().to_string();
        let pitviper =
            Agent::attach(&["attach", &pid, "--listen", &listen, "--max-descriptors", ROOM])?;
        Ok(Leaky { target, listen, _pitviper: pitviper })
    }
}

fn start_alertmanager(folder: &Path, webhook: u16) -> Result<Server> {
    let file = folder.join("alertmanager.yml");
    fs::write(
        &file,
        format!(
            "route: {{receiver: webhook, group_by: [alertname, pid], group_wait: 1s, \
             group_interval: 1s, repeat_interval: 1h}}\n\
             receivers:\n- name: webhook\n  webhook_configs: \
             [{{url: 'http://127.0.0.1:{webhook}/', send_resolved: true}}]\n"
        ),
    )?;
    let port = http::free_port()?;
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    Server::start(command, port, "/-/ready")
}

fn start_node_exporter() -> Result<Server> {
    let port = http::free_port()?;
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.args(["--collector.disable-defaults", "--collector.filesystem"]);
    Server::start(command, port, "/metrics")
}

fn start_prometheus(
    folder: &Path,
    agents: [&str; 2],
    alertmanager: &Server,
    node: &Server,
) -> Result<Prometheus> {
    let rules = folder.join("rules.yml");
    fs::write(&rules, hastened(&fs::read_to_string(dashboards().join("rules/pitviper.yml"))?))?;
    Prometheus::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         rule_files: ['{}']\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]}}\n\
         scrape_configs:\n\
         - {{job_name: pitviper, static_configs: [{{targets: {agents:?}}}]}}\n\
         - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n",
        rules.display(),
        alertmanager.port,
        node.port
    ))
}

fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Each minute becomes a second: of ranges, offsets, forecasts and `for:`.
fn hastened(rules: &str) -> String {
    let mut hastened = rules.replace(", 1800)", ", 30)");
    for before in ["[", "offset ", "for: "] {
        let parts: Vec<&str> = hastened.split(before).collect();
        let parts = parts.iter().enumerate().map(|(at, part)| match at {
            0 => (*part).to_owned(),
            _ => in_seconds(part),
        });
        hastened = parts.collect::<Vec<_>>().join(before);
    }
    hastened
}

/// `5m…` becomes `5s…` and `1h…` `60s…`; all else stays.
fn in_seconds(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    match (number.parse::<u64>(), rest.chars().next()) {
        (Ok(minutes), Some('m')) => format!("{minutes}s{}", &rest[1..]),
        (Ok(hours), Some('h')) => format!("{}s{}", hours * 60, &rest[1..]),
        _ => text.to_owned(),
    }
}

/// The queries of every panel as Grafana would send them.
fn panels(variables: &[(&str, String)]) -> Result<BTreeSet<String>> {
    let mut queries = BTreeSet::new();
    for name in ["fleet", "process", "findings"] {
        let dashboard = dashboard(name)?;
        for panel in dashboard["panels"].as_array().context("no panels")? {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().context("a target has no query")?;
                queries.insert(substituted(query, variables));
            }
        }
    }
    ensure!(queries.len() > 50, "only {} queries", queries.len());
    Ok(queries)
}

fn dashboard(name: &str) -> Result<Value> {
    let path = dashboards().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path:?}"))?;
    Ok(serde_json::from_str(&text)?)
}

fn substituted(query: &str, variables: &[(&str, String)]) -> String {
    variables.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
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
        let series = encoded(&substituted(series, variables));
        let offered = server.ask(&format!("/api/v1/label/{label}/values?match[]={series}"))?;
        let wanted = variables.iter().find(|(name, _)| name[1..] == *label);
        let (_, wanted) = wanted.with_context(|| format!("{label} is no variable"))?;
        let offered: BTreeSet<&str> =
            offered.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let wanted: BTreeSet<&str> = wanted.split('|').collect();
        ensure!(offered == wanted, "${label} offers {offered:?} and not {wanted:?}");
        asked += 1;
    }
    ensure!(asked == 4, "{asked} variables were asked");
    Ok(())
}

/// What the rules record, and what alerts compare: with `bool` a comparison gives 0 or 1 where it
/// would give nothing, so that nothing is only what has no data.
fn rules(server: &Prometheus) -> Result<BTreeSet<String>> {
    let answer = server.ask("/api/v1/rules")?;
    let groups = answer["groups"].as_array().context("no groups")?;
    let mut queries = BTreeSet::new();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten()) {
        ensure!(rule["health"] != "err", "{rule}");
        let query = match rule["type"].as_str() {
            Some("recording") => rule["name"].as_str().map(str::to_owned),
            _ => rule["query"].as_str().map(with_bool),
        };
        queries.insert(query.context("a rule has no query")?);
    }
    ensure!(queries.len() >= 16, "only {} rules", queries.len());
    Ok(queries)
}

fn with_bool(query: &str) -> String {
    [" > ", " < ", " == "]
        .iter()
        .fold(query.to_owned(), |query, sign| query.replace(sign, &format!("{sign}bool ")))
}

fn wait_for_samples(server: &Prometheus, mut empty: BTreeSet<String>) -> Result<()> {
    let filled = wait_for("samples for every query", LIMIT, || {
        let mut still = BTreeSet::new();
        for query in &empty {
            if server.query(query)?.is_empty() {
                still.insert(query.clone());
            }
        }
        empty = still;
        Ok(empty.is_empty().then_some(()))
    });
    filled.with_context(|| format!("no samples: {empty:#?}"))
}

fn wait_delivered(
    webhook: &Webhook,
    status: &str,
    alerts: &[&str],
    pid: Option<u32>,
) -> Result<()> {
    let all = || alerts.iter().all(|name| webhook.has(status, name, pid));
    wait_for(&format!("{alerts:?} {status}"), LIMIT, || Ok(all().then_some(())))
        .with_context(|| format!("delivered: {:#?}", webhook.outline()))
}

#[test]
fn rules_are_hastened_where_they_have_time() {
    let rules = "rate(a_5m[5m]) > predict_linear(b[1h] offset 10m, 1800)\nfor: 2m\nname[le]";
    let wanted = "rate(a_5m[5s]) > predict_linear(b[60s] offset 10s, 30)\nfor: 2s\nname[le]";
    assert_eq!(hastened(rules), wanted);
}
