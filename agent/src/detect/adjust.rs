//! Thresholds by name: what a configuration can set, with the default and the reason for it.

/// Declares a struct of thresholds: each with its default, and with its documentation as the reason
/// that a configuration shows.
macro_rules! thresholds {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $doc:literal])+ pub $field:ident: $kind:ty = $default:expr,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $kind,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::detect::adjust::Adjustable for $name {
            fn thresholds(&mut self) -> Vec<$crate::detect::Threshold<'_>> {
                vec![$($crate::detect::Threshold::new(
                    stringify!($field),
                    concat!($($doc),+),
                    &mut self.$field,
                ),)+]
            }
        }
    };
}
pub(super) use thresholds;

/// The thresholds of one rule.
pub(super) trait Adjustable {
    fn thresholds(&mut self) -> Vec<Threshold<'_>>;
}

/// A number that can be read and set.
pub trait Number {
    /// The number.
    fn get(&self) -> f64;
    /// Sets it; false when it is none of this kind.
    fn set(&mut self, value: f64) -> bool;
}

impl Number for f64 {
    fn get(&self) -> f64 {
        *self
    }

    fn set(&mut self, value: f64) -> bool {
        *self = value;
        true
    }
}

macro_rules! whole {
    ($($kind:ty),+) => {
        $(impl Number for $kind {
            fn get(&self) -> f64 {
                *self as f64
            }

            fn set(&mut self, value: f64) -> bool {
                let fits = value.fract() == 0.0 && value <= <$kind>::MAX as f64;
                if fits {
                    *self = value as $kind;
                }
                fits
            }
        })+
    };
}

whole!(u32, u64, usize);

/// Times are nanoseconds (or seconds) within, and seconds for people.
const TIMES: [(&str, f64); 2] = [("_ns", 1e9), ("_s", 1.0)];

/// Of a time, the name without its unit, and how many of these a second is.
fn time(field: &str) -> Option<(&str, f64)> {
    TIMES.iter().find_map(|(end, scale)| Some((field.strip_suffix(end)?, *scale)))
}

/// What a field is called by people.
fn name(field: &str) -> String {
    let name = match time(field) {
        Some((name, _)) => format!("{name}_seconds"),
        None => field.to_owned(),
    };
    name.replace('_', "-")
}

/// One threshold.
pub struct Threshold<'a> {
    field: &'static str,
    reason: &'static str,
    number: &'a mut dyn Number,
}

impl<'a> Threshold<'a> {
    pub(super) fn new(
        field: &'static str,
        reason: &'static str,
        number: &'a mut dyn Number,
    ) -> Self {
        Self { field, reason, number }
    }

    /// What it is called: `per-minute`, `window-seconds`.
    pub fn name(&self) -> String {
        name(self.field)
    }

    /// What it is, and why it is what it is by default.
    pub fn reason(&self) -> String {
        // Between quotes are names of code, among them those of other thresholds.
        let parts = self.reason.trim_start().split('`').enumerate();
        let parts = parts.map(|(index, part)| match time(part) {
            Some(_) if index % 2 == 1 => name(part),
            _ => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("`")
    }

    /// Its value; of times in seconds.
    pub fn value(&self) -> f64 {
        self.number.get() / time(self.field).map_or(1.0, |(_, scale)| scale)
    }

    /// Sets it.
    ///
    /// # Errors
    /// What would be right, when it cannot be `value`.
    pub fn set(&mut self, value: f64) -> Result<(), &'static str> {
        if !value.is_finite() || value < 0.0 {
            return Err("a number of 0 and more");
        }
        let scale = time(self.field).map_or(1.0, |(_, scale)| scale);
        // The nearest nanosecond is near enough; half a call is none.
        let raw = if scale > 1.0 { (value * scale).round() } else { value };
        let right = if scale > 1.0 { "a number of seconds" } else { "a whole number" };
        if self.number.set(raw) { Ok(()) } else { Err(right) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Thresholds;

    #[test]
    fn every_threshold_can_be_read_and_set() {
        let mut thresholds = Thresholds::default();
        let mut names = Vec::new();
        for (rule, mut all) in thresholds.by_rule() {
            for threshold in &mut all {
                let name = format!("{rule}.{}", threshold.name());
                let value = threshold.value();
                assert!(threshold.set(value + 1.0).is_ok(), "{name}");
                assert_eq!(threshold.value(), value + 1.0, "{name}");
                assert!(threshold.set(value).is_ok(), "{name}");
                assert!(threshold.reason().len() > 10, "{name}: {}", threshold.reason());
                for bad in [-1.0, f64::NAN, f64::INFINITY] {
                    assert!(threshold.set(bad).is_err(), "{name}");
                }
                names.push(name);
            }
        }
        assert_eq!(thresholds, Thresholds::default());
        assert!(names.contains(&"fd-leak.confirmed-span-seconds".to_owned()));
        assert!(names.contains(&"busy-poll.per-second".to_owned()));
        names.sort_unstable();
        names.dedup();
        assert!(names.len() > 200, "{}", names.len());
    }

    #[test]
    fn a_count_is_whole() {
        let mut thresholds = Thresholds::default();
        let mut rules = thresholds.by_rule();
        let (_, slow) = rules.iter_mut().find(|(rule, _)| *rule == "slow-call").unwrap();
        let count = slow.iter_mut().find(|one| one.name() == "count").unwrap();
        assert_eq!(count.set(2.5), Err("a whole number"));
        assert_eq!(count.set(1e300), Err("a whole number"));
    }
}
