//! `rate_limit`: so many requests in a row, and from then on one for each interval.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// As it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    /// A duration of Go's: `1s`, `250ms`; 0 for no limit.
    interval: Option<String>,
    burst: Option<u32>,
}

/// A bucket that fills by a token an interval.
#[derive(Debug)]
pub(super) struct Bucket {
    interval: Duration,
    burst: f64,
    state: Mutex<(f64, Option<Instant>)>,
}

impl Bucket {
    /// None without a limit.
    pub(super) fn new(wanted: &RateLimit) -> Result<Option<Self>, String> {
        let text = wanted.interval.as_deref().unwrap_or("0");
        let interval = duration(text).ok_or_else(|| {
            format!("the interval {text:?} of rate_limit is no duration, such as 1s or 250ms")
        })?;
        if interval.is_zero() {
            return Ok(None);
        }
        let burst = wanted.burst.unwrap_or(0);
        if burst == 0 {
            return Err("a rate_limit whose burst is 0 lets nobody in; set it to 1 or more".into());
        }
        let burst = f64::from(burst);
        Ok(Some(Self { interval, burst, state: Mutex::new((burst, None)) }))
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *state;
        let passed = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let tokens = (tokens + passed.as_secs_f64() / self.interval.as_secs_f64()).min(self.burst);
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, Some(now));
        taken
    }
}

/// Numbers with units, one after the other: `1m30s`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(sum).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(interval: &str, burst: u32) -> Result<Option<Bucket>, String> {
        Bucket::new(&RateLimit { interval: Some(interval.into()), burst: Some(burst) })
    }

    /// Exercise a burst, what comes too soon, and what comes later.
    #[test]
    fn a_burst_passes_and_then_one_an_interval() {
        let bucket = bucket("1s500ms", 3).expect("good").expect("a limit");
        let began = Instant::now();
        let mut at = |ms| bucket.take(began + Duration::from_millis(ms));
        let taken = [0, 0, 0, 0, 1_000, 1_600, 1_700, 60_000, 60_000, 60_000, 60_000].map(&mut at);
        let expected = [true, true, true, false, false, true, false, true, true, true, false];
        assert_eq!(taken, expected);
    }

    /// Exercise what is no limit, and what is none that makes sense.
    #[test]
    fn limits_that_make_no_sense_are_told() {
        assert!(bucket("0", 0).is_ok_and(|none| none.is_none()));
        assert!(bucket("0s", 0).is_ok_and(|none| none.is_none()));
        assert!(Bucket::new(&RateLimit::default()).is_ok_and(|none| none.is_none()));
        for (interval, burst) in [("1s", 0), ("", 1), ("1", 1), ("s", 1), ("1d", 1), ("-1s", 1)] {
            assert!(bucket(interval, burst).is_err(), "{interval} {burst}");
        }
    }
}
