//! Makes hostile text harmless: what acts on a terminal or hides from the eye is spelt out.

use std::fmt::Write as _;

/// `text` with everything that a person could not see, or a terminal would obey, written as an escape
/// (`\n`, `\x1b`, `\u202e`), and cut after `limit` characters with a note of how many are missing.
/// What comes out holds no control, bidirectional or zero-width character and no code point that XML
/// forbids.
pub fn visible(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut characters = text.chars();
    for character in characters.by_ref().take(limit) {
        push(&mut out, character);
    }
    // Names of megabytes are counted, not copied.
    match characters.count() {
        0 => {}
        // A string of any length is written to.
        rest => _ = write!(out, "…(+{rest})"),
    }
    out
}

fn push(out: &mut String, character: char) {
    let written = match character {
        '\n' => return out.push_str("\\n"),
        '\r' => return out.push_str("\\r"),
        '\t' => return out.push_str("\\t"),
        c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
        c if is_hidden(c) && u32::from(c) > 0xffff => write!(out, "\\U{:08x}", u32::from(c)),
        c if is_hidden(c) => write!(out, "\\u{:04x}", u32::from(c)),
        c => return out.push(c),
    };
    // Writing to a string does not fail.
    _ = written;
}

/// Controls of the second kind, marks that turn the direction of writing, characters without width,
/// and code points that are no characters.
fn is_hidden(character: char) -> bool {
    let code = u32::from(character);
    matches!(
        code,
        0x80..=0x9f
            | 0xad
            | 0x61c
            | 0x180e
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0xfdd0..=0xfdef
            | 0xfeff
            | 0xfff9..=0xfffb
            | 0xe0000..=0xe007f
    ) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Exercise one of each kind of hostility.
    #[test]
    fn hostile_characters_are_spelt_out() {
        assert_eq!(visible("a\nb\r\t", 99), "a\\nb\\r\\t");
        assert_eq!(visible("\x1b[2J\0\x7f\u{9b}31m", 99), "\\x1b[2J\\x00\\x7f\\u009b31m");
        assert_eq!(visible("\u{202e}txt.py\u{200d}\u{feff}", 99), "\\u202etxt.py\\u200d\\ufeff");
        assert_eq!(visible("\u{fffe}\u{1ffff}\u{e0041}", 99), "\\ufffe\\U0001ffff\\U000e0041");
        assert_eq!(visible("naïve \\udc80 日本 <>&\"]]>", 99), "naïve \\udc80 日本 <>&\"]]>");
    }

    /// Exercise a name of megabytes.
    #[test]
    fn long_names_are_cut() {
        assert_eq!(visible(&"x".repeat(3_000_000), 4), "xxxx…(+2999996)");
        assert_eq!(visible("xxxx", 4), "xxxx");
    }

    proptest! {
        /// Exercise any text: nothing invisible comes through, and nothing grows out of bounds.
        #[test]
        fn nothing_hidden_comes_through(text in any::<String>(), limit in 0usize..80) {
            let shown = visible(&text, limit);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_hidden(c)));
            prop_assert!(shown.chars().count() <= limit * 10 + 24);
        }
    }
}
