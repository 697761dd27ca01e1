//! What watches the agent where it works: Prometheus with the shipped rules, Alertmanager, a receiver
//! of its alerts, and node_exporter for the disks.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::deadline::wait_for;
use crate::http;
use crate::prometheus::{Prometheus, Server, encoded};
use crate::webhook::Webhook;

const TOOLS: [&str; 3] = ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"];

/// Further Prometheus programs that scrape beside the one on the PATH, as `PATH:PATH`.
const FURTHER: &str = "PITVIPER_PROMETHEUS";

/// How fast time goes for the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each minute of the shipped rules lasts a second.
    Hastened,
    /// The rules as they are shipped.
    Real,
}

impl Pace {
    /// Seconds from scrape to scrape.
    pub fn scrape_seconds(self) -> u64 {
        match self {
            Pace::Hastened => 1,
            Pace::Real => 5,
        }
    }
}

/// The servers; they end with the value.
pub struct Monitoring {
    /// Where the alerts arrive.
    pub webhook: Webhook,
    /// Each Prometheus; the first one tells Alertmanager.
    pub servers: Vec<Prometheus>,
    _alertmanager: Server,
    _node: Server,
}

impl Monitoring {
    /// The program that is not installed, if there is one.
    pub fn missing() -> Option<&'static str> {
        TOOLS.into_iter().find(|tool| Command::new(tool).arg("--version").output().is_err())
    }

    /// Starts all; `agents` are the addresses to scrape.
    ///
    /// # Errors
    /// When one does not start or refuses its configuration.
    pub fn start(folder: &Path, agents: &[&str], pace: Pace) -> Result<Monitoring> {
        let webhook = Webhook::start()?;
        let alertmanager = start_alertmanager(folder, webhook.port)?;
        let node = start_node_exporter()?;
        let mut rules = fs::read_to_string(dashboards().join("rules/pitviper.yml"))?;
        if pace == Pace::Hastened {
            rules = hastened(&rules);
        }
        let file = folder.join("rules.yml");
        fs::write(&file, rules)?;
        let configuration = |alerting: &str| {
            format!(
                "global: {{scrape_interval: {0}s, scrape_timeout: {0}s, evaluation_interval: {0}s}}\n\
                 rule_files: ['{1}']\n{alerting}\
                 scrape_configs:\n\
                 - {{job_name: pitviper, static_configs: [{{targets: {agents:?}}}]}}\n\
                 - {{job_name: node, static_configs: [{{targets: ['127.0.0.1:{2}']}}]}}\n",
                pace.scrape_seconds(),
                file.display(),
                node.port
            )
        };
        let told = format!(
            "alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]}}\n",
            alertmanager.port
        );
        let mut servers = vec![Prometheus::start(&configuration(&told))?];
        for program in env::var(FURTHER).unwrap_or_default().split(':').filter(|p| !p.is_empty()) {
            servers.push(Prometheus::start_program(program, &configuration(""))?);
        }
        Ok(Monitoring { webhook, servers, _alertmanager: alertmanager, _node: node })
    }

    /// Waits until the alerts have come, of this process where it matters which.
    ///
    /// # Errors
    /// When they do not come in time; the message has those that did.
    pub fn wait_delivered(
        &self,
        status: &str,
        alerts: &[&str],
        pid: Option<u32>,
        limit: Duration,
    ) -> Result<()> {
        let all = || alerts.iter().all(|name| self.webhook.has(status, name, pid));
        wait_for(&format!("{alerts:?} {status}"), limit, || Ok(all().then_some(())))
            .with_context(|| format!("delivered: {:#?}", self.webhook.outline()))
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

/// What the variables of the dashboards are replaced by.
pub type Variables<'a> = [(&'a str, String)];

/// The queries of every panel as Grafana would send them.
///
/// # Errors
/// When a dashboard is not what it should be.
pub fn panels(variables: &Variables<'_>) -> Result<BTreeSet<String>> {
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

/// A shipped dashboard.
///
/// # Errors
/// When there is none of this name.
pub fn dashboard(name: &str) -> Result<Value> {
    let path = dashboards().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path:?}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// The query with its variables' values.
pub fn substituted(query: &str, variables: &Variables<'_>) -> String {
    variables.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}

/// What the rules record, and what alerts compare: with `bool` a comparison gives 0 or 1 where it
/// would give nothing, so that nothing is only what has no data.
///
/// # Errors
/// When a rule fails.
pub fn rules(server: &Prometheus) -> Result<BTreeSet<String>> {
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

/// Waits until each of the queries has given a sample.
///
/// # Errors
/// When some have none in time; the message names them.
pub fn wait_for_samples(
    server: &Prometheus,
    mut empty: BTreeSet<String>,
    limit: Duration,
) -> Result<()> {
    let filled = wait_for("samples for every query", limit, || {
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

/// The values that the dashboards' variable `label` offers.
///
/// # Errors
/// When the server refuses to say.
pub fn offered(server: &Prometheus, label: &str, series: &str) -> Result<BTreeSet<String>> {
    let series = encoded(series);
    let offered = server.ask(&format!("/api/v1/label/{label}/values?match[]={series}"))?;
    let names = offered.as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(names.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_hastened_where_they_have_time() {
        let rules = "rate(a_5m[5m]) > predict_linear(b[1h] offset 10m, 1800)\nfor: 2m\nname[le]";
        let wanted = "rate(a_5m[5s]) > predict_linear(b[60s] offset 10s, 30)\nfor: 2s\nname[le]";
        assert_eq!(hastened(rules), wanted);
    }
}
