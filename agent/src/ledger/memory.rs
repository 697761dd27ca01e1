//! Memory, threads and CPU time of a process over time, as the system tells them.

use std::collections::VecDeque;

use super::{Ledger, SECOND_NS};
use crate::event::ProcessId;

/// Samples that are kept; when there are more, every second one of the older half goes.
const SAMPLES: usize = 1_200;

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemorySample {
    /// Monotonic nanoseconds.
    pub time_ns: u64,
    /// Bytes resident in all (VmRSS).
    pub resident: u64,
    /// Of those, anonymous (RssAnon).
    pub anonymous: u64,
    /// Threads.
    pub threads: u64,
    /// CPU nanoseconds used so far.
    pub cpu_ns: u64,
}

/// The samples of one process, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryHistory {
    samples: VecDeque<MemorySample>,
}

impl MemoryHistory {
    /// Adds a sample.
    pub fn push(&mut self, sample: MemorySample) {
        self.samples.push_back(sample);
        if self.samples.len() > SAMPLES {
            let mut index = 0usize;
            self.samples.retain(|_| {
                index += 1;
                index > SAMPLES / 2 || index % 2 == 1
            });
        }
    }

    /// The samples of the last `span_ns`.
    pub fn last(&self, span_ns: u64) -> impl Iterator<Item = &MemorySample> {
        let now = self.samples.back().map_or(0, |sample| sample.time_ns);
        self.samples.iter().filter(move |sample| sample.time_ns + span_ns >= now)
    }

    /// The newest.
    pub fn newest(&self) -> Option<&MemorySample> {
        self.samples.back()
    }

    /// The first that is kept.
    pub fn oldest(&self) -> Option<&MemorySample> {
        self.samples.front()
    }

    /// Growth of the anonymous part in bytes a minute over the last `span_ns`, by least squares;
    /// `None` with fewer than 5 samples.
    pub fn slope(&self, span_ns: u64) -> Option<f64> {
        let points: Vec<(f64, f64)> = self
            .last(span_ns)
            .map(|s| (s.time_ns as f64 / SECOND_NS as f64, s.anonymous as f64))
            .collect();
        if points.len() < 5 {
            return None;
        }
        let n = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let (mut up, mut down) = (0.0, 0.0);
        for (px, py) in &points {
            up += (px - x) * (py - y);
            down += (px - x) * (px - x);
        }
        (down > 0.0).then(|| up / down * 60.0)
    }
}

impl Ledger {
    /// Takes in a sample of a process.
    pub fn observe_memory(&mut self, id: ProcessId, sample: MemorySample) {
        if let Some(process) = self.processes.get_mut(&id) {
            process.memory.push(sample);
        }
    }
}
