//! Thresholds that a user sets: `fd-leak.confirmed-span-seconds=30`.

use std::str::FromStr;

use super::nearest::nearest;
use crate::detect::Thresholds;

/// One threshold and what it is to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    rule: String,
    name: String,
    value: f64,
}

impl Setting {
    /// Checks that there is such a threshold, and that it can have the value.
    pub(super) fn new(rule: &str, name: &str, value: f64) -> Result<Self, String> {
        let setting = Self { rule: rule.to_owned(), name: name.to_owned(), value };
        setting.apply(&mut Thresholds::default()).map(|()| setting)
    }

    /// Sets the threshold.
    fn apply(&self, thresholds: &mut Thresholds) -> Result<(), String> {
        let mut rules = thresholds.by_rule();
        let Some(index) = rules.iter().position(|(rule, _)| *rule == self.rule) else {
            let known = rules.iter().map(|(rule, _)| *rule);
            let near = nearest(known, &self.rule).unwrap_or_default();
            return Err(format!(
                "there are no thresholds of `{}`; the nearest are those of `{near}`",
                self.rule
            ));
        };
        let (_, all) = &mut rules[index];
        let Some(threshold) = all.iter_mut().find(|threshold| threshold.name() == self.name) else {
            let known = all.iter().map(|one| one.name());
            let near = nearest(known, &self.name).unwrap_or_default();
            return Err(format!(
                "`{}` has no threshold `{}`; the nearest is `{near}`",
                self.rule, self.name
            ));
        };
        let default = threshold.value();
        threshold.set(self.value).map_err(|right| {
            format!(
                "{}.{} is {right} (the default is {default}), and not {}",
                self.rule, self.name, self.value
            )
        })
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not like fd-leak.confirmed-span-seconds=30");
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let (rule, name) = key.trim().split_once('.').ok_or_else(wrong)?;
        let value = value.trim().parse().map_err(|_| wrong())?;
        Self::new(rule, name, value)
    }
}

/// The defaults with these changes, the last of which has the last word.
pub(super) fn thresholds<'a>(settings: impl IntoIterator<Item = &'a Setting>) -> Thresholds {
    let mut thresholds = Thresholds::default();
    for setting in settings {
        // Each was checked when it was made.
        let _ = setting.apply(&mut thresholds);
    }
    thresholds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_set_by_its_name() {
        let settings: Vec<Setting> =
            ["fd-leak.confirmed-span-seconds=30", "slow-call.count=7", "slow-call.count=9"]
                .map(|text| text.parse().unwrap())
                .into();
        let set = thresholds(&settings);
        assert_eq!(set.fd_leak.confirmed_span_ns, 30_000_000_000);
        assert_eq!(set.slow_call.count, 9);
        assert_eq!(set.busy_poll, Thresholds::default().busy_poll);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (text, told) in [
            ("fd-leek.silence-seconds=3", "`fd-leak`"),
            ("fd-leak.silence-second=3", "`silence-seconds`"),
            ("fd-leak.silence-seconds=-3", "a number of 0 and more"),
            ("slow-call.count=2.5", "a whole number (the default is 3)"),
            ("fd-leak.silence-seconds", "like fd-leak.confirmed-span-seconds=30"),
            ("silence-seconds=3", "like fd-leak.confirmed-span-seconds=30"),
            ("fd-leak.silence-seconds=long", "like fd-leak.confirmed-span-seconds=30"),
        ] {
            let error = text.parse::<Setting>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
