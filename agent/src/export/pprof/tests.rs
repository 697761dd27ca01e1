//! Profiles, decoded again and held against the folded stacks.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::export::{folded, sample};

fn decoded(graph: Graph, stacks: &[Weighed]) -> Profile {
    let gzip = gzipped(graph, stacks, &sample::report()).expect("compressed");
    let mut bytes = Vec::new();
    GzDecoder::new(&gzip[..]).read_to_end(&mut bytes).expect("gzip");
    Profile::decode(&bytes[..]).expect("a profile")
}

fn text(profile: &Profile, index: i64) -> &str {
    &profile.string_table[index as usize]
}

/// The samples as folded lines, with the name that folded stacks have.
fn fold(profile: &Profile) -> Vec<String> {
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for sample in &profile.sample {
        let label = |id: &u64| {
            let line = &profile.location[*id as usize - 1].line[0];
            let function = &profile.function[line.function_id as usize - 1];
            let best = if function.system_name == 0 { function.name } else { function.system_name };
            let name = text(profile, best);
            let file = text(profile, function.filename).rsplit('/').next().expect("a name");
            match (file, line.line) {
                ("", _) => name.to_owned(),
                (file, 0) => format!("{name} ({file})"),
                (file, line) => format!("{name} ({file}:{line})"),
            }
        };
        let stack: Vec<String> = sample.location_id.iter().rev().map(label).collect();
        *lines.entry(stack.join(";")).or_default() += sample.value[0];
    }
    lines.into_iter().map(|(stack, sum)| format!("{stack} {sum}")).collect()
}

/// Exercise the sums: what is decoded says the same as the folded stacks.
#[test]
fn the_same_as_the_folded_stacks() {
    let stacks = sample::stacks();
    let folded = folded::lines(stacks.iter().map(|w| (w.stack.as_deref(), w.weight)));
    assert_eq!(fold(&decoded(Graph::Opened, &stacks)), folded);
}

/// Exercise what stands beside the samples.
#[test]
fn time_version_program_and_names() {
    let profile = decoded(Graph::Blocking { loops: false }, &sample::stacks());
    let kind = &profile.sample_type[0];
    assert_eq!(
        (text(&profile, kind.r#type), text(&profile, kind.unit)),
        ("blocking", "nanoseconds")
    );
    assert_eq!(profile.sample.iter().map(|s| s.value[0]).sum::<i64>(), 12_000);
    assert_eq!(profile.time_nanos, 1_700_000_000_000_000_000);
    assert_eq!(profile.duration_nanos, 240_500_000_000);
    assert_eq!(text(&profile, profile.comment[0]), "pitviper 0.1.0");
    assert_eq!(text(&profile, profile.mapping[0].filename), "/usr/bin/python3.11");
    assert_eq!(profile.string_table[0], "");
    let names: Vec<_> = profile
        .function
        .iter()
        .map(|f| {
            (text(&profile, f.name), text(&profile, f.system_name), text(&profile, f.filename))
        })
        .collect();
    assert!(names.contains(&("load", "Store.load", "/srv/app.py")), "{names:?}");
    // One name for both makes pprof take `<module>` for C++ and show nothing.
    assert!(names.contains(&("<module>", "", "/srv/main.py")), "{names:?}");
}

/// Exercise labels: only where they tell processes apart.
#[test]
fn processes_are_told_apart() {
    let stacks = sample::stacks();
    let profile = decoded(Graph::Opened, &stacks);
    let mut sums: BTreeMap<Vec<&str>, i64> = BTreeMap::new();
    for sample in &profile.sample {
        let labels = sample.label.iter();
        let labels = labels.flat_map(|l| [text(&profile, l.key), text(&profile, l.str)]).collect();
        *sums.entry(labels).or_default() += sample.value[0];
    }
    let expected = [
        (vec!["pid", "4242", "service", "main"], 9),
        (vec!["pid", "4250", "service", "worker"], 3),
    ];
    assert_eq!(sums, BTreeMap::from(expected));
    let one: Vec<_> = stacks.into_iter().filter(|w| w.process == ProcessId(1)).collect();
    assert!(decoded(Graph::Opened, &one).sample.iter().all(|sample| sample.label.is_empty()));
}

/// Exercise hostile names and a weight beyond what the format holds: bounded, nothing hidden.
#[test]
fn hostile_names_and_weights() {
    let mut stacks = sample::hostile_stacks();
    stacks[0].weight = u64::MAX;
    let profile = decoded(Graph::OffCpu, &stacks);
    assert_eq!(profile.sample.len(), stacks.len());
    assert!(profile.sample.iter().any(|sample| sample.value == [i64::MAX]));
    for text in &profile.string_table {
        assert!(!text.chars().any(char::is_control), "{text:.200?}");
        assert!(text.chars().count() < 600, "{text:.200?}");
    }
}

/// Exercise a graph of nothing.
#[test]
fn nothing_is_a_profile_too() {
    let profile = decoded(Graph::Spawns, &[]);
    assert!(profile.sample.is_empty() && profile.sample_type.len() == 1);
}
