//! Findings, by what they are, and each with its line.

use super::OTHER;
use super::alive::Alive;
use super::family::{Family, Scrape, Series};
use crate::detect::{Confidence, Finding};
use crate::export::visible;

/// Findings with a line of their own among the labels.
const LINES: usize = 256;

/// Characters of a line: what is longer is cut at its front, which says less.
const LINE: usize = 160;

/// Returns how many findings have no label of their own.
pub(super) fn register(scrape: &mut Scrape<'_>, findings: &[Finding], alive: &Alive<'_>) -> u64 {
    let mut series = Series::default();
    let mut lines = Series::default();
    let (mut named, mut folded) = (0, 0);
    for finding in findings {
        let Some(name) = alive.name(finding.process) else { continue };
        let kind = finding.kind.name();
        let (severity, confidence) = (finding.severity.name(), finding.confidence.name());
        series.add(name.with(&[kind, severity, confidence]), 1.0);
        if name.is_other() || finding.confidence == Confidence::Suspected {
            continue;
        }
        let line = if named < LINES { line(finding) } else { OTHER.to_owned() };
        named += 1;
        folded += u64::from(named > LINES);
        lines.add(name.with(&[kind, severity, &line]), 1.0);
    }
    let labels = &["pid", "service", "kind", "severity", "confidence"];
    let help = "Findings about processes that live";
    scrape.gauge(Family::new("findings", help).of(labels), series);
    let labels = &["pid", "service", "kind", "severity", "line"];
    let help = "The lines of confirmed findings, the most severe first";
    scrape.gauge(Family::new("finding_lines", help).of(labels), lines);
    folded
}

/// `file:line function`; the process where no line is to blame.
fn line(finding: &Finding) -> String {
    let Some(site) = &finding.site else { return "the process".to_owned() };
    let whole = format!("{}:{} {}", site.file, site.line, site.function);
    let excess = whole.chars().count().saturating_sub(LINE);
    let end: String = whole.chars().skip(excess).collect();
    let end = visible(&end, 2 * LINE);
    if excess > 0 { format!("…{end}") } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::{frame, report};

    /// Exercise the line of a finding: whole, of the process, and longer than a label should be.
    #[test]
    fn a_long_line_keeps_its_end() {
        let mut finding = report().findings.swap_remove(0);
        finding.site = Some(frame("/srv/app.py", 7, "f\n"));
        assert_eq!(line(&finding), "/srv/app.py:7 f\\n");
        finding.site = Some(frame(&"/é".repeat(500), 7, "f"));
        let cut = line(&finding);
        assert!(cut.starts_with('…') && cut.ends_with("/é:7 f"), "{cut}");
        assert_eq!(cut.chars().count(), LINE + 1);
        finding.site = None;
        assert_eq!(line(&finding), "the process");
    }
}
