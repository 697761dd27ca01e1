//! Requests, decoded again and held against the folded stacks.

use super::*;
use crate::export::{folded, sample};

fn decoded(graphs: &[Graph]) -> ExportRequest {
    let stacks = sample::stacks();
    let graphs: Vec<_> = graphs.iter().map(|graph| (*graph, &stacks[..])).collect();
    let bytes = request(&graphs, &sample::report(), "node7", 99);
    ExportRequest::decode(&bytes[..]).expect("a request")
}

/// The samples as folded lines, with the name that folded stacks have.
fn fold(dictionary: &Dictionary, profile: &Profile) -> Vec<String> {
    let text = |index: i32| dictionary.string_table[index as usize].as_str();
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for sample in &profile.samples {
        let label = |index: &i32| {
            let line = &dictionary.location_table[*index as usize].lines[0];
            let function = &dictionary.function_table[line.function_index as usize];
            let best = match function.system_name_strindex {
                0 => function.name_strindex,
                qualname => qualname,
            };
            let name = text(best);
            let file = text(function.filename_strindex).rsplit('/').next().expect("a name");
            match (file, line.line) {
                ("", _) => name.to_owned(),
                (file, 0) => format!("{name} ({file})"),
                (file, line) => format!("{name} ({file}:{line})"),
            }
        };
        let stack = &dictionary.stack_table[sample.stack_index as usize];
        let stack: Vec<String> = stack.location_indices.iter().rev().map(label).collect();
        *lines.entry(stack.join(";")).or_default() += sample.values[0];
    }
    lines.into_iter().map(|(stack, sum)| format!("{stack} {sum}")).collect()
}

/// Exercise the sums of two graphs that share their tables, and what stands beside them.
#[test]
fn the_same_as_the_folded_stacks() {
    let request = decoded(&[Graph::Opened, Graph::OnCpu]);
    let dictionary = request.dictionary.expect("tables");
    let stacks = sample::stacks();
    let folded = folded::lines(stacks.iter().map(|w| (w.stack.as_deref(), w.weight)));
    let [resource] = &request.resource_profiles[..] else { panic!("not one resource") };
    let profiles = &resource.scope_profiles[0].profiles;
    let text = |index: i32| dictionary.string_table[index as usize].as_str();
    let kind = |of: &ValueType| (text(of.type_strindex), text(of.unit_strindex));
    let kinds = [("descriptors", "count"), ("samples", "count")];
    for (profile, expected) in profiles.iter().zip(kinds) {
        assert_eq!(fold(&dictionary, profile), folded);
        assert_eq!(kind(profile.sample_type.as_ref().expect("a type")), expected);
        assert_eq!(profile.time_unix_nano, 1_700_000_000_000_000_000);
        assert_eq!(profile.duration_nano, 240_500_000_000);
        assert_eq!(profile.profile_id.len(), 16);
    }
    assert_ne!(profiles[0].profile_id, profiles[1].profile_id);
    assert_eq!((profiles[0].period_type.as_ref(), profiles[1].period), (None, 10_101_010));
    let of = |key: &str| {
        let attributes = &resource.resource.as_ref().expect("a resource").attributes;
        let found = attributes.iter().find(|attribute| attribute.key == key).expect(key);
        found.value.clone().expect(key).value.expect(key)
    };
    assert_eq!(of("service.name"), Value::String("main".into()));
    assert_eq!(of("host.name"), Value::String("node7".into()));
    assert_eq!(of("process.pid"), Value::Int(4242));
}

/// Exercise the tables: an index of 0 means nothing, and nothing stands there twice.
#[test]
fn tables_begin_with_nothing() {
    let dictionary = decoded(&[Graph::Opened]).dictionary.expect("tables");
    assert_eq!(dictionary.string_table[0], "");
    assert_eq!(dictionary.mapping_table[0], Mapping::default());
    assert_eq!(dictionary.location_table[0], Location::default());
    assert_eq!(dictionary.function_table[0], Function::default());
    assert_eq!(dictionary.link_table, [Link::default()]);
    assert_eq!(dictionary.attribute_table[0], KeyValueAndUnit::default());
    assert_eq!(dictionary.stack_table[0], Stack::default());
    let mut strings = dictionary.string_table.clone();
    strings.sort();
    strings.dedup();
    assert_eq!(strings.len(), dictionary.string_table.len());
}
