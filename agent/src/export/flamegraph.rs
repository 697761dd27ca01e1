//! Flame graphs as SVG, drawn by inferno. Bounded: many distinct stacks become one `~other`, and
//! what would be too narrow to see is left out.

use std::cmp::Reverse;
use std::io;

use inferno::flamegraph::{Options, from_lines};

use super::visible;

/// Stacks that are drawn on their own: 4,000. Beyond that an SVG takes a browser seconds to open.
const STACKS: usize = 4_000;

/// Width below which a frame is left out, in per cent: a fifth of a pixel on a wide screen is
/// nothing to look at.
const LEAST_WIDTH: f64 = 0.02;

/// What one stack may weigh: a petabyte, 35 years of microseconds. Widths are floats, not exact
/// beyond 2^53, and the sum over all stacks must not overflow.
const HEAVIEST: u64 = 1 << 50;

/// What a flame graph says above its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Titles {
    /// The headline: `Open descriptors`.
    pub title: String,
    /// Below it: the process, the window, what was lost.
    pub subtitle: String,
    /// What is counted: `descriptors`.
    pub count_name: String,
}

/// Why a flame graph could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum FlameGraphError {
    /// There is not a single stack.
    #[error("failed to draw a flame graph: there is nothing to draw; watch for longer")]
    Empty,
    /// The drawing itself failed.
    #[error("failed to draw a flame graph: {0}")]
    Draw(#[source] io::Error),
}

/// Draws folded lines, as [`super::folded::lines`] makes them, as one SVG document.
///
/// # Errors
/// When there is no line with a count above 0.
pub fn svg(lines: &[String], titles: &Titles) -> Result<Vec<u8>, FlameGraphError> {
    let lines = bounded(lines);
    if lines.is_empty() {
        return Err(FlameGraphError::Empty);
    }
    let mut options = Options::default();
    options.title = visible(&titles.title, 120);
    options.subtitle = Some(visible(&titles.subtitle, 300)).filter(|text| !text.is_empty());
    options.count_name = visible(&titles.count_name, 40);
    options.min_width = LEAST_WIDTH;
    // The same picture for the same data.
    options.deterministic = true;
    let mut svg = Vec::new();
    from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .map_err(FlameGraphError::Draw)?;
    Ok(svg)
}

/// The heaviest lines, and the rest as one.
fn bounded(lines: &[String]) -> Vec<String> {
    let mut weighed: Vec<(&str, u64)> = lines.iter().filter_map(|line| weigh(line)).collect();
    weighed.sort_unstable_by_key(|(stack, weight)| (Reverse(*weight), *stack));
    let rest = weighed.iter().skip(STACKS).fold(0u64, |sum, (_, n)| sum.saturating_add(*n));
    let rest = rest.min(HEAVIEST);
    weighed.truncate(STACKS);
    let mut kept: Vec<String> =
        weighed.into_iter().map(|(stack, weight)| format!("{stack} {weight}")).collect();
    if rest > 0 {
        kept.push(format!("~other (stacks left out) {rest}"));
    }
    kept
}

fn weigh(line: &str) -> Option<(&str, u64)> {
    let (stack, weight) = line.rsplit_once(' ')?;
    let weight: u64 = weight.parse().ok().filter(|weight| *weight > 0)?;
    Some((stack, weight.min(HEAVIEST)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::folded;
    use crate::python::{Frame, Stack};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn titles() -> Titles {
        Titles {
            title: "Open <descriptors> & \"more\" ]]>".to_owned(),
            subtitle: "pid 1 \u{1b}[2J \u{fffe}".to_owned(),
            count_name: "descriptors".to_owned(),
        }
    }

    fn stack(names: &[&str]) -> Stack {
        let frames = names.iter().map(|name| Frame::new(format!("/srv/{name}.py"), *name, None, 1));
        Stack { frames: frames.collect(), ..Stack::default() }
    }

    fn drawn(stacks: &[(Stack, u64)]) -> String {
        let lines = folded::lines(stacks.iter().map(|(stack, n)| (Some(stack), *n)));
        let svg = svg(&lines, &titles()).expect("drawn");
        String::from_utf8(svg).expect("UTF-8")
    }

    fn shown(svg: &str) -> Vec<String> {
        let options =
            roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
        let document = roxmltree::Document::parse_with_options(svg, options).expect("valid XML");
        let titles = document.descendants().filter(|node| node.has_tag_name("title"));
        titles.filter_map(|node| node.text().map(str::to_owned)).collect()
    }

    /// Exercise names that would end a tag, a comment, a CDATA section or the document.
    #[test]
    fn hostile_names_stay_text() {
        for name in [
            "<script>alert(1)</script>",
            "a\"b'c&d;e",
            "]]>",
            "--><!-- x",
            "line\nfeed",
            "\x1b[31mred\x1b[0m",
            "\0\u{1}\u{b}\u{c}\u{7f}\u{85}",
            "\\udc80 lone",
            "\u{fffe}\u{ffff}",
            "\u{202e}evil",
            "&#0;&amp;",
            "# comment",
            "name 12 34",
            "</svg>",
        ] {
            let svg = drawn(&[(stack(&[name, "main"]), 5)]);
            let titles = shown(&svg);
            let label = folded::label(&stack(&[name]).frames[0]);
            assert!(
                titles.iter().any(|title| title.starts_with(&label)),
                "{name:?}: {label} is not among {titles:?}"
            );
            assert!(!svg.contains("<script>alert"));
        }
    }

    /// Exercise the sums: every frame carries what is above it.
    #[test]
    fn counts_add_up() {
        let svg = drawn(&[(stack(&["a", "main"]), 3), (stack(&["b", "main"]), 1)]);
        let titles = shown(&svg);
        for title in [
            "all (4 descriptors, 100%)",
            "main (main.py:1) (4 descriptors, 100.00%)",
            "a (a.py:1) (3 descriptors, 75.00%)",
            "b (b.py:1) (1 descriptors, 25.00%)",
        ] {
            assert!(titles.iter().any(|shown| shown == title), "{title} not in {titles:?}");
        }
    }

    /// Exercise a target with a hundred thousand distinct names: the picture stays small, and says
    /// what it left out.
    #[test]
    fn huge_inputs_stay_small() {
        let lines: Vec<String> =
            (0..100_000).map(|n| format!("main (a.py:1);f{n} (b.py:{n}) 1")).collect();
        let svg = svg(&lines, &titles()).expect("drawn");
        assert!(svg.len() < 4_000_000, "{} bytes", svg.len());
        let titles = shown(&String::from_utf8(svg).expect("UTF-8"));
        assert!(titles.iter().any(|title| title.starts_with("~other (stacks left out) (96,000")));
    }

    /// Exercise the same data twice: the same picture.
    #[test]
    fn the_same_data_gives_the_same_picture() {
        let stacks = [(stack(&["a", "main"]), 3), (stack(&["b", "main"]), 1)];
        assert_eq!(drawn(&stacks), drawn(&stacks));
    }

    /// Exercise nothing at all.
    #[test]
    fn nothing_to_draw_is_an_error() {
        let lines = ["main (a.py:1) 0".to_owned(), "no count".to_owned()];
        assert!(matches!(svg(&lines, &titles()), Err(FlameGraphError::Empty)));
    }

    proptest! {
        /// Exercise any names at all: a whole XML document with every frame's label in it.
        #[test]
        fn any_names_give_valid_xml(names in vec(any::<String>(), 1..6)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let titles = shown(&drawn(&[(stack(&names), 7)]));
            for frame in &stack(&names).frames {
                let label = folded::label(frame);
                prop_assert!(titles.iter().any(|title| title.starts_with(&label)), "{}", label);
            }
        }
    }
}
