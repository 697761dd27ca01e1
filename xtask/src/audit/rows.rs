//! What the audits say: the rows of each audited system, and the lines that its program marks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// An audited system: a package among the workloads, with a `rows.toml`.
#[derive(Debug)]
pub(super) struct System {
    pub(super) name: String,
    pub(super) packages: Vec<String>,
    pub(super) programs: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One row of an audit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) id: String,
    /// The audit's own words.
    pub(super) audit: String,
    /// The kinds of finding that the fault must yield.
    pub(super) findings: Vec<String>,
    /// Those of them that are reported without a line.
    pub(super) without_line: Vec<String>,
    /// How severe the finding at each marked line is, in the order of the markers.
    #[serde(default)]
    pub(super) severities: Vec<String>,
    /// How long to watch.
    pub(super) seconds: u64,
    /// Options that `pitviper attach` takes for this row.
    pub(super) profiler: Vec<String>,
    /// The lines at which the findings belong.
    #[serde(skip)]
    pub(super) sites: Vec<Site>,
}

/// A marked line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) kind: String,
    /// Tells apart several of one kind; 0 where there is one.
    number: u32,
    /// `system/module.py`
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) function: String,
}

#[cfg(test)]
impl Site {
    pub(super) fn at(kind: &str, file: &str, line: u64, function: &str) -> Self {
        let (kind, file, function) = (kind.to_owned(), file.to_owned(), function.to_owned());
        Self { kind, number: 0, file, line, function }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    packages: Vec<String>,
    programs: Vec<String>,
    #[serde(default)]
    row: Vec<Row>,
}

/// Every system below `workloads`, by name.
pub(super) fn systems(workloads: &Path) -> Result<Vec<System>> {
    let entries = fs::read_dir(workloads)
        .with_context(|| format!("failed to list {}", workloads.display()))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("rows.toml").is_file());
    folders.sort();
    folders.iter().map(|folder| system(folder)).collect()
}

fn system(folder: &Path) -> Result<System> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = folder.join("rows.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let file: File =
        toml::from_str(&text).with_context(|| format!("failed to read {}", path.display()))?;
    let marked = markers(folder, &name)?;
    let mut rows = file.row;
    for row in &mut rows {
        row.sites =
            marked.iter().filter(|(id, _)| *id == row.id).map(|(_, site)| site.clone()).collect();
        check(row).with_context(|| format!("{}, row {}", path.display(), row.id))?;
    }
    if let Some((id, site)) = marked.iter().find(|(id, _)| rows.iter().all(|row| row.id != *id)) {
        bail!("{}:{} marks the row {id}, which is not in rows.toml", site.file, site.line);
    }
    Ok(System { name, packages: file.packages, programs: file.programs, rows })
}

/// Markers and row agree.
fn check(row: &Row) -> Result<()> {
    for kind in &row.findings {
        let marked = row.sites.iter().any(|site| site.kind == *kind);
        let lineless = row.without_line.contains(kind);
        ensure!(marked != lineless, "{kind} needs a marked line or a place in without_line");
    }
    for site in &row.sites {
        ensure!(row.findings.contains(&site.kind), "{} is marked, but not expected", site.kind);
    }
    ensure!(
        row.severities.is_empty() || row.severities.len() == row.sites.len(),
        "{} severities for {} marked lines",
        row.severities.len(),
        row.sites.len()
    );
    Ok(())
}

/// Every `# SITE row kind [number]` of the package, in the order of kind and number.
fn markers(folder: &Path, system: &str) -> Result<Vec<(String, Site)>> {
    let mut found = Vec::new();
    for path in sources(folder)? {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let within = path.strip_prefix(folder).unwrap_or(&path).display();
        found.extend(marked_lines(&text, &format!("{system}/{within}"))?);
    }
    found.sort_by(|(_, a), (_, b)| (&a.kind, a.number).cmp(&(&b.kind, b.number)));
    Ok(found)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "py") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn marked_lines(text: &str, file: &str) -> Result<Vec<(String, Site)>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((_, marker)) = line.split_once("# SITE ") else { continue };
        let words: Vec<&str> = marker.split_whitespace().collect();
        let (row, kind, number) = match words[..] {
            [row, kind] => (row, kind, Some(0)),
            [row, kind, number] => (row, kind, number.parse().ok()),
            _ => bail!("{file}:{}: a marker is `# SITE row kind [number]`", index + 1),
        };
        let number = number.with_context(|| format!("{file}:{}: no number", index + 1))?;
        found.push((
            row.to_owned(),
            Site {
                kind: kind.to_owned(),
                number,
                file: file.to_owned(),
                line: index as u64 + 1,
                function: function_around(&lines[..=index]),
            },
        ));
    }
    Ok(found)
}

/// The function that the last line is in: the nearest `def` that is less indented.
fn function_around(lines: &[&str]) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut inside = lines.last().map_or(0, |line| indent(line));
    for line in lines.iter().rev().filter(|line| !line.trim().is_empty()) {
        if indent(line) >= inside {
            continue;
        }
        inside = indent(line);
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(definition) = line.strip_prefix("def ") {
            return definition.split('(').next().unwrap_or_default().trim().to_owned();
        }
    }
    "<module>".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "\
class Store:
    async def load(self, path):
        def read():
            return 1

        for each in path:
            await each.get()  # SITE x-1 slow-call 2
        with open(path) as it:
            it.read()  # SITE x-1 slow-call 1

go()  # SITE x-2 busy-poll
";

    #[test]
    fn a_marked_line_knows_its_function() {
        let found = marked_lines(PROGRAM, "x/store.py").unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|(row, s)| (row.as_str(), s.kind.as_str(), s.line, s.function.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("x-1", "slow-call", 7, "load"),
                ("x-1", "slow-call", 9, "load"),
                ("x-2", "busy-poll", 11, "<module>"),
            ]
        );
        assert!(marked_lines("f()  # SITE x-1", "x.py").is_err());
        assert!(marked_lines("f()  # SITE x-1 slow-call one", "x.py").is_err());
    }

    #[test]
    fn every_system_of_the_project_is_consistent() {
        let systems = systems(&crate::workspace::root().join("tests/workloads")).unwrap();
        assert!(systems.len() >= 4);
        assert!(systems.iter().all(|system| !system.rows.is_empty()));
    }
}
