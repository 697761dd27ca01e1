//! The reference of all metrics, made from the same registrations as a scrape.

use super::{Continuity, Health, gather};
use crate::detect::Rules;
use crate::export::WallClock;
use crate::ledger::{Ledger, Limits};

const HEAD: &str = "# Metrics

What `pitviper agent`, and `pitviper attach --listen`, serve at `/metrics`. Written by `cargo xtask docs`.

Series of a process are there while it lives. The first 512 processes have series of their own, the \
rest is summed as `~other`; `pitviper_folded_labels` tells how many those are. Counters begin with \
the attach. In OpenMetrics, buckets of `pitviper_wait_seconds` carry the id of the stack that waited \
longest as an exemplar, which `/api/v1/stacks/ID` and the page's `#/stack/ID` resolve.

| name | type | unit | labels | meaning |
|---|---|---|---|---|
";

/// `docs/metrics.md`: a table of every metric, in the order of a scrape.
pub fn catalogue() -> String {
    let ledger = Ledger::new(Limits::default());
    let board = Rules::default().board();
    let mut continuity = Continuity::default();
    let scrape = gather(&ledger, &board, &Health::default(), WallClock::default(), &mut continuity);
    let mut text = HEAD.to_owned();
    for entry in scrape.entries {
        let labels: Vec<_> = entry.labels.iter().map(|label| format!("`{label}`")).collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            entry.name,
            entry.kind,
            entry.unit,
            labels.join(", "),
            entry.help,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Holds the reference against the program; `PITVIPER_BLESS=1` writes it anew.
    #[test]
    fn the_reference_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("PITVIPER_BLESS").is_some() {
            std::fs::write(&path, catalogue()).expect("docs/metrics.md written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == catalogue(), "docs/metrics.md is not current: run `cargo xtask docs`");
    }
}
