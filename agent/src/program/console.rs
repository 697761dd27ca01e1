//! Standard output of the commands that go on for long.

use std::io::{IsTerminal as _, Write as _};

use crate::export::terminal::Style;

/// Prints at once. A reader that went away is no reason to end a watch: metrics and graphs go on.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Colours on a terminal whose user has not asked for none.
pub(super) fn style() -> Style {
    Style { color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
}
