//! Where a workload does what it does: lines are found by a marker in the program, never counted.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A place in a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The program's path, as its code objects have it.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// The function (`co_name`).
    pub function: String,
}

impl Site {
    /// Whether a JSON frame (`file`, `line`, `function`) is this place.
    pub fn is(&self, frame: &Value) -> bool {
        frame["file"] == self.file.as_str()
            && frame["line"] == self.line
            && frame["function"] == self.function.as_str()
    }
}

/// The path of a program of `workloads/`.
pub fn workload(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("workloads").join(name)
}

/// The line of `workload` that ends with the comment `# SITE <marker>`, and its function.
///
/// # Errors
/// When no such line is there, or more than one.
pub fn marked(name: &str, marker: &str) -> Result<Site> {
    let path = workload(name);
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path:?}"))?;
    let comment = format!("# SITE {marker}");
    let lines: Vec<&str> = text.lines().collect();
    let hits: Vec<usize> =
        (0..lines.len()).filter(|&index| lines[index].ends_with(&comment)).collect();
    ensure!(hits.len() == 1, "{path:?} has {} lines with {comment:?}", hits.len());
    let function = lines[..hits[0]]
        .iter()
        .rev()
        .find_map(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("def ")?.split('(').next()
        })
        .with_context(|| format!("{path:?}: {comment:?} is in no function"))?;
    Ok(Site {
        file: path.display().to_string(),
        line: hits[0] as u64 + 1,
        function: function.to_owned(),
    })
}
