//! Folded stacks: one line a stack, root first, `;` between frames, a count at the end. What every
//! flame graph tool reads.

use std::collections::BTreeMap;

use crate::python::{Frame, Stack};

use super::steps::{Step, root_first};
use super::visible;

/// Characters of a function's and of a file's name that are shown.
const NAME: usize = 120;

/// One line a stack, sorted, without line feeds. Stacks that look the same are added up; those
/// without weight are left out. `None` is what has no stack.
pub fn lines<'a>(stacks: impl IntoIterator<Item = (Option<&'a Stack>, u64)>) -> Vec<String> {
    let mut weights: BTreeMap<String, u64> = BTreeMap::new();
    for (stack, weight) in stacks {
        if weight > 0 {
            let sum = weights.entry(fold(stack)).or_default();
            *sum = sum.saturating_add(weight);
        }
    }
    weights.into_iter().map(|(stack, weight)| format!("{stack} {weight}")).collect()
}

/// The same as one text with a line feed after each line.
pub fn text<'a>(stacks: impl IntoIterator<Item = (Option<&'a Stack>, u64)>) -> String {
    text_of(&lines(stacks))
}

/// Lines as one text.
pub fn text_of(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn fold(stack: Option<&Stack>) -> String {
    let shown = |step: Step<'_>| match step.stand_in() {
        Some(words) => words.to_owned(),
        None => step.frame().map(label).unwrap_or_default(),
    };
    let labels: Vec<String> = root_first(stack).into_iter().map(shown).collect();
    labels.join(";")
}

/// `function (file.py:42)`; the name that the version knows best, and the file without its
/// directories.
pub fn label(frame: &Frame) -> String {
    let function = frame.qualname.as_ref().unwrap_or(&frame.function);
    let function = harmless(function);
    let file = harmless(short_file(&frame.file));
    if frame.line == 0 {
        format!("{function} ({file})")
    } else {
        format!("{function} ({file}:{})", frame.line)
    }
}

/// Frames end at `;`; a line that begins with `#` is a comment to some readers.
fn harmless(name: &str) -> String {
    let name = visible(name.trim(), NAME).replace(';', ":");
    match name.strip_prefix('#') {
        Some(rest) => format!("\\x23{rest}"),
        None if name.is_empty() => "?".to_owned(),
        None => name,
    }
}

/// `sessions.py`; with its directory where the name alone says nothing: `requests/__init__.py`.
fn short_file(file: &str) -> &str {
    let Some((directory, name)) = file.rsplit_once('/') else { return file };
    if !matches!(name, "__init__.py" | "__main__.py") {
        return name;
    }
    let parent = directory.rfind('/').map_or(0, |slash| slash + 1);
    file.get(parent..).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn frame(file: &str, function: &str, line: u32) -> Frame {
        Frame::new(file, function, None, line)
    }

    /// Exercise the order of frames, the sum of equal stacks, and stacks that are not there.
    #[test]
    fn root_first_and_added_up() {
        let stack = Stack {
            frames: vec![frame("/srv/app.py", "load", 42), frame("/srv/main.py", "main", 7)],
            ..Stack::default()
        };
        let cut = Stack { truncated: true, ..stack.clone() };
        let stacks = [(Some(&stack), 2), (None, 1), (Some(&stack), 3), (Some(&cut), 1)];
        assert_eq!(
            lines(stacks),
            [
                "(deeper frames left out);main (main.py:7);load (app.py:42) 1",
                "(no Python stack) 1",
                "main (main.py:7);load (app.py:42) 5",
            ]
        );
        assert_eq!(text([(Some(&stack), 0)]), "");
    }

    /// Exercise names that would break the format.
    #[test]
    fn hostile_names() {
        assert_eq!(label(&frame("a;b.py", "f;\n g 12", 1)), "f:\\n g 12 (a:b.py:1)");
        assert_eq!(label(&frame("", " # x", 0)), "\\x23 x (?)");
        assert_eq!(label(&frame("/x/pkg/__init__.py", "f", 3)), "f (pkg/__init__.py:3)");
        assert_eq!(label(&frame("__main__.py", "f", 3)), "f (__main__.py:3)");
        assert!(label(&frame(&"y".repeat(9_999), &"x".repeat(9_999), 1)).len() < 300);
    }

    /// Exercise the name with its class, where it is known.
    #[test]
    fn the_qualified_name_is_shown() {
        let method = Frame::new("app.py", "get", Some("Client.get".into()), 9);
        assert_eq!(label(&method), "Client.get (app.py:9)");
    }

    proptest! {
        /// Exercise any names at all: one line, as many frames as there were, and the count.
        #[test]
        fn any_names_keep_the_format(names in vec((any::<String>(), any::<String>()), 1..6)) {
            let frames = names.iter().map(|(file, function)| frame(file, function, 7)).collect();
            let stack = Stack { frames, ..Stack::default() };
            let text = text([(Some(&stack), 42)]);
            prop_assert_eq!(text.matches('\n').count(), 1);
            prop_assert!(text.ends_with(" 42\n") && !text.starts_with('#'));
            prop_assert_eq!(text.split(';').count(), names.len());
            prop_assert!(text.trim_end().chars().all(|c| !c.is_control()));
        }
    }
}
