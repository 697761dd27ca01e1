//! Samples of the CPU's clock, 99 a second on each CPU, and of the page faults, one of 17.

use std::fs;
use std::os::fd::IntoRawFd;

use libbpf_rs::{Link, ProgramMut};
use perf_event::Builder;
use perf_event::events::Software;
use pitviper_probes::PitviperSkel;

/// Not a divisor of the round rates at which programs do things, so that it does not keep step.
pub(super) const HERTZ: u64 = 99;

/// Page faults between two samples of them. A prime, so that it does not keep step with lines that
/// touch so many pages by turns.
pub(super) const FAULTS: u64 = 17;

/// The numbers of the CPUs that are online: `0-3,8`.
fn online() -> Vec<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// Runs the program at each `period` of the event on every CPU.
fn on_each_cpu(
    program: &ProgramMut<'_>,
    event: Software,
    period: impl Fn(&mut Builder<'_>),
    unseen: &str,
) -> Result<Vec<Link>, String> {
    let refused = |cause: &dyn std::fmt::Display| format!("{unseen} ({cause})");
    let mut links = Vec::new();
    for cpu in online() {
        let mut builder = Builder::new().kind(event).any_pid().one_cpu(cpu);
        period(&mut builder);
        let counter = builder.build().map_err(|cause| refused(&cause))?;
        // The link closes the descriptor when it goes.
        let link = program.attach_perf_event(counter.into_raw_fd());
        links.push(link.map_err(|cause| refused(&cause))?);
    }
    Ok(links)
}

/// Samples the CPU's clock. What a kernel or a missing right refuses is told as one sentence.
pub(super) fn clock(skeleton: &PitviperSkel<'static>, hertz: u64) -> Result<Vec<Link>, String> {
    if hertz == 0 {
        return Ok(Vec::new());
    }
    on_each_cpu(
        &skeleton.progs.sample,
        Software::CPU_CLOCK,
        |builder| {
            builder.sample_frequency(hertz);
        },
        "no samples of the CPU: computing that blocks an event loop goes unseen",
    )
}

/// Samples the page faults. What is refused is told as one sentence.
pub(super) fn faults(skeleton: &PitviperSkel<'static>) -> Result<Vec<Link>, String> {
    on_each_cpu(
        &skeleton.progs.touch,
        Software::PAGE_FAULTS,
        |builder| {
            builder.sample_period(FAULTS);
        },
        "no samples of page faults: the line behind memory that grows is not known where the \
         interpreter maps far ahead",
    )
}
