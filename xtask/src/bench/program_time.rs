//! The kernel's own account of what each eBPF program takes.
//!
//! With `/proc/sys/kernel/bpf_stats_enabled` set, the kernel adds up every program's run
//! time and runs; `bpftool prog show` prints them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::privilege::Privilege;
use crate::process;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// What one program took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ProgramTime {
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) nanoseconds_per_run: f64,
}

/// The kernel's switch, put back to what it was when the value goes.
pub(super) struct Statistics {
    privilege: Privilege,
    before: String,
    /// The programs that were loaded already.
    others: BTreeSet<u64>,
}

impl Statistics {
    pub(super) fn enable(privilege: Privilege) -> Result<Self> {
        let before =
            fs::read_to_string(SWITCH).with_context(|| format!("failed to read {SWITCH}"))?;
        let others = show(privilege)?.iter().map(|program| program.id).collect();
        let statistics = Self { privilege, before, others };
        statistics.set("1")?;
        Ok(statistics)
    }

    /// The programs that were loaded since and have run, the most expensive first.
    pub(super) fn since_enabled(&self) -> Result<Vec<ProgramTime>> {
        Ok(times(show(self.privilege)?, &self.others))
    }

    fn set(&self, value: &str) -> Result<()> {
        let mut command = self.privilege.command("sh");
        command.args(["-c", &format!("echo {value} > {SWITCH}")]).stdin(Stdio::null());
        process::run(&mut command)
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        if let Err(error) = self.set(self.before.trim()) {
            eprintln!("failed to restore {SWITCH}: {error:#}");
        }
    }
}

#[derive(Deserialize)]
struct Program {
    id: u64,
    #[serde(default)]
    name: String,
    /// Absent until the program has run.
    #[serde(default)]
    run_time_ns: u64,
    #[serde(default)]
    run_cnt: u64,
}

fn show(privilege: Privilege) -> Result<Vec<Program>> {
    let bpftool = process::find_program("bpftool").context("bpftool is missing")?;
    let shown = process::output(privilege.command(bpftool).args(["prog", "show", "--json"]))?;
    serde_json::from_str(&shown).context("failed to read what `bpftool prog show` printed")
}

fn times(programs: Vec<Program>, others: &BTreeSet<u64>) -> Vec<ProgramTime> {
    let mut own: Vec<Program> = programs
        .into_iter()
        .filter(|program| program.run_cnt > 0 && !others.contains(&program.id))
        .collect();
    own.sort_by_key(|program| std::cmp::Reverse(program.run_time_ns));
    let time = |program: Program| ProgramTime {
        name: program.name,
        runs: program.run_cnt,
        nanoseconds_per_run: program.run_time_ns as f64 / program.run_cnt as f64,
    };
    own.into_iter().map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_programs_that_ran_are_listed_dearest_first() {
        let shown = r#"[
            {"id":3,"type":"tracing","name":"others","run_time_ns":900,"run_cnt":9},
            {"id":7,"type":"raw_tracepoint","name":"enter","run_time_ns":1000,"run_cnt":4},
            {"id":8,"type":"raw_tracepoint","name":"exit","run_time_ns":6000,"run_cnt":4},
            {"id":9,"type":"raw_tracepoint","name":"never"},
            {"id":10,"type":"cgroup_skb"}
        ]"#;
        let times = times(serde_json::from_str(shown).unwrap(), &BTreeSet::from([3]));
        let names: Vec<&str> = times.iter().map(|time| time.name.as_str()).collect();
        assert_eq!(names, ["exit", "enter"]);
        assert_eq!(times[1].nanoseconds_per_run, 250.0);
    }
}
