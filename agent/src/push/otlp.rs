//! OTLP by HTTP: a process's graphs in one request, in the development version of the profiles signal.

use super::ProcessProfiles;
use super::queue::Request;
use crate::export::otlp;

pub(super) const PATH: &str = "/v1development/profiles";

/// One request.
pub(super) fn request(process: &ProcessProfiles, host: &str, sample_rate: u32) -> Request {
    let graphs = process.profiles.iter();
    let graphs: Vec<_> = graphs.map(|profile| (profile.graph, &profile.stacks[..])).collect();
    Request {
        query: String::new(),
        media_type: "application/x-protobuf",
        body: otlp::request(&graphs, &process.report, host, sample_rate).into(),
        profiles: process.profiles.len() as u64,
    }
}
