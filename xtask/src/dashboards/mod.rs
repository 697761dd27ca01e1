//! `cargo xtask dashboards`: writes the Grafana dashboards and holds them against what judges them.
//!
//! The JSON is made here and kept in `dashboards/`: one place decides what every panel has, and a
//! change shows in the diff of what people import.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::setup::{self, Set};
use crate::workspace;

mod dashboard;
mod findings;
mod fleet;
mod lint;
mod panel;
mod pictures;
mod process;
mod promql;
mod tools;

/// Tasks of `cargo xtask dashboards`.
#[derive(clap::Subcommand)]
pub(crate) enum Dashboards {
    /// Write the JSON that Grafana imports
    Write,
    /// Hold the JSON against Grafana's schema, its SDK, promtool and the house's rules
    Check,
    /// Draw each dashboard with Grafana's components from a real Prometheus
    Pictures(pictures::Options),
}

pub(crate) fn run(task: &Dashboards) -> Result<()> {
    match task {
        Dashboards::Write => write(),
        Dashboards::Check => check(),
        Dashboards::Pictures(options) => pictures::draw(options),
    }
}

/// Everything that is checked without a Grafana.
pub(crate) fn check() -> Result<()> {
    setup::ensure(&[Set::Dashboards])?;
    let mut faults = Vec::new();
    let (mut paths, mut dashboards) = (Vec::new(), Vec::new());
    for made in all() {
        let path = path(made.name);
        let kept = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let json = made.json();
        if kept != text(&json)? {
            faults.push(format!("{}: not current: `cargo xtask dashboards write`", path.display()));
        }
        let wrong = lint::faults(&json);
        faults.extend(wrong.into_iter().map(|fault| format!("{}: {fault}", made.name)));
        promql::check(&json)?;
        paths.push(path);
        dashboards.push(json);
    }
    faults.extend(promql::unknown_metrics(&dashboards)?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    promql::check_configurations()?;
    tools::check_schema(&paths)?;
    tools::check_round_trip(&paths)?;
    println!("dashboards: {} are sound", paths.len());
    Ok(())
}

fn write() -> Result<()> {
    for made in all() {
        let path = path(made.name);
        fs::write(&path, text(&made.json())?)
            .with_context(|| format!("failed to write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn all() -> [dashboard::Dashboard; 3] {
    [fleet::dashboard(), process::dashboard(), findings::dashboard()]
}

fn path(name: &str) -> PathBuf {
    workspace::root().join("dashboards").join(format!("{name}.json"))
}

fn text(json: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(json).context("failed to write JSON")? + "\n")
}
