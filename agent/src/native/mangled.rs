//! Names as their programmers wrote them, made of those that compilers gave (`_ZN…`, `_R…`).

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};

/// Bytes that are written of a name, each piece counted as one more: parts of a mangled name can
/// refer to others, so that forty bytes may stand for a terabyte. More than is shown of a name.
const LONGEST: usize = 8 << 10;

/// The name, readable where it is one that a compiler of C++ or Rust gave.
pub(super) fn readable(name: &str) -> String {
    // The libraries read names without these beginnings, too, and types: a function called `f` would
    // be shown as `float`.
    if !["_Z", "_R"].iter().any(|mark| name.starts_with(mark)) {
        return name.to_owned();
    }
    let mut text = Text::default();
    let written = match rustc_demangle::try_demangle(name) {
        // Without the hash at its end.
        Ok(rust) => write!(text, "{rust:#}"),
        Err(_) => match Symbol::new(name.as_bytes()) {
            Ok(symbol) => symbol.structured_demangle(&mut text, &DemangleOptions::default()),
            Err(_) => Err(fmt::Error),
        },
    };
    // Where it was too long its beginning is enough.
    if written.is_ok() || text.text.len() >= LONGEST { text.text } else { name.to_owned() }
}

#[derive(Default)]
struct Text {
    text: String,
    written: usize,
}

impl Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.written >= 2 * LONGEST || self.text.len() >= LONGEST {
            return Err(fmt::Error);
        }
        self.written += 1 + piece.len();
        self.text.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_compilers_are_read() {
        for (name, expected) in [
            ("_ZN5space3fooEibc", "space::foo(int, bool, char)"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("SSL_read_ex", "SSL_read_ex"),
            ("_Zap", "_Zap"),
            ("", ""),
            ("f", "f"),
            ("l", "l"),
            ("Pv", "Pv"),
            ("RNvC6_123foo3bar", "RNvC6_123foo3bar"),
        ] {
            assert_eq!(readable(name), expected);
        }
    }

    /// Exercise a name of 300 bytes whose last type has that before it twice, and so on: 2^30 words.
    #[test]
    fn a_name_that_doubles_is_cut() {
        let mut name = "_Z1f4pairIiiE".to_owned();
        for digit in ('0'..='9').chain('A'..='T') {
            name.push_str(&format!("S_IS{digit}_S{digit}_E"));
        }
        let text = readable(&name);
        assert!(text.starts_with("f(pair<int, int>, pair<pair<int, int>, pair<int, int> >, "));
        assert!((LONGEST..2 * LONGEST).contains(&text.len()));
    }
}
