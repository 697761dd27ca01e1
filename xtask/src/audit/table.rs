//! The result as a table, for the terminal and as Markdown.

use super::verdict::Check;

const HEADING: [&str; 7] = ["row", "variant", "expected", "reported", "line", "verdict", "seconds"];

fn cells(check: &Check) -> [String; 7] {
    let verdict = match check.passed {
        Some(true) => "ok",
        Some(false) => "FAILED",
        None => "beside it",
    };
    [
        check.row.clone(),
        check.variant.name().to_owned(),
        check.expected.clone(),
        check.reported.clone(),
        check.line.clone(),
        verdict.to_owned(),
        check.seconds.map_or_else(String::new, |seconds| format!("{seconds:.0}")),
    ]
}

/// The rows that ran, in their order.
pub(super) fn rows(checks: &[Check]) -> Vec<&str> {
    let mut rows: Vec<&str> = checks.iter().map(|check| check.row.as_str()).collect();
    rows.dedup();
    rows
}

/// The rows of which a check failed.
pub(super) fn failed(checks: &[Check]) -> Vec<&str> {
    let failed =
        |row: &&str| checks.iter().any(|check| check.row == **row && check.passed == Some(false));
    rows(checks).into_iter().filter(failed).collect()
}

/// For the terminal.
pub(super) fn text(checks: &[Check]) -> String {
    let heading = HEADING.map(str::to_owned);
    let table: Vec<[String; 7]> =
        std::iter::once(heading).chain(checks.iter().map(cells)).collect();
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADING.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let padded = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    table.iter().map(line).collect()
}

/// A whole document.
pub(super) fn markdown(checks: &[Check], environment: &str, date: &str) -> String {
    let all = rows(checks);
    let failed = failed(checks);
    let mut text = format!(
        "# The audits\n\n\
         What `cargo xtask audit` saw on {date}: {environment}. {} of {} rows are as they should \
         be.\n\n\
         Each row of an audit runs twice: as it was audited, where each finding must be confirmed at \
         the marked line of the program, and with the audit's remedy, where none of the row's kinds \
         may be found. Seconds are those from the start of the fault to the confirmed finding. What \
         was reported beside it is shown and does not count.\n\n\
         | {} |\n|{}\n",
        all.len() - failed.len(),
        all.len(),
        HEADING.join(" | "),
        "---|".repeat(HEADING.len()),
    );
    for check in checks {
        let cells = cells(check).map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Variant;

    fn check(row: &str, passed: Option<bool>) -> Check {
        Check {
            row: row.to_owned(),
            variant: Variant::Audited,
            expected: "slow-call at x/m.py:2 f".to_owned(),
            reported: "confirmed | high".to_owned(),
            line: "x/m.py:2 f".to_owned(),
            passed,
            seconds: Some(12.4),
        }
    }

    #[test]
    fn a_row_fails_with_any_of_its_checks() {
        let checks = [
            check("a", Some(true)),
            check("a", None),
            check("b", Some(true)),
            check("b", Some(false)),
        ];
        assert_eq!(rows(&checks), ["a", "b"]);
        assert_eq!(failed(&checks), ["b"]);
    }

    #[test]
    fn tables_hold_every_check() {
        let checks = [check("a", Some(true)), check("b", Some(false))];
        assert_eq!(text(&checks).lines().count(), 3);
        let markdown = markdown(&checks, "Linux", "2026-01-01");
        assert!(markdown.contains("1 of 2 rows"), "{markdown}");
        assert!(markdown.contains("| confirmed \\| high |"), "{markdown}");
    }
}
