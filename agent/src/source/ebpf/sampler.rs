//! Samples of the CPU's clock, 99 a second on each CPU.

use std::fs;
use std::os::fd::IntoRawFd;

use libbpf_rs::Link;
use perf_event::Builder;
use perf_event::events::Software;
use pitviper_probes::PitviperSkel;

/// Not a divisor of the round rates at which programs do things, so that it does not keep step.
pub(super) const HERTZ: u64 = 99;

/// The numbers of the CPUs that are online: `0-3,8`.
fn online() -> Vec<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Attaches to every CPU. What a kernel or a missing right refuses is told as one sentence.
pub(super) fn attach(skeleton: &PitviperSkel<'static>, hertz: u64) -> Result<Vec<Link>, String> {
    if hertz == 0 {
        return Ok(Vec::new());
    }
    let refused = |cause: &dyn std::fmt::Display| {
        format!("no samples of the CPU: computing that blocks an event loop goes unseen ({cause})")
    };
    let mut links = Vec::new();
    for cpu in online() {
        let mut builder = Builder::new().kind(Software::CPU_CLOCK).any_pid().one_cpu(cpu);
        builder.sample_frequency(hertz);
        let counter = builder.build().map_err(|cause| refused(&cause))?;
        // The link closes the descriptor when it goes.
        let link = skeleton.progs.sample.attach_perf_event(counter.into_raw_fd());
        links.push(link.map_err(|cause| refused(&cause))?);
    }
    Ok(links)
}
