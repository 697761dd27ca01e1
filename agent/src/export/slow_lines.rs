//! The lines that block, as one ranked table: the most severe first, then those that cost the most
//! time.

use std::fmt::Write as _;

use crate::detect::{Evidence, Finding, Kind};

use super::terminal::place;

/// Lines that the table shows.
const LINES: usize = 40;

struct Row<'a> {
    finding: &'a Finding,
    count: u64,
    mean_ms: f64,
    share: f64,
}

impl<'a> Row<'a> {
    /// `None` for a finding that is about something else.
    fn of(finding: &'a Finding) -> Option<Self> {
        let measure = |key| match finding.evidence.get(key) {
            Some(Evidence::Measure(value)) => Some(*value),
            _ => None,
        };
        let Some(Evidence::Count(count)) = finding.evidence.get("count") else { return None };
        if !matches!(finding.kind, Kind::SlowCall | Kind::EventLoopBlocked) {
            return None;
        }
        let (mean_ms, share) = (measure("mean_ms")?, measure("share_of_time")?);
        Some(Self { finding, count: *count, mean_ms, share })
    }
}

/// The table; empty unless there are two lines to compare.
pub(super) fn table(findings: &[Finding]) -> String {
    let mut rows: Vec<Row<'_>> = findings.iter().filter_map(Row::of).collect();
    if rows.len() < 2 {
        return String::new();
    }
    rows.sort_by(|one, other| {
        let by_severity = other.finding.severity.cmp(&one.finding.severity);
        by_severity.then(other.share.total_cmp(&one.share))
    });
    let mut text = "lines that block, the worst first:\n".to_owned();
    for row in rows.iter().take(LINES) {
        let site = row.finding.site.as_ref().map_or_else(String::new, place);
        // Writing to a string does not fail.
        _ = writeln!(
            text,
            "  {:<8} {:>9.0} ms × {:<6} {:>5.1} %  {}  {site}",
            row.finding.severity.name(),
            row.mean_ms,
            row.count,
            row.share * 100.0,
            row.finding.kind.name(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Severity;
    use crate::export::sample;

    fn blocked(severity: Severity, mean_ms: f64, share: f64) -> Finding {
        let mut finding = sample::report().findings[0].clone();
        finding.kind = Kind::SlowCall;
        finding.severity = severity;
        finding.evidence = [
            ("count", Evidence::Count(12)),
            ("mean_ms", Evidence::Measure(mean_ms)),
            ("share_of_time", Evidence::Measure(share)),
        ]
        .into();
        finding
    }

    /// Exercise the order, and findings that are about something else.
    #[test]
    fn the_worst_comes_first() {
        let mut findings = sample::report().findings;
        findings.push(blocked(Severity::Medium, 40.0, 0.02));
        assert_eq!(table(&findings), "", "one line is no ranking");
        findings.push(blocked(Severity::High, 350.0, 0.15));
        findings.push(blocked(Severity::High, 120.0, 0.3));
        findings.push(blocked(Severity::Critical, 1_400.0, 0.6));
        let text = table(&findings);
        let order: Vec<_> =
            text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(order, ["1400", "120", "350", "40"], "{text}");
    }
}
