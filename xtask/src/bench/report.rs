//! A benchmark's result as text, Markdown and JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::environment::Environment;
use super::program_time::ProgramTime;
use super::rounds::Series;
use crate::interpreters::Interpreter;

pub(super) struct Report {
    title: &'static str,
    environment: Environment,
    iterations: u64,
    /// The first is what the others are compared with.
    pub(super) series: Vec<Series>,
    /// Empty where no eBPF program was counted.
    pub(super) programs: Vec<ProgramTime>,
    /// What else there is to say, a sentence each.
    pub(super) notes: Vec<String>,
}

/// A table's rows, its heading first.
type Rows = Vec<Vec<String>>;

impl Report {
    pub(super) fn new(title: &'static str, python: Option<&Interpreter>, iterations: u64) -> Self {
        let environment = Environment::of(python);
        Self {
            title,
            environment,
            iterations,
            series: Vec::new(),
            programs: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// For the terminal.
    pub(super) fn text(&self) -> String {
        let tables: Vec<String> = self.tables().iter().map(aligned).collect();
        let notes: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        format!("{}\n{}\n\n{}{notes}", self.title, self.conditions(), tables.join("\n"))
    }

    pub(super) fn markdown(&self) -> String {
        let tables: Vec<String> = self.tables().iter().map(markdown).collect();
        let notes: String = self.notes.iter().map(|note| format!("\n{note}\n")).collect();
        format!("### {}\n\n{}\n\n{}{notes}", self.title, self.conditions(), tables.join("\n"))
    }

    /// With the values of every round.
    pub(super) fn json(&self) -> Result<String> {
        let series = |series: &Series| {
            json!({
                "case": series.name,
                "nanoseconds": series.nanoseconds,
                "median_nanoseconds": series.median(),
                "added_nanoseconds": self.baseline().map(|alone| series.added(alone)),
                "ratio": self.baseline().map(|alone| series.ratio(alone)),
            })
        };
        let document = json!({
            "benchmark": self.title,
            "environment": self.environment,
            "iterations": self.iterations,
            "cases": self.series.iter().map(series).collect::<Vec<_>>(),
            "programs": self.programs,
            "notes": self.notes,
        });
        let text = serde_json::to_string_pretty(&document).context("failed to write JSON")?;
        Ok(text + "\n")
    }

    fn baseline(&self) -> Option<&Series> {
        self.series.first()
    }

    fn conditions(&self) -> String {
        let rounds = self.baseline().map_or(0, |alone| alone.nanoseconds.len());
        format!(
            "{}; median of {rounds} interleaved rounds of {} iterations.",
            self.environment.describe(),
            self.iterations
        )
    }

    fn tables(&self) -> Vec<Rows> {
        let mut tables = vec![self.cases()];
        if !self.programs.is_empty() {
            tables.push(self.program_times());
        }
        tables
    }

    fn cases(&self) -> Rows {
        let mut rows = vec![row(["case", "ns per iteration", "added ns", "× alone"])];
        let Some(alone) = self.baseline() else { return rows };
        for series in &self.series {
            rows.push(row([
                series.name,
                &format!("{:.0}", series.median()),
                &format!("{:+.0}", series.added(alone)),
                &format!("{:.2}", series.ratio(alone)),
            ]));
        }
        rows
    }

    fn program_times(&self) -> Rows {
        let mut rows = vec![row(["eBPF program", "runs", "ns per run"])];
        rows.extend(self.programs.iter().map(|program| {
            row([
                &program.name,
                &program.runs.to_string(),
                &format!("{:.0}", program.nanoseconds_per_run),
            ])
        }));
        rows
    }
}

/// Writes a report where the user wants it.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// The first column to the left, the numbers to the right.
fn aligned(rows: &Rows) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = width(column).unwrap_or(0);
            if column == 0 {
                text += &format!("{cell:<width$}");
            } else {
                text += &format!("  {cell:>width$}");
            }
        }
        text.push('\n');
    }
    text
}

fn markdown(rows: &Rows) -> String {
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        text += &format!("| {} |\n", row.join(" | "));
        if index == 0 {
            text += &format!("|---|{}\n", "---:|".repeat(row.len() - 1));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("Opening", None, 10);
        report.series = vec![
            Series { name: "alone", nanoseconds: vec![100.0, 200.0, 100.0] },
            Series { name: "traced", nanoseconds: vec![150.0, 300.0, 150.0] },
        ];
        report.programs =
            vec![ProgramTime { name: "enter".to_owned(), runs: 20, nanoseconds_per_run: 61.4 }];
        report
    }

    #[test]
    fn columns_line_up() {
        let text = report().text();
        let table: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(table[0], "case    ns per iteration  added ns  × alone");
        assert_eq!(table[1], "alone                100        +0     1.00");
        assert_eq!(table[2], "traced               150       +50     1.50");
        assert_eq!(table[5], "enter           20          61");
    }

    #[test]
    fn markdown_has_a_table_for_each_kind() {
        let text = report().markdown();
        assert!(text.contains("| traced | 150 | +50 | 1.50 |\n"), "{text}");
        assert!(text.contains("| eBPF program | runs | ns per run |\n|---|---:|---:|\n"), "{text}");
    }

    #[test]
    fn json_keeps_every_round() {
        let document: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(document["cases"][1]["nanoseconds"], json!([150.0, 300.0, 150.0]));
        assert_eq!(document["cases"][1]["ratio"], json!(1.5));
        assert_eq!(document["programs"][0]["name"], "enter");
    }
}
