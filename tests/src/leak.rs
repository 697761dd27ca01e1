//! Waiting for the one leak that a program has.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::agent::Agent;
use crate::report::{is_confirmed, outline};
use crate::site::Site;
use crate::trace::parse_line;

/// Waits until an agent that writes `--json=lines` confirms a leak, which must be at `site`, and stops
/// it. The finding.
///
/// # Errors
/// When the leak is not told within `limit`, or elsewhere.
pub fn told_at(mut agent: Agent, site: &Site, limit: Duration) -> Result<Value> {
    let line = agent.line_where("the leak", limit, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "fd-leak"))
    })?;
    let finding = parse_line(&line)?;
    ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
    agent.stop()?;
    Ok(finding)
}
