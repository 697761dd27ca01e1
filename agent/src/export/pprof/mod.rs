//! pprof's format: a gzipped `profile.proto`, which `go tool pprof` and stores of profiles read.

mod message;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use self::message::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};
use super::graph::{Graph, Weighed};
use super::steps::{Step, root_first, shown_file, shown_function};
use super::{Report, visible};
use crate::event::ProcessId;

/// Characters of a comment, a path or a service's name.
const TEXT: usize = 300;

/// The only mapping: everything is the interpreter's.
const MAPPING: u64 = 1;

/// The profile, gzipped. Stacks of equal frames are added up; where there are several processes,
/// each one's stand apart, with its pid and service as labels.
///
/// # Errors
/// When the compression fails.
pub fn gzipped(graph: Graph, stacks: &[Weighed], report: &Report) -> io::Result<Vec<u8>> {
    let several = stacks.iter().map(|w| w.process).collect::<BTreeSet<_>>().len() > 1;
    gzipped_with(graph, stacks, report, several)
}

/// The same, with or without the labels whatever there is: a store that pulls from hosts wants each
/// process by its name even where it is alone.
///
/// # Errors
/// When the compression fails.
pub fn gzipped_with(
    graph: Graph,
    stacks: &[Weighed],
    report: &Report,
    labels: bool,
) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&profile(graph, stacks, report, labels).encode_to_vec())?;
    gzip.finish()
}

/// What the values are of, their unit, and how many of those the graph's unit is.
pub(crate) fn value_type(graph: Graph) -> (&'static str, &'static str, u64) {
    match graph {
        Graph::Opened => ("descriptors", "count", 1),
        Graph::Alive => ("descriptors_alive", "count", 1),
        Graph::Spawns => ("spawns", "count", 1),
        Graph::Connections => ("connections", "count", 1),
        Graph::Blocking { .. } => ("blocking", "nanoseconds", 1_000),
        Graph::OffCpu => ("off_cpu", "nanoseconds", 1_000),
        Graph::OnCpu => ("samples", "count", 1),
        Graph::Mapped => ("mapped_all", "bytes", 1),
        Graph::MappedAlive => ("mapped", "bytes", 1),
        Graph::Read => ("read", "bytes", 1),
        Graph::Written => ("written", "bytes", 1),
    }
}

fn profile(graph: Graph, stacks: &[Weighed], report: &Report, several: bool) -> Profile {
    let mut tables = Tables::new();
    let (kind, unit, scale) = value_type(graph);
    let sample_type = vec![ValueType { r#type: tables.string(kind), unit: tables.string(unit) }];
    let mut sums: BTreeMap<(Option<ProcessId>, Vec<u64>), u64> = BTreeMap::new();
    for weighed in stacks {
        let steps = root_first(weighed.stack.as_deref());
        let locations = steps.into_iter().rev().map(|step| tables.location(step)).collect();
        let sum = sums.entry((several.then_some(weighed.process), locations)).or_default();
        *sum = sum.saturating_add(weighed.weight.saturating_mul(scale));
    }
    let samples = sums.into_iter().map(|((process, location_id), sum)| Sample {
        location_id,
        value: vec![i64::try_from(sum).unwrap_or(i64::MAX)],
        label: process.map_or_else(Vec::new, |process| labels(&mut tables, report, process)),
    });
    let sample = samples.collect();
    let comment = comments(graph, report).iter().map(|text| tables.string(text)).collect();
    let mapping = Mapping {
        id: MAPPING,
        filename: tables.string(&visible(&report.process.executable, TEXT)),
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
    };
    let (start_ns, end_ns) = report.window_ns;
    Profile {
        sample_type,
        sample,
        mapping: vec![mapping],
        location: tables.locations,
        function: tables.functions,
        string_table: tables.strings,
        time_nanos: report.clock.unix_ns(start_ns),
        duration_nanos: i64::try_from(end_ns.saturating_sub(start_ns)).unwrap_or(i64::MAX),
        comment,
    }
}

/// Labels are text: readers take a number for an amount and give it a unit.
fn labels(tables: &mut Tables<'_>, report: &Report, process: ProcessId) -> Vec<Label> {
    let pid = report.pids.get(&process).map(u32::to_string);
    let service = report.services.get(&process).map(|name| visible(name, TEXT));
    let known = [("pid", pid), ("service", service)];
    let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
    known
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| Label { key: tables.string(key), str: tables.string(&value) })
        .collect()
}

fn comments(graph: Graph, report: &Report) -> Vec<String> {
    let process = &report.process;
    let lost: u64 = report.totals.dropped().values().sum();
    let whose = match process.pid {
        0 => process.executable.clone(),
        pid => format!("process {pid} ({})", process.executable),
    };
    let mut comments = vec![
        format!("pitviper {}", report.version),
        graph.title().to_owned(),
        visible(&whose, TEXT),
        format!("{lost} events lost"),
    ];
    comments.extend(graph.note().map(str::to_owned));
    comments
}

/// What samples refer to, each thing once.
struct Tables<'a> {
    strings: Vec<String>,
    string_ids: HashMap<String, i64>,
    functions: Vec<Function>,
    function_ids: HashMap<(i64, i64, i64), u64>,
    locations: Vec<Location>,
    location_ids: HashMap<Step<'a>, u64>,
}

impl<'a> Tables<'a> {
    fn new() -> Self {
        Self {
            strings: vec![String::new()],
            string_ids: HashMap::from([(String::new(), 0)]),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            locations: Vec::new(),
            location_ids: HashMap::new(),
        }
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(id) = self.string_ids.get(text) {
            return *id;
        }
        let id = self.strings.len() as i64;
        self.strings.push(text.to_owned());
        self.string_ids.insert(text.to_owned(), id);
        id
    }

    fn location(&mut self, step: Step<'a>) -> u64 {
        if let Some(id) = self.location_ids.get(&step) {
            return *id;
        }
        let function_id = self.function(step);
        let id = self.locations.len() as u64 + 1;
        let line = step.frame().map_or(0, |frame| i64::from(frame.line));
        let line = vec![Line { function_id, line }];
        self.locations.push(Location { id, mapping_id: MAPPING, line });
        self.location_ids.insert(step, id);
        id
    }

    fn function(&mut self, step: Step<'a>) -> u64 {
        let (name, qualname, file) = match step.frame() {
            None => (step.name().into_owned(), String::new(), String::new()),
            Some(frame) => {
                let name = shown_function(&frame.function);
                let qualname = frame.qualname.as_deref().map(shown_function);
                // Where both are equal, pprof takes them for mangled C++: `<module>` would lose
                // all that is between its brackets.
                let qualname = qualname.filter(|qualname| *qualname != name).unwrap_or_default();
                (name, qualname, shown_file(&frame.file))
            }
        };
        let key = (self.string(&name), self.string(&qualname), self.string(&file));
        let next = self.functions.len() as u64 + 1;
        *self.function_ids.entry(key).or_insert_with(|| {
            let (name, system_name, filename) = key;
            self.functions.push(Function { id: next, name, system_name, filename });
            next
        })
    }
}
