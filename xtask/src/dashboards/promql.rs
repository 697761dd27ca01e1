//! The queries of a dashboard: promtool has to parse each, and the program to have its metrics. And
//! the configurations that go with them, by the programs that they are for.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{process, workspace};

/// What Grafana would put in the place of its variables.
const SUBSTITUTES: [(&str, &str); 5] = [
    ("$__rate_interval", "5m"),
    ("$job", ".*"),
    ("$instance", ".*"),
    ("$service", ".*"),
    ("$pid", ".*"),
];

/// Ends of series' names that their family does not have.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Has promtool parse every query, as recording rules.
pub(super) fn check(dashboard: &Value) -> Result<()> {
    let rules: Vec<Value> = queries(dashboard)
        .enumerate()
        .map(|(at, query)| json!({"record": format!("query:{at}"), "expr": substituted(query)}))
        .collect();
    // JSON is YAML, too.
    let file = json!({"groups": [{"name": "queries", "rules": rules}]});
    let path = workspace::target().join("dashboard-queries.yml");
    fs::create_dir_all(workspace::target())?;
    fs::write(&path, file.to_string())
        .with_context(|| format!("failed to write {}", path.display()))?;
    process::output(Command::new("promtool").args(["check", "rules"]).arg(&path))?;
    Ok(())
}

/// Has Prometheus and Alertmanager read the configurations of `compose.yaml`, the rules among them.
pub(super) fn check_configurations() -> Result<()> {
    let folder = workspace::root().join("dashboards");
    for (program, check) in [
        ("promtool", ["check", "config", "prometheus.yml"].as_slice()),
        ("promtool", &["test", "rules", "rules/pitviper.test.yml"]),
        ("amtool", &["check-config", "alertmanager.yml"]),
    ] {
        process::output(Command::new(program).args(check).current_dir(&folder))?;
    }
    Ok(())
}

/// Metrics that these queries or the rules name and `docs/metrics.md` does not.
pub(super) fn unknown_metrics(dashboards: &[Value]) -> Result<Vec<String>> {
    let root = workspace::root();
    let known = known_metrics(&root.join("docs/metrics.md"))?;
    let path = root.join("dashboards/rules/pitviper.yml");
    let rules =
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let mut unknown = Vec::new();
    for text in dashboards.iter().flat_map(queries).chain(rules.lines()) {
        // What has a colon was recorded by a rule.
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let names = text.split(|c| !is_part(c)).filter(|word| word.starts_with("pitviper_"));
        for name in names {
            let family = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_known = |name: &str| known.iter().any(|known| known == name);
            if !is_known(name) && !family.is_some_and(is_known) {
                unknown.push(format!("docs/metrics.md has no {name}: {text}"));
            }
        }
    }
    Ok(unknown)
}

fn known_metrics(path: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let known: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `pitviper_")?.split('`').next())
        .map(|rest| format!("pitviper_{rest}"))
        .collect();
    if known.is_empty() {
        bail!("{} lists no metric", path.display());
    }
    Ok(known)
}

fn queries(dashboard: &Value) -> impl Iterator<Item = &str> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.filter_map(|target| target["expr"].as_str())
}

fn substituted(query: &str) -> String {
    SUBSTITUTES.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}
