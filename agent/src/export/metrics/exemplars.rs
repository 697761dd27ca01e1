//! Exemplars: beside a bucket of waits, the stack of the longest that fell into it, by the id that the
//! agent's page and API (`/api/v1/stacks/ID`) resolve.
//!
//! The client library writes exemplars only of histograms that it has counted itself, so these are
//! added to its text.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::alive::Labels;
use crate::event::StackId;

/// What the lines of buckets begin with.
const BUCKET: &str = "pitviper_wait_seconds_bucket{le=\"";

/// The longest wait of each series, and its stack.
#[derive(Debug, Default)]
pub(super) struct Exemplars(BTreeMap<String, (f64, StackId)>);

impl Exemplars {
    /// A wait; `names` are those of the labels.
    pub(super) fn add(&mut self, names: &[&str], labels: &Labels, seconds: f64, stack: StackId) {
        let mut rest = String::new();
        for (name, value) in names.iter().zip(labels.values()) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // Writing to a string does not fail.
            let _ = write!(rest, ",{name}=\"{value}\"");
        }
        let longest = self.0.entry(rest).or_default();
        if seconds > longest.0 {
            *longest = (seconds, stack);
        }
    }

    /// The text with an exemplar at each first bucket that holds one.
    pub(super) fn annotate(&self, text: &str) -> String {
        let mut annotated = String::with_capacity(text.len());
        let mut below = 0.0;
        for line in text.split_inclusive('\n') {
            let bucket = line.strip_prefix(BUCKET).and_then(|rest| rest.split_once('"'));
            let Some((bound, rest)) = bucket else {
                annotated.push_str(line);
                continue;
            };
            let bound: f64 = bound.parse().unwrap_or(f64::INFINITY);
            let labels = rest.rsplit_once('}').map_or(rest, |(labels, _)| labels);
            // The buckets of a series come one after the other, the lowest first.
            let first = self
                .0
                .get(labels)
                .filter(|(seconds, _)| *seconds <= bound && (*seconds > below || below >= bound));
            below = bound;
            let Some((seconds, stack)) = first else {
                annotated.push_str(line);
                continue;
            };
            let line = line.trim_end();
            let _ = writeln!(annotated, "{line} # {{stack_id=\"{stack:016x}\"}} {seconds:?}");
        }
        annotated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bucket_that_holds_it_gets_it() {
        let mut exemplars = Exemplars::default();
        let labels = Labels::from(vec!["7".to_owned(), "a\"b".to_owned()]);
        for (seconds, stack) in [(0.02, 1), (0.3, 0xabc), (0.1, 2)] {
            exemplars.add(&["pid", "service"], &labels, seconds, stack);
        }
        let of = |bound: &str, rest: &str| {
            format!("{BUCKET}{bound}\",pid=\"7\",service=\"a\\\"b\"}} 4{rest}\n")
        };
        let other = format!("{BUCKET}1.0\",pid=\"8\",service=\"\"}} 4\n");
        let before = ["# TYPE x histogram\n".to_owned(), other.clone()];
        let series = |at: &str| {
            ["0.25", "1.0", "+Inf"]
                .map(|b| of(b, if b == at { " # {stack_id=\"0000000000000abc\"} 0.3" } else { "" }))
        };
        let text = [&before[..], &series(""), std::slice::from_ref(&other)].concat().concat();
        let wanted = [&before[..], &series("1.0"), &[other]].concat().concat();
        assert_eq!(exemplars.annotate(&text), wanted);
    }

    #[test]
    fn what_is_longer_than_all_bounds_is_in_the_last() {
        let mut exemplars = Exemplars::default();
        exemplars.add(&["pid"], &Labels::from(vec!["7".to_owned()]), 99.0, 5);
        let text = format!("{BUCKET}17.1\",pid=\"7\"}} 1\n{BUCKET}+Inf\",pid=\"7\"}} 2\n");
        let annotated = exemplars.annotate(&text);
        assert!(annotated.ends_with("2 # {stack_id=\"0000000000000005\"} 99.0\n"), "{annotated}");
        assert_eq!(annotated.matches('#').count(), 1);
    }
}
