//! What stands behind the `?` of an address. Every value here is a number or a word, so nothing is
//! percent-encoded.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The parameters of a request.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        };
        Self(pairs.map(pair).collect())
    }

    /// The value; the empty one counts as none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value as a number within `range`, or a sentence about what is wrong.
    pub(super) fn number<T>(&self, key: &str, range: RangeInclusive<T>) -> Result<Option<T>, String>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(key) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let wrong = || format!("{key} is a number from {} to {}.", range.start(), range.end());
        number.map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise what clients send and what they should not.
    #[test]
    fn values_are_words_and_numbers() {
        let query = Query::of(Some("pid=12&&what=on-cpu&seconds=&x&pid=13"));
        assert_eq!(query.text("what"), Some("on-cpu"));
        assert_eq!(query.text("seconds"), None);
        assert_eq!(query.text("x"), None);
        assert_eq!(query.number("pid", 1..=20), Ok(Some(12)));
        assert_eq!(query.number("seconds", 1..=20), Ok(None));
        let wrong = "pid is a number from 1 to 9.".to_owned();
        assert_eq!(query.number("pid", 1..=9), Err(wrong));
        assert!(query.number("what", 1u32..=9).is_err());
        assert!(Query::of(None).text("pid").is_none());
    }
}
