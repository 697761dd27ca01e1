//! OpenTelemetry's profiles (`opentelemetry.proto.profiles.v1development`): what a collector takes.
//!
//! All tables are shared by the graphs of a request. The first entry of each is empty, for an index of
//! 0 means that there is none.

mod message;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use ring::rand::{SecureRandom, SystemRandom};

use self::message::{
    AnyValue, Dictionary, ExportRequest, Function, InstrumentationScope, KeyValue, KeyValueAndUnit,
    Line, Link, Location, Mapping, Profile, Resource, ResourceProfiles, Sample, ScopeProfiles,
    Stack, Value, ValueType,
};
use super::graph::{Graph, Weighed};
use super::pprof::value_type;
use super::steps::{Step, root_first, shown_file, shown_function};
use super::{Report, visible};

/// Characters of an attribute's text.
const TEXT: usize = 300;

/// Where the tables have what every frame is of.
const MAPPING: i32 = 1;
const CPYTHON: i32 = 1;

/// The request of `POST /v1development/profiles`: one process's graphs over the report's window.
/// `host` is the host's name; on-CPU samples were taken `sample_rate` times a second.
pub fn request(
    graphs: &[(Graph, &[Weighed])],
    report: &Report,
    host: &str,
    sample_rate: u32,
) -> Vec<u8> {
    let mut tables = Tables::new(report);
    let profiles = graphs.iter().map(|(graph, stacks)| {
        let mut profile = profile(&mut tables, *graph, stacks, report);
        if *graph == Graph::OnCpu && sample_rate > 0 {
            profile.period_type = Some(tables.value_type("cpu", "nanoseconds"));
            profile.period = 1_000_000_000 / i64::from(sample_rate);
        }
        profile
    });
    let profiles = profiles.collect();
    let scope = InstrumentationScope { name: "pitviper".into(), version: report.version.clone() };
    let resource_profiles = ResourceProfiles {
        resource: Some(resource(report, host)),
        scope_profiles: vec![ScopeProfiles { scope: Some(scope), profiles }],
    };
    let dictionary = Some(tables.dictionary);
    ExportRequest { resource_profiles: vec![resource_profiles], dictionary }.encode_to_vec()
}

fn profile<'a>(
    tables: &mut Tables<'a>,
    graph: Graph,
    stacks: &'a [Weighed],
    report: &Report,
) -> Profile {
    let (kind, unit, scale) = value_type(graph);
    let mut sums: BTreeMap<i32, u64> = BTreeMap::new();
    for weighed in stacks {
        let steps = root_first(weighed.stack.as_deref());
        let locations = steps.into_iter().rev().map(|step| tables.location(step)).collect();
        let sum = sums.entry(tables.stack(locations)).or_default();
        *sum = sum.saturating_add(weighed.weight.saturating_mul(scale));
    }
    let samples = sums.into_iter().map(|(stack_index, sum)| Sample {
        stack_index,
        values: vec![i64::try_from(sum).unwrap_or(i64::MAX)],
    });
    let (start_ns, end_ns) = report.window_ns;
    // By its number a receiver knows a profile that it got twice.
    let mut profile_id = vec![0; 16];
    if SystemRandom::new().fill(&mut profile_id).is_err() {
        profile_id.clear();
    }
    Profile {
        sample_type: Some(tables.value_type(kind, unit)),
        samples: samples.collect(),
        time_unix_nano: u64::try_from(report.clock.unix_ns(start_ns)).unwrap_or(0),
        duration_nano: end_ns.saturating_sub(start_ns),
        period_type: None,
        period: 0,
        profile_id,
    }
}

/// By the semantic conventions' names.
fn resource(report: &Report, host: &str) -> Resource {
    let process = &report.process;
    let text = |key: &str, value: &str| {
        let value = Value::String(visible(value, TEXT));
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }) }
    };
    let mut attributes = vec![
        text("service.name", &process.service),
        text("host.name", host),
        text("process.executable.path", &process.executable),
        text("process.runtime.name", "cpython"),
        text("process.runtime.version", &process.python),
    ];
    let pid = AnyValue { value: Some(Value::Int(process.pid.into())) };
    attributes.push(KeyValue { key: "process.pid".into(), value: Some(pid) });
    Resource { attributes }
}

/// What samples refer to, each thing once.
struct Tables<'a> {
    dictionary: Dictionary,
    strings: HashMap<String, i32>,
    functions: HashMap<(i32, i32, i32), i32>,
    locations: HashMap<Step<'a>, i32>,
    stacks: HashMap<Vec<i32>, i32>,
}

/// The index of what is added next.
fn next<T>(table: &[T]) -> i32 {
    i32::try_from(table.len()).unwrap_or(0)
}

impl<'a> Tables<'a> {
    fn new(report: &Report) -> Self {
        let mut tables = Self {
            dictionary: Dictionary {
                mapping_table: vec![Mapping::default()],
                location_table: vec![Location::default()],
                function_table: vec![Function::default()],
                link_table: vec![Link::default()],
                string_table: vec![String::new()],
                attribute_table: vec![KeyValueAndUnit::default()],
                stack_table: vec![Stack::default()],
            },
            strings: HashMap::from([(String::new(), 0)]),
            functions: HashMap::new(),
            locations: HashMap::new(),
            stacks: HashMap::new(),
        };
        let filename_strindex = tables.string(&visible(&report.process.executable, TEXT));
        tables.dictionary.mapping_table.push(Mapping { filename_strindex });
        let cpython = KeyValueAndUnit {
            key_strindex: tables.string("profile.frame.type"),
            value: Some(AnyValue { value: Some(Value::String("cpython".into())) }),
        };
        tables.dictionary.attribute_table.push(cpython);
        tables
    }

    fn string(&mut self, text: &str) -> i32 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = next(&self.dictionary.string_table);
        self.dictionary.string_table.push(text.to_owned());
        self.strings.insert(text.to_owned(), index);
        index
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> ValueType {
        ValueType { type_strindex: self.string(kind), unit_strindex: self.string(unit) }
    }

    /// Innermost first.
    fn stack(&mut self, location_indices: Vec<i32>) -> i32 {
        let table = &mut self.dictionary.stack_table;
        *self.stacks.entry(location_indices).or_insert_with_key(|location_indices| {
            table.push(Stack { location_indices: location_indices.clone() });
            next(table) - 1
        })
    }

    fn location(&mut self, step: Step<'a>) -> i32 {
        if let Some(index) = self.locations.get(&step) {
            return *index;
        }
        let function_index = self.function(step);
        let index = next(&self.dictionary.location_table);
        let line = step.frame().map_or(0, |frame| i64::from(frame.line));
        self.dictionary.location_table.push(Location {
            mapping_index: MAPPING,
            lines: vec![Line { function_index, line }],
            attribute_indices: vec![CPYTHON],
        });
        self.locations.insert(step, index);
        index
    }

    fn function(&mut self, step: Step<'a>) -> i32 {
        let (name, qualname, file) = match step.frame() {
            None => (step.name().into_owned(), String::new(), String::new()),
            Some(frame) => (
                shown_function(&frame.function),
                frame.qualname.as_deref().map(shown_function).unwrap_or_default(),
                shown_file(&frame.file),
            ),
        };
        let key = (self.string(&name), self.string(&qualname), self.string(&file));
        let table = &mut self.dictionary.function_table;
        *self.functions.entry(key).or_insert_with(|| {
            let (name_strindex, system_name_strindex, filename_strindex) = key;
            table.push(Function { name_strindex, system_name_strindex, filename_strindex });
            next(table) - 1
        })
    }
}
