//! Pyroscope's `POST /ingest`: a pprof profile for each graph, its name and time in the query.

use std::fmt::Write;
use std::io;

use super::queue::Request;
use super::{ProcessProfiles, Profile};
use crate::export::{Report, pprof, visible};

pub(super) const PATH: &str = "/ingest";

/// Characters of a name or of a label's value.
const TEXT: usize = 200;

/// A request for each graph of a process.
pub(super) fn requests(
    process: &ProcessProfiles,
    host: &str,
    sample_rate: u32,
) -> io::Result<Vec<Request>> {
    let report = &process.report;
    let name = name(report, host);
    let request = |profile: &Profile| {
        let body = pprof::gzipped(profile.graph, &profile.stacks, report)?.into();
        let unit = pprof::value_type(profile.graph).1;
        let (from, until) = seconds(report);
        let mut query = String::new();
        for (index, (key, value)) in [
            ("name", name.as_str()),
            ("from", &from.to_string()),
            ("until", &until.to_string()),
            ("format", "pprof"),
            ("sampleRate", &sample_rate.max(1).to_string()),
            ("spyName", "pitviper"),
            ("units", unit),
            ("aggregationType", "sum"),
        ]
        .into_iter()
        .enumerate()
        {
            query += if index == 0 { "?" } else { "&" };
            query += key;
            query += "=";
            encode(value, &mut query);
        }
        Ok(Request { query, media_type: "application/octet-stream", body, profiles: 1 })
    };
    process.profiles.iter().map(request).collect()
}

/// Unix time; the end is past the beginning.
fn seconds(report: &Report) -> (i64, i64) {
    let of = |ns| report.clock.unix_ns(ns) / 1_000_000_000;
    let (from, until) = (of(report.window_ns.0), of(report.window_ns.1));
    (from, until.max(from + 1))
}

/// `service{label=value,…}`: names have few characters, values all but those that end them.
fn name(report: &Report, host: &str) -> String {
    let process = &report.process;
    let service: String = process.service.chars().take(TEXT).map(plain).collect();
    let service = if service.is_empty() { "python".to_owned() } else { service };
    let pid = process.pid.to_string();
    let labels = [("hostname", host), ("pid", &pid), ("python", &process.python)];
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| {
        let value = visible(value, TEXT).replace(['{', '}', ',', '='], "_");
        format!("{key}={value}")
    });
    format!("{service}{{{}}}", labels.collect::<Vec<_>>().join(","))
}

fn plain(character: char) -> char {
    let known = character.is_ascii_alphanumeric() || "_-./".contains(character);
    if known { character } else { '_' }
}

/// Percent-encodes all but what never needs it (RFC 3986, 2.3).
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    /// Exercise a name that would like to be more than one.
    #[test]
    fn names_are_harmless() {
        let mut report = sample::report();
        report.process.service = "shop{pid=1},x\u{202e}&from=0\n".into();
        report.process.python = "3.12.1,evil=1".into();
        report.process.pid = 7;
        let found = name(&report, "node{7}");
        assert_eq!(found, "shop_pid_1__x__from_0_{hostname=node_7_,pid=7,python=3.12.1_evil_1}");
        report.process.service.clear();
        assert!(name(&report, "").starts_with("python{pid=7,"));
        let mut query = String::new();
        encode("a{b=c}&é", &mut query);
        assert_eq!(query, "a%7Bb%3Dc%7D%26%C3%A9");
    }
}
