//! Numbers and places as a person reads them.

use crate::ledger::SECOND_NS;
use crate::python::Frame;

/// `231 s`, `4 min`, `1.5 h`, `3 days`.
pub(super) fn duration(ns: u64) -> String {
    let seconds = ns as f64 / SECOND_NS as f64;
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// `1,024`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `103`, and `6.3` where the fraction matters.
pub(super) fn rate(per_minute: f64) -> String {
    if per_minute.abs() < 10.0 {
        format!("{per_minute:.1}")
    } else {
        count(per_minute.abs().round() as u64)
    }
}

/// `800 bytes`, `12.5 kB`, `3.2 MB`, `1.0 GB`.
pub(super) fn volume(bytes: f64) -> String {
    match bytes {
        b if b < 1e3 => format!("{b:.0} bytes"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

/// `file.py:42 (function)`.
pub(super) fn place(frame: &Frame) -> String {
    format!("{}:{} ({})", frame.file, frame.line, frame.function)
}

/// Seconds with three decimals: evidence is read by people too.
pub(super) fn seconds(ns: u64) -> f64 {
    (ns as f64 / 1e6).round() / 1e3
}

/// Rounded to three decimals.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise each unit and its border.
    #[test]
    fn numbers_read_well() {
        assert_eq!(duration(1_234_567_890), "1.2 s");
        assert_eq!(duration(64 * SECOND_NS), "64 s");
        assert_eq!(duration(240 * SECOND_NS), "4 min");
        assert_eq!(duration(3 * 3_600 * SECOND_NS), "3.0 h");
        assert_eq!(duration(1_000_000 * SECOND_NS), "12 days");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_024), "1,024");
        assert_eq!(count(1_048_576), "1,048,576");
        assert_eq!(rate(6.25), "6.2");
        assert_eq!(rate(1_030.4), "1,030");
        assert_eq!(rounded(1.23456), 1.235);
        assert_eq!(volume(812.0), "812 bytes");
        assert_eq!(volume(20_480.0), "20.5 kB");
        assert_eq!(volume(100e6), "100.0 MB");
    }
}
