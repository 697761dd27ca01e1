//! What the documentation of the configuration says: each key with its default and the reason.

use std::fmt::Write;

use super::push;
use crate::detect::Thresholds;
use crate::export::graph::Graph;
use crate::export::metrics::PIDS;
use crate::program::metrics::TELEMETRY_PATH;
use crate::program::nearest::nearest;

/// As many as have series of their own among the metrics; each costs a second's look at `/proc` and
/// at its descriptors.
pub(super) const MAX_PROCESSES: u32 = PIDS as u32;
pub(super) const LISTEN_ADDRESS: &str = "127.0.0.1:9470";
pub(super) const MAX_DESCRIPTORS: u32 = 262_144;
pub(super) const MAX_STACKS: u32 = 65_536;
pub(super) const SAMPLES: u32 = 99;
pub(super) const RING_BYTES: u32 = 8 << 20;
pub(super) const PUSH_INTERVAL: u32 = 15;
pub(super) const PUSH_QUEUE_BYTES: u32 = 16 << 20;

struct Key {
    name: &'static str,
    /// As it is written in the file.
    default: String,
    reason: &'static str,
}

fn every() -> Vec<Key> {
    let graphs: Vec<_> = push::growing().into_iter().map(Graph::file_stem).collect();
    let key = |name, default: &dyn std::fmt::Display, reason| Key {
        name,
        default: default.to_string(),
        reason,
    };
    vec![
        key(
            "include",
            &"[]",
            "Every Python process: an agent that has to be told which ones to \
            follow misses the one that nobody thought of. Like ['user=^www$', 'service=^shop$']; \
            the fields are cmdline, user, service and cgroup.",
        ),
        key(
            "exclude",
            &"[]",
            "None: what is not to be followed, only the host's owner knows. It \
            comes before include.",
        ),
        key(
            "service",
            &"[]",
            "A process is called after its systemd unit, else after the module \
            or script that it runs. A table each, [[service]] with match = a regular expression on \
            the command line and name = what to call it; the first match wins.",
        ),
        key(
            "max-processes",
            &MAX_PROCESSES,
            "As many as have series of their own among the \
            metrics. More are counted, and followed when others end.",
        ),
        key("json", &"'off'", "Text, which people and the journal read; 'lines' for programs."),
        key(
            "web.listen-address",
            &format!("'{LISTEN_ADDRESS}'"),
            "Loopback: the metrics name \
            files and lines of code.",
        ),
        key(
            "web.telemetry-path",
            &format!("'{TELEMETRY_PATH}'"),
            "Where Prometheus looks unless it is told otherwise.",
        ),
        key(
            "web.config.file",
            &"''",
            "None: plain HTTP and no passwords, which loopback does without. The file is \
            of the format that Prometheus's own exporters share: TLS, users, headers. It is read \
            again when it changes.",
        ),
        key("listen-public", &false, "An address that other hosts can reach has to be meant."),
        key(
            "app-root",
            &"[]",
            "All that is not the standard library or in site-packages is your \
            own code.",
        ),
        key("place", &"[]", "Where files belong, only their owner knows. Like ['*.db=/data/**']."),
        key(
            "descriptors-only",
            &false,
            "The other findings cost a tenth more on a descriptor \
            call.",
        ),
        key(
            "max-descriptors",
            &MAX_DESCRIPTORS,
            "The usual soft limit of 1,024 descriptors of \
            each of 256 processes; few come near it.",
        ),
        key(
            "max-stacks",
            &MAX_STACKS,
            "128 distinct stacks of each of 512 processes; a service \
            makes descriptors from some dozens.",
        ),
        key(
            "samples",
            &SAMPLES,
            "Often enough to see what holds a CPU for 100 ms, and not in \
            step with timers of 10 ms.",
        ),
        key(
            "ring-bytes",
            &RING_BYTES,
            "Stacks and code objects travel once each: room for those \
            of dozens of processes that start at once.",
        ),
        key(
            "push-pyroscope",
            &"''",
            "None: profiles name files and lines of code, and go only where they are sent. Like \
            'https://pyroscope.example' or 'http://localhost:4040'.",
        ),
        key(
            "push-pyroscope-auth-file",
            &"''",
            "None. A line, USER:PASSWORD or a bearer token, read for each request: tokens are \
            renewed.",
        ),
        key("push-otlp", &"''", "None. Like 'http://localhost:4318'."),
        key("push-otlp-auth-file", &"''", "None, as for Pyroscope."),
        key(
            "push-interval",
            &PUSH_INTERVAL,
            "Often enough to find a burst by its time, rarely enough \
            to cost nothing.",
        ),
        key("push-graphs", &format!("{graphs:?}"), "All of which it can be told what was added."),
        key(
            "push-queue-bytes",
            &PUSH_QUEUE_BYTES,
            "Some kilobytes a process each time: room for more than ten minutes of twenty \
            processes. A receiver that is away for longer loses the oldest.",
        ),
        key(
            "push-plain-http",
            &false,
            "Whoever is on the way to another host could read file names and lines of code. \
            Loopback needs no leave.",
        ),
    ]
}

/// Names of all keys.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    every().into_iter().map(|key| key.name)
}

/// A reason as a comment of a file. Writing to a string does not fail.
fn comment(text: &mut String, reason: &str) {
    let mut line = String::from("#");
    for word in reason.split_whitespace() {
        if line.len() + word.len() >= 99 {
            let _ = writeln!(text, "{line}");
            line.truncate(1);
        }
        line = line + " " + word;
    }
    let _ = writeln!(text, "{line}");
}

/// A file that says what is so without one.
pub(super) fn print() -> String {
    let mut text = String::from(
        "# Every key of `pitviper agent` with its default. Each is a flag too (--max-processes) and\n\
         # an environment variable (PITVIPER_MAX_PROCESSES); those come before this file. Numbers that\n\
         # rules decide by are at the end; as a flag: --threshold fd-leak.silence-seconds=5.\n",
    );
    for key in every() {
        text.push('\n');
        comment(&mut text, key.reason);
        let _ = writeln!(text, "{} = {}", key.name, key.default);
    }
    for (rule, all) in Thresholds::default().by_rule() {
        let _ = writeln!(text, "\n[threshold.{rule}]");
        for threshold in all {
            comment(&mut text, &threshold.reason());
            let _ = writeln!(text, "{} = {}", threshold.name(), threshold.value());
        }
    }
    text
}

/// Which known key an unknown one may have meant.
pub(super) fn hint(unknown: &str) -> String {
    // The part after a dot, too: the parser tells it alone. Those of a service's table are its own.
    let known = every().into_iter().map(|key| key.name).chain(["match", "name"]);
    let near = nearest(known, unknown).unwrap_or_default();
    format!("the nearest one is `{near}`, and `--print-config` prints all")
}

/// What a key looks like when it is right.
pub(super) fn right(key: &str) -> String {
    let known = every().into_iter().find(|known| known.name == key);
    known.map_or_else(String::new, |known| format!("; the default is {} = {}", key, known.default))
}
