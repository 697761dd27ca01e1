//! Findings, by what they are.

use super::alive::Alive;
use super::family::{Family, Scrape, Series};
use crate::detect::Finding;

pub(super) fn register(scrape: &mut Scrape<'_>, findings: &[Finding], alive: &Alive<'_>) {
    let mut series = Series::default();
    for finding in findings {
        let Some(name) = alive.name(finding.process) else { continue };
        let kind = finding.kind.name();
        let labels = name.with(&[kind, finding.severity.name(), finding.confidence.name()]);
        series.add(labels, 1.0);
    }
    let labels = &["pid", "service", "kind", "severity", "confidence"];
    let help = "Findings about processes that live";
    scrape.gauge(Family::new("findings", help).of(labels), series);
}
