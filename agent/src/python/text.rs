//! Python strings as Rust ones.

use std::fmt::Write;

use crate::event::RawString;

/// Longest text that is kept, in code points: as long as the longest path.
const MAX_LENGTH: usize = 4096;

/// Decodes `raw`. Lone surrogates are written as `\udc80`, what is no code point as `\U00110000`;
/// `?` stands for a string that could not be read, and `…` follows one that was cut.
pub(crate) fn decode(raw: &RawString) -> String {
    let width = usize::from(raw.kind);
    if !matches!(width, 1 | 2 | 4) {
        return "?".into();
    }
    let length = usize::try_from(raw.length).unwrap_or(usize::MAX);
    let kept = length.min(raw.data.len() / width).min(MAX_LENGTH);
    let mut text = String::with_capacity(kept);
    for unit in raw.data.chunks_exact(width).take(kept) {
        let point = unit.iter().rev().fold(0, |point, byte| point << 8 | u32::from(*byte));
        match char::from_u32(point) {
            Some(character) => text.push(character),
            None if point <= 0xffff => drop(write!(text, "\\u{point:04x}")),
            None => drop(write!(text, "\\U{point:08x}")),
        }
    }
    if kept < length {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(kind: u8, points: &[u32]) -> RawString {
        let data =
            points.iter().flat_map(|point| point.to_le_bytes()[..kind.into()].to_vec()).collect();
        RawString { address: 0x1000, kind, length: points.len() as u64, data }
    }

    #[test]
    fn each_width_decodes() {
        assert_eq!(decode(&raw(1, &[0x63, 0xe9])), "cé");
        assert_eq!(decode(&raw(2, &[0x4e2d, 0x20])), "中 ");
        assert_eq!(decode(&raw(4, &[0x1f40d])), "🐍");
    }

    #[test]
    fn what_is_no_text_stays_visible() {
        assert_eq!(decode(&raw(2, &[0x2f, 0xdcff])), "/\\udcff");
        assert_eq!(decode(&raw(4, &[0x11_0000])), "\\U00110000");
        assert_eq!(decode(&RawString::default()), "?");
        assert_eq!(decode(&raw(3, &[1])), "?");
    }

    #[test]
    fn what_was_cut_says_so() {
        assert_eq!(decode(&RawString { length: u64::MAX, ..raw(1, &[0x61]) }), "a…");
        assert_eq!(
            decode(&RawString { length: 3, data: vec![0x61, 0, 0x62], ..raw(2, &[]) }),
            "a…"
        );
        let long = decode(&raw(1, &vec![0x61; MAX_LENGTH + 1]));
        assert_eq!(long.chars().count(), MAX_LENGTH + 1);
    }
}
