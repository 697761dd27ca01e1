//! The table, and its place in the README.

use std::path::Path;

use anyhow::Result;

use super::Row;
use crate::marked;

const NAME: &str = "pythons";

/// The table in Markdown.
pub(super) fn text(rows: &[Row]) -> String {
    let mut text = "| CPython | build | calls compared | whole | deeper than 256 frames | wrong \
                    | in the kernel |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        let outline = &row.outline;
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {:.0} ns |\n",
            row.label,
            row.build,
            outline.compared,
            outline.whole,
            outline.too_deep,
            outline.wrong,
            row.cost
        );
    }
    text
}

/// Puts the table between its marks.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    marked::write(path, NAME, &text(rows))
}

#[cfg(test)]
mod tests {
    use super::super::Outline;
    use super::*;

    #[test]
    fn an_interpreter_has_its_line() {
        let outline = Outline { compared: 12, whole: 10, too_deep: 2, wrong: 0 };
        let build = "shared".to_owned();
        let row = Row { label: "3.14.1-sid".to_owned(), build, outline, cost: 512.4 };
        let text = text(&[row]);
        assert!(text.ends_with("| 3.14.1-sid | shared | 12 | 10 | 2 | 0 | 512 ns |\n"), "{text}");
    }
}
