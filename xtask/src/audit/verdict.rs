//! What was reported against what the audit says. No process and no clock here.

use serde_json::Value;

use super::Variant;
use super::rows::{Row, Site};

/// A finding as pitviper reports it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) kind: String,
    pub(super) confidence: String,
    pub(super) severity: String,
    /// File, line and function, where there is one.
    pub(super) site: Option<(String, u64, String)>,
    /// Tells apart findings of one kind at one line.
    about: String,
    /// Seconds after the start of the fault at which it was confirmed.
    pub(super) confirmed_after: Option<f64>,
}

impl Finding {
    /// `None` when it is no finding.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let site = value.get("site").and_then(|site| {
            let part = |key: &str| Some(site.get(key)?.as_str()?.to_owned());
            Some((part("file")?, site.get("line")?.as_u64()?, part("function")?))
        });
        let about = ["descriptor_kind", "type"]
            .iter()
            .find_map(|key| value.pointer(&format!("/evidence/{key}"))?.as_str());
        Some(Self {
            kind: text("kind")?,
            confidence: text("confidence")?,
            severity: text("severity")?,
            site,
            about: about.unwrap_or_default().to_owned(),
            confirmed_after: None,
        })
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confidence == "confirmed"
    }

    fn is_at(&self, site: &Site) -> bool {
        self.site.as_ref().is_some_and(|(file, line, function)| {
            file.ends_with(&format!("/{}", site.file))
                && *line == site.line
                && *function == site.function
        })
    }

    /// `module.py:42 function`
    fn place(&self) -> String {
        let Some((file, line, function)) = &self.site else { return "no line".to_owned() };
        format!("{}:{line} {function}", last_two(file))
    }

    fn told(&self) -> String {
        format!("{}, {}", self.confidence, self.severity)
    }
}

fn last_two(file: &str) -> &str {
    let from = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    file.get(from..).unwrap_or(file)
}

/// Takes in what came `seconds` after the start: a newer word on a finding replaces the older.
pub(super) fn take_in(findings: &mut Vec<Finding>, mut finding: Finding, seconds: f64) {
    finding.confirmed_after = finding.is_confirmed().then_some(seconds);
    let same = |known: &&mut Finding| {
        known.kind == finding.kind && known.site == finding.site && known.about == finding.about
    };
    match findings.iter_mut().find(same) {
        Some(known) => {
            let since = known.confirmed_after.filter(|_| finding.is_confirmed());
            finding.confirmed_after = since.or(finding.confirmed_after);
            *known = finding;
        }
        None => findings.push(finding),
    }
}

/// One line of the result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Check {
    pub(super) row: String,
    pub(super) variant: Variant,
    pub(super) expected: String,
    pub(super) reported: String,
    pub(super) line: String,
    /// `None`: neither wanted nor forbidden, but worth a look.
    pub(super) passed: Option<bool>,
    pub(super) seconds: Option<f64>,
}

impl Check {
    fn new(row: &Row, variant: Variant, expected: &str) -> Self {
        Self {
            row: row.id.clone(),
            variant,
            expected: expected.to_owned(),
            reported: "nothing".to_owned(),
            line: String::new(),
            passed: Some(false),
            seconds: None,
        }
    }

    /// The row could not be run.
    pub(super) fn broken(row: &Row, variant: Variant, why: &str) -> Self {
        Self { reported: why.to_owned(), ..Self::new(row, variant, "a run") }
    }
}

/// Everything that is to be said of one run.
pub(super) fn judge(row: &Row, variant: Variant, findings: &[Finding]) -> Vec<Check> {
    let mut used = vec![false; findings.len()];
    let mut checks = match variant {
        Variant::Audited if !row.findings.is_empty() => faults(row, findings, &mut used),
        _ => Vec::new(),
    };
    let forbidden = |finding: &Finding| match variant {
        // A row without any finding is its own remedy: nothing may be found in it.
        _ if row.findings.is_empty() => true,
        Variant::Audited => false,
        Variant::Fixed => row.findings.contains(&finding.kind),
    };
    let mut clean = true;
    for (finding, used) in findings.iter().zip(&used) {
        if *used {
            continue;
        }
        let refused = forbidden(finding);
        clean &= !refused;
        checks.push(Check {
            reported: format!("{}: {}", finding.kind, finding.told()),
            line: finding.place(),
            passed: refused.then_some(false),
            seconds: finding.confirmed_after,
            ..Check::new(row, variant, if refused { "nothing" } else { "" })
        });
    }
    if clean && (variant == Variant::Fixed || row.findings.is_empty()) {
        let expected = match &row.findings[..] {
            [] => "nothing".to_owned(),
            kinds => format!("no {}", kinds.join(", no ")),
        };
        checks.insert(0, Check { passed: Some(true), ..Check::new(row, variant, &expected) });
    }
    checks
}

/// Each marked line, and each kind that has none.
fn faults(row: &Row, findings: &[Finding], used: &mut [bool]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut find =
        |expected: String, severity: Option<&String>, fits: &dyn Fn(&Finding) -> bool| {
            let mut check = Check::new(row, Variant::Audited, &expected);
            // One line may have a finding for each kind of descriptor: any that is confirmed will do.
            let mut best: Option<&Finding> = None;
            for (finding, used) in findings.iter().zip(used.iter_mut()).filter(|(f, _)| fits(f)) {
                *used = true;
                if best.is_none_or(|known| !known.is_confirmed()) {
                    best = Some(finding);
                }
            }
            if let Some(finding) = best {
                let severe = severity.is_none_or(|severity| finding.severity == *severity);
                check.reported = finding.told();
                check.line = finding.place();
                check.passed = Some(finding.is_confirmed() && severe);
                check.seconds = finding.confirmed_after;
            }
            checks.push(check);
        };
    for (index, site) in row.sites.iter().enumerate() {
        let severity = row.severities.get(index);
        let severe = severity.map_or_else(String::new, |severity| format!(" ({severity})"));
        let place = format!("{}:{} {}", site.file, site.line, site.function);
        let expected = format!("{}{severe} at {place}", site.kind);
        find(expected, severity, &|finding| finding.kind == site.kind && finding.is_at(site));
    }
    for kind in &row.without_line {
        let fits = |finding: &Finding| finding.kind == *kind && finding.site.is_none();
        find(format!("{kind} without a line"), None, &fits);
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(findings: &[&str], without_line: &[&str], severities: &[&str]) -> Row {
        let list = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let text = format!(
            "id = 'x-1'\naudit = ''\nseconds = 30\nprofiler = []\nfindings = {:?}\n\
             without_line = {:?}\nseverities = {:?}",
            list(findings),
            list(without_line),
            list(severities)
        );
        toml::from_str(&text).unwrap()
    }

    fn with_site(mut row: Row) -> Row {
        row.sites = vec![Site::at("slow-call", "x/m.py", 2, "f")];
        row
    }

    fn finding(kind: &str, confidence: &str, line: Option<u64>) -> Finding {
        let site = line.map(|line| json!({"file": "/w/x/m.py", "line": line, "function": "f"}));
        Finding::parse(&json!({
            "kind": kind, "confidence": confidence, "severity": "high", "site": site,
            "evidence": {}
        }))
        .unwrap()
    }

    fn passed(checks: &[Check]) -> Vec<Option<bool>> {
        checks.iter().map(|check| check.passed).collect()
    }

    #[test]
    fn a_fault_is_confirmed_at_its_line() {
        let row = with_site(row(&["slow-call"], &[], &[]));
        let judged = |findings: &[Finding]| passed(&judge(&row, Variant::Audited, findings));
        let right = finding("slow-call", "confirmed", Some(2));
        assert_eq!(judged(std::slice::from_ref(&right)), [Some(true)]);
        assert_eq!(judged(&[]), [Some(false)]);
        assert_eq!(judged(&[finding("slow-call", "suspected", Some(2))]), [Some(false)]);
        // At another line: missing where it belongs, and shown where it was.
        assert_eq!(judged(&[finding("slow-call", "confirmed", Some(1))]), [Some(false), None]);
        assert_eq!(
            judged(&[right, finding("busy-poll", "confirmed", Some(1))]),
            [Some(true), None]
        );
    }

    #[test]
    fn severities_count_where_the_row_has_them() {
        let site = |severity: &str| with_site(row(&["slow-call"], &[], &[severity]));
        let findings = [finding("slow-call", "confirmed", Some(2))];
        assert_eq!(passed(&judge(&site("high"), Variant::Audited, &findings)), [Some(true)]);
        assert_eq!(passed(&judge(&site("critical"), Variant::Audited, &findings)), [Some(false)]);
    }

    #[test]
    fn what_has_no_line_must_have_none() {
        let row = row(&["idle-memory"], &["idle-memory"], &[]);
        let judged = |line| {
            let findings = [finding("idle-memory", "confirmed", line)];
            passed(&judge(&row, Variant::Audited, &findings))
        };
        assert_eq!(judged(None), [Some(true)]);
        assert_eq!(judged(Some(7)), [Some(false), None]);
    }

    #[test]
    fn a_remedy_has_none_of_the_kinds() {
        let row = with_site(row(&["slow-call"], &[], &[]));
        let judged = |findings: &[Finding]| passed(&judge(&row, Variant::Fixed, findings));
        assert_eq!(judged(&[]), [Some(true)]);
        assert_eq!(judged(&[finding("slow-call", "suspected", Some(9))]), [Some(false)]);
        assert_eq!(judged(&[finding("busy-poll", "confirmed", Some(9))]), [Some(true), None]);
    }

    #[test]
    fn a_row_without_findings_has_none_at_all() {
        let row = row(&[], &[], &[]);
        assert_eq!(passed(&judge(&row, Variant::Audited, &[])), [Some(true)]);
        let found = [finding("busy-poll", "suspected", Some(9))];
        assert_eq!(passed(&judge(&row, Variant::Audited, &found)), [Some(false)]);
    }

    #[test]
    fn a_newer_word_replaces_the_older() {
        let mut findings = Vec::new();
        take_in(&mut findings, finding("slow-call", "suspected", Some(2)), 5.0);
        take_in(&mut findings, finding("slow-call", "confirmed", Some(2)), 9.0);
        take_in(&mut findings, finding("slow-call", "confirmed", Some(2)), 12.0);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].confirmed_after, Some(9.0));
        take_in(&mut findings, finding("slow-call", "suspected", Some(2)), 15.0);
        assert_eq!(findings[0].confirmed_after, None);
    }
}
