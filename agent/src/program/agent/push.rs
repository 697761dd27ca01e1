//! The keys of pushing: which graphs have names there, and what the keys say.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::config::Fixed;
use crate::export::graph::Graph;
use crate::program::ProgramError;
use crate::push::{Destination, Options, Push};

/// Graphs that can be pushed: those that grow, and two that stand. Off-CPU time would have every switch
/// of the host's scheduler looked at.
const GRAPHS: [Graph; 10] = [
    Graph::OnCpu,
    Graph::Blocking { loops: false },
    Graph::Opened,
    Graph::Spawns,
    Graph::Connections,
    Graph::Mapped,
    Graph::Read,
    Graph::Written,
    Graph::Alive,
    Graph::MappedAlive,
];

/// The first of them: what a difference can be told of.
pub(super) fn growing() -> Vec<Graph> {
    GRAPHS[..8].to_vec()
}

/// What a graph is called: as its file among others.
pub(super) fn parse(name: &str) -> Result<Graph, String> {
    let found = GRAPHS.iter().find(|graph| graph.file_stem() == name);
    found.copied().ok_or_else(|| {
        let all = GRAPHS.map(Graph::file_stem).join(", ");
        format!("no graph that can be pushed; those are {all}")
    })
}

pub(super) fn parse_all<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<Graph>>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let graphs = names.iter().map(|name| parse(name)).collect::<Result<_, _>>();
    graphs.map(Some).map_err(serde::de::Error::custom)
}

/// What the keys say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Keys {
    pub(super) pyroscope: Option<Destination>,
    pub(super) otlp: Option<Destination>,
    pub(super) interval: u32,
    pub(super) graphs: Vec<Graph>,
    pub(super) queue_bytes: u32,
    pub(super) plain_http: bool,
}

/// None where the URL is missing or empty.
pub(super) fn destination(url: Option<String>, file: Option<PathBuf>) -> Option<Destination> {
    let credentials = file.filter(|file| !file.as_os_str().is_empty());
    url.filter(|url| !url.is_empty()).map(|url| Destination { url, credentials })
}

fn options(fixed: &Fixed) -> Options {
    let keys = &fixed.push;
    Options {
        pyroscope: keys.pyroscope.clone(),
        otlp: keys.otlp.clone(),
        interval: Duration::from_secs(keys.interval.into()),
        graphs: keys.graphs.clone(),
        queue_bytes: keys.queue_bytes as usize,
        plain_http: keys.plain_http,
        sample_rate: fixed.samples,
    }
}

/// Starts what the keys ask for.
pub(super) fn start(
    runtime: &tokio::runtime::Runtime,
    fixed: &Fixed,
) -> Result<Push, ProgramError> {
    let bad = |error: crate::push::TargetError| ProgramError::BadConfig(error.to_string());
    Push::start(runtime, &options(fixed)).map_err(bad)
}

/// What would keep it from starting.
pub(super) fn check(fixed: &Fixed) -> Result<(), ProgramError> {
    Push::check(&options(fixed)).map_err(|error| ProgramError::BadConfig(error.to_string()))
}
