//! The result as a table of one line a row, between two marks of the README.

use std::path::Path;

use anyhow::Result;

use super::Variant;
use super::table::rows;
use super::verdict::Check;
use crate::marked;

/// Puts the table between the marks.
pub(super) fn write(
    path: &Path,
    checks: &[Check],
    audits: &[(String, String)],
    date: &str,
) -> Result<()> {
    marked::write(path, "audit", &summary(checks, audits, date))
}

/// One line a row: what the audit says, what was found at its line, whether the remedy is clean.
fn summary(checks: &[Check], audits: &[(String, String)], date: &str) -> String {
    let mut text = format!(
        "As of {date}:\n\n\
         | row | what the audit says | finding at its line | seconds | remedied |\n\
         |---|---|---|---|---|\n"
    );
    for row in rows(checks) {
        let of = |variant: Variant| {
            checks.iter().filter(move |check| {
                check.row == row && check.variant == variant && check.passed.is_some()
            })
        };
        let mut kinds: Vec<&str> = of(Variant::Audited)
            .filter_map(|check| check.expected.split_whitespace().next())
            .filter(|kind| *kind != "nothing")
            .collect();
        kinds.dedup();
        let mark = |mut checks: Box<dyn Iterator<Item = &Check> + '_>, good: &'static str| {
            if checks.all(|check| check.passed == Some(true)) { good } else { "**failed**" }
        };
        let found = mark(Box::new(of(Variant::Audited)), "");
        let seconds = of(Variant::Audited).filter_map(|check| check.seconds).fold(0.0, f64::max);
        let seconds = if seconds > 0.0 { format!("{seconds:.0}") } else { String::new() };
        let audit = audits.iter().find(|(id, _)| id == row).map_or("", |(_, audit)| audit);
        let kinds =
            if kinds.is_empty() { "none, as it should be".into() } else { kinds.join(", ") };
        text += &format!(
            "| {row} | {} | {} | {seconds} | {} |\n",
            audit.replace('|', "\\|"),
            format!("{kinds} {found}").trim(),
            mark(Box::new(of(Variant::Fixed)), "clean"),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, variant: Variant, expected: &str, passed: Option<bool>) -> Check {
        Check {
            row: row.to_owned(),
            variant,
            expected: expected.to_owned(),
            reported: String::new(),
            line: String::new(),
            passed,
            seconds: Some(12.4),
        }
    }

    #[test]
    fn each_row_has_its_line() {
        let checks = [
            check("a-1", Variant::Audited, "slow-call at m.py:2 f", Some(true)),
            check("a-1", Variant::Audited, "", None),
            check("a-1", Variant::Fixed, "no slow-call", Some(false)),
        ];
        let audits = [("a-1".to_owned(), "slow | slower".to_owned())];
        let text = summary(&checks, &audits, "2026-01-01");
        let line = "| a-1 | slow \\| slower | slow-call | 12 | **failed** |\n";
        assert!(text.ends_with(line), "{text}");
    }
}
