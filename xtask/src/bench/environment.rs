//! What the numbers of a benchmark depend on and a reader needs to know.

use std::fs;

use serde::Serialize;

use crate::interpreters::Interpreter;

/// The machine and the interpreter of a measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Environment {
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// Absent where the measured program is not Python.
    pub(crate) python: Option<String>,
}

impl Environment {
    pub(crate) fn of(python: Option<&Interpreter>) -> Self {
        let processors = std::thread::available_parallelism();
        Self {
            kernel: read("/proc/sys/kernel/osrelease"),
            processor: model(&read("/proc/cpuinfo")),
            processors: processors.map_or(1, std::num::NonZero::get),
            python: python.map(|python| python.version.to_string()),
        }
    }

    /// One line.
    pub(crate) fn describe(&self) -> String {
        let python = self.python.as_ref().map(|version| format!(", Python {version}"));
        format!(
            "Linux {}, {} ({} processors){}",
            self.kernel,
            self.processor,
            self.processors,
            python.unwrap_or_default()
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}
