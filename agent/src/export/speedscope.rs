//! speedscope's own file format: one "sampled" profile of a graph, with every stack as a sample.
//!
//! The format is `file-format-schema.json` of the npm package `speedscope`.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::graph::{Graph, Weighed};
use super::steps::{Step, root_first, shown_file};
use super::{Report, visible};

/// By this speedscope knows its own files.
const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    exporter: String,
    name: String,
    active_profile_index: u32,
    shared: Shared,
    profiles: [Profile<'a>; 1],
}

#[derive(Serialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    r#type: &'a str,
    name: &'a str,
    unit: &'a str,
    start_value: u64,
    end_value: u64,
    /// Indices of frames, root first.
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// A whole document, with a line feed. Stacks of equal frames are added up, over all processes.
pub fn json(graph: Graph, stacks: &[Weighed], report: &Report) -> String {
    let mut indices: HashMap<Step<'_>, usize> = HashMap::new();
    let mut frames = Vec::new();
    let mut samples: BTreeMap<Vec<usize>, u64> = BTreeMap::new();
    for weighed in stacks {
        let mut sample = Vec::new();
        for step in root_first(weighed.stack.as_deref()) {
            sample.push(*indices.entry(step).or_insert_with(|| {
                frames.push(frame_of(step));
                frames.len() - 1
            }));
        }
        let sum = samples.entry(sample).or_default();
        *sum = sum.saturating_add(weighed.weight);
    }
    let (samples, weights): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
    let process = &report.process;
    let file = File {
        schema: SCHEMA,
        exporter: format!("pitviper {}", report.version),
        name: visible(&format!("process {} ({})", process.pid, process.executable), 300),
        active_profile_index: 0,
        shared: Shared { frames },
        profiles: [Profile {
            r#type: "sampled",
            name: graph.title(),
            unit: unit(graph),
            start_value: 0,
            end_value: weights.iter().fold(0, |sum, weight| sum.saturating_add(*weight)),
            samples,
            weights,
        }],
    };
    // Fails for maps whose keys are not strings and for writers that fail; there is neither.
    let mut text = serde_json::to_string(&file).unwrap_or_default();
    text.push('\n');
    text
}

fn frame_of(step: Step<'_>) -> Frame {
    let frame = step.frame();
    Frame {
        name: step.name().into_owned(),
        file: frame.map(|frame| shown_file(&frame.file)),
        line: frame.map(|frame| frame.line).filter(|line| *line > 0),
    }
}

/// What the format has names for; other things are counted without a unit.
fn unit(graph: Graph) -> &'static str {
    match graph.unit() {
        "µs" => "microseconds",
        "bytes" => "bytes",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    /// Exercise the whole file, with a stack that two processes share and one that is cut.
    #[test]
    fn golden() {
        let text = json(Graph::Opened, &sample::stacks(), &sample::report());
        sample::assert_golden("profile.speedscope.json", &text);
    }

    /// Exercise units, and a graph of nothing.
    #[test]
    fn units_and_nothing() {
        for (graph, unit) in
            [(Graph::OffCpu, "microseconds"), (Graph::Read, "bytes"), (Graph::OnCpu, "none")]
        {
            let text = json(graph, &[], &sample::report());
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(value["profiles"][0]["unit"], unit);
            assert_eq!(value["profiles"][0]["endValue"], 0);
        }
    }

    /// Exercise names that would break JSON, hide, or go on for ever.
    #[test]
    fn hostile_names() {
        let text = json(Graph::Opened, &sample::hostile_stacks(), &sample::report());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let frames = value["shared"]["frames"].as_array().expect("frames");
        for frame in frames {
            for text in [&frame["name"], &frame["file"]] {
                let text = text.as_str().expect("a string");
                assert!(!text.chars().any(char::is_control), "{text:?}");
                assert!(text.chars().count() < 600, "{text:.200?}");
            }
        }
        assert_eq!(frames.len(), sample::hostile_stacks().len());
        assert!(text.len() < 20_000, "{}", text.len());
    }
}
