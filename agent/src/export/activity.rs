//! What each line did, for reports.

use serde::Serialize;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger};
use crate::python::Frame;
use crate::source::{Act, Mapped, Sums};

/// Lines that a report tells of, the busiest of each sort first.
const LINES: usize = 512;

/// Objects that a line tells of.
const OBJECTS: usize = 8;

/// One sort of acts of one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Activity {
    act: &'static str,
    class: Option<&'static str>,
    pid: u32,
    #[serde(serialize_with = "place")]
    site: Option<Frame>,
    #[serde(flatten)]
    sums: Figures,
    objects: Vec<Named>,
}

/// Sums in base units.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Figures {
    count: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
    max_seconds: f64,
    queued_seconds: f64,
    starts: u64,
    repeats: u64,
    repeat_bytes: u64,
}

/// What a line was busy with.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Named {
    name: String,
    count: u64,
    bytes: u64,
    seconds: f64,
}

fn place<S: serde::Serializer>(site: &Option<Frame>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Place<'a> {
        file: &'a str,
        line: u32,
        function: &'a str,
    }
    let place = site.as_ref().map(|f| Place { file: &f.file, line: f.line, function: &f.function });
    place.serialize(to)
}

fn seconds(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1e6
}

impl From<&Sums> for Figures {
    fn from(sums: &Sums) -> Self {
        Self {
            count: sums.count,
            failed: sums.failed,
            bytes: sums.bytes,
            seconds: seconds(sums.ns),
            max_seconds: seconds(sums.max_ns),
            queued_seconds: seconds(sums.queued_ns),
            starts: sums.starts,
            repeats: sums.repeats,
            repeat_bytes: sums.repeat_bytes,
        }
    }
}

/// The published name of what was mapped.
pub(super) fn mapped_name(mapped: Mapped) -> &'static str {
    match mapped {
        Mapped::Anonymous => "anonymous",
        Mapped::File => "file",
        Mapped::Stack => "stack",
        Mapped::Heap => "heap",
        Mapped::Reserved => "reserved",
    }
}

/// The published names of an act and of its class.
pub fn act_name(act: Act) -> (&'static str, Option<&'static str>) {
    match act {
        Act::Spawn => ("spawn", None),
        Act::Thread => ("thread", None),
        Act::ThreadEnd => ("thread-end", None),
        Act::Exec => ("exec", None),
        Act::Child => ("child", None),
        Act::Open => ("open", None),
        Act::Connect => ("connect", None),
        Act::Connection => ("connection", None),
        Act::Read => ("read", None),
        Act::Write => ("write", None),
        Act::Sync => ("sync", None),
        Act::List => ("list", None),
        Act::Stat => ("stat", None),
        Act::Map(mapped) => ("map", Some(mapped_name(mapped))),
        Act::Unmap(mapped) => ("unmap", Some(mapped_name(mapped))),
        Act::Wait(class) => ("wait", Some(class.name())),
        Act::Stall => ("stall", None),
        Act::Queue => ("queue", None),
        Act::OffCpu => ("off-cpu", None),
        Act::OnCpu => ("on-cpu", None),
        Act::Touch => ("touch", None),
    }
}

impl Activity {
    /// What lines did, the busiest first.
    pub fn of(ledger: &Ledger, pid: impl Fn(ProcessId) -> u32) -> Vec<Activity> {
        let mut conducts: Vec<&Conduct> = ledger.conducts().collect();
        conducts.sort_by_key(|conduct| std::cmp::Reverse(conduct.total.sums.count));
        conducts.truncate(LINES);
        conducts.into_iter().map(|conduct| Self::new(ledger, conduct, &pid)).collect()
    }

    fn new(ledger: &Ledger, conduct: &Conduct, pid: &impl Fn(ProcessId) -> u32) -> Self {
        let (act, class) = act_name(conduct.act);
        let mut objects: Vec<_> = conduct.objects.iter().collect();
        objects.sort_by_key(|(_, deed)| std::cmp::Reverse(deed.sums.count));
        let objects = objects.into_iter().filter_map(|(id, deed)| {
            let name = ledger.object(*id)?.name();
            let sums = &deed.sums;
            Some(Named { name, count: sums.count, bytes: sums.bytes, seconds: seconds(sums.ns) })
        });
        Self {
            act,
            class,
            pid: pid(conduct.process),
            site: conduct.site.clone(),
            sums: Figures::from(&conduct.total.sums),
            objects: objects.take(OBJECTS).collect(),
        }
    }
}

/// How long calls of one class took in one process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waits {
    pid: u32,
    class: &'static str,
    count: u64,
    seconds: f64,
    bytes: u64,
    /// Calls by the logarithm to base 2 of their nanoseconds, rounded down; cut behind the last.
    log2_ns: Vec<u64>,
}

impl Waits {
    /// Every class that waited.
    pub fn of(ledger: &Ledger, pid: impl Fn(ProcessId) -> u32) -> Vec<Waits> {
        let waits = ledger.waits().iter().map(|waits| {
            let used = waits.buckets.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
            Waits {
                pid: pid(waits.process),
                class: waits.class.name(),
                count: waits.count,
                seconds: seconds(waits.ns),
                bytes: waits.bytes,
                log2_ns: waits.buckets[..used].to_vec(),
            }
        });
        waits.collect()
    }
}
