//! A line that says that work goes on; only on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use super::watch::Watch;

/// The line on standard error.
pub(super) struct Progress {
    what: &'static str,
    began: Instant,
    shown: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, began: Instant::now(), shown: std::io::stderr().is_terminal() }
    }

    /// Draws the line anew.
    pub(super) fn tell(&mut self, watch: &Watch) {
        if !self.shown {
            return;
        }
        let totals = watch.report().totals;
        let opened = totals.flows.get("opened").map_or(0, |flow| flow.received);
        let seconds = self.began.elapsed().as_secs();
        // A terminal that went away is no reason to end.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{} for {seconds} s: {opened} opened, {} open (Ctrl-C ends)",
            self.what,
            totals.descriptors.tracked,
        );
    }

    /// Takes the line away, before other text.
    pub(super) fn end(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
