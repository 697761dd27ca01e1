//! Memory, threads and CPU time of processes, as the system tells them.

use prometheus_client::registry::Unit;

use super::alive::Alive;
use super::family::{Family, PROCESS, Scrape, Series};

pub(super) fn register(scrape: &mut Scrape<'_>, alive: &Alive<'_>) {
    let mut resident = Series::default();
    let mut anonymous = Series::default();
    let mut threads = Series::default();
    let mut cpu = Series::default();
    let mut info = Series::default();
    for (name, process) in &alive.processes {
        info.add(name.with(&[&process.info.python]), 1.0);
        let Some(sample) = process.memory.newest() else { continue };
        resident.add(name.alone(), sample.resident as f64);
        anonymous.add(name.alone(), sample.anonymous as f64);
        threads.add(name.alone(), sample.threads as f64);
        cpu.add(name.alone(), sample.cpu_ns as f64 / 1e9);
    }
    let family = |name, help| Family::new(name, help).of(PROCESS);
    let help = "Memory of the process that is resident";
    scrape.gauge(family("process_resident_memory", help).unit(Unit::Bytes), resident);
    let help = "Of the resident memory, what is anonymous";
    scrape.gauge(family("process_anonymous_memory", help).unit(Unit::Bytes), anonymous);
    scrape.gauge(family("process_threads", "Threads of the process"), threads);
    let help = "CPU time of the process since it started";
    scrape.counter(family("process_cpu", help).unit(Unit::Seconds), cpu);
    let help = "The interpreter's version of each process";
    scrape.info(Family::new("process", help).of(&["pid", "service", "python"]), info);
}
