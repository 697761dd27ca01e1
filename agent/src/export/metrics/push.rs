//! How the pushing of profiles goes.

use prometheus_client::registry::Unit;

use super::family::{Family, Scrape, Series};

/// The pushing to one receiver; profiles are counted, not requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// What it is: `pyroscope` or `otlp`.
    pub receiver: &'static str,
    /// Taken by it.
    pub sent: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Given up, by cause.
    pub dropped: [(&'static str, u64); 4],
    /// Not sent yet.
    pub waiting: u64,
    /// The bytes of those.
    pub waiting_bytes: u64,
}

pub(super) fn register(scrape: &mut Scrape<'_>, all: &[Pushed]) {
    let of = |value: fn(&Pushed) -> u64| {
        let mut series = Series::default();
        for pushed in all {
            series.add(vec![pushed.receiver.to_owned()], value(pushed) as f64);
        }
        series
    };
    let mut dropped = Series::default();
    for pushed in all {
        for (cause, count) in pushed.dropped {
            dropped.add(vec![pushed.receiver.to_owned(), cause.to_owned()], count as f64);
        }
    }
    let family = |name, help| Family::new(name, help).of(&["receiver"]);
    let help = "Profiles that a receiver has taken";
    scrape.counter(family("push_profiles_sent", help), of(|pushed| pushed.sent));
    let help = "Profiles that were not pushed, by cause";
    let family_of_causes = Family::new("push_profiles_dropped", help).of(&["receiver", "cause"]);
    scrape.counter(family_of_causes, dropped);
    let help = "Attempts to push that failed and were made again";
    scrape.counter(family("push_retries", help), of(|pushed| pushed.retries));
    let help = "Profiles that wait to be pushed";
    scrape.gauge(family("push_queue_profiles", help), of(|pushed| pushed.waiting));
    let help = "Memory that profiles take which wait to be pushed";
    scrape.gauge(family("push_queue", help).unit(Unit::Bytes), of(|pushed| pushed.waiting_bytes));
}
