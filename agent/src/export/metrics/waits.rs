//! How long calls take, and what they move.

use prometheus_client::registry::Unit;

use super::alive::Alive;
use super::family::{Family, Histograms, Scrape, Series};
use crate::ledger::Ledger;
use crate::source::{Act, WaitClass};

pub(super) fn register(scrape: &mut Scrape<'_>, ledger: &Ledger, alive: &Alive<'_>) {
    let mut waits = Histograms::default();
    let mut moved = Series::default();
    for one in ledger.waits() {
        let Some(name) = alive.name(one.process) else { continue };
        let labels = name.with(&[one.class.name()]);
        if moves_bytes(one.class) {
            moved.add(labels.clone(), one.bytes as f64);
        }
        waits.entry(labels).add(one);
    }
    let labels = &["pid", "service", "class"];
    for act in ledger.acts().iter().filter(|act| act.stack != 0) {
        if let Act::Wait(class) = act.act
            && let Some(name) = alive.name(act.process).filter(|name| !name.is_other())
        {
            let of = name.with(&[class.name()]);
            scrape.exemplars.add(labels, &of, act.sums.max_ns as f64 / 1e9, act.stack);
        }
    }
    let help = "Time that calls took, by what they wait for; of open, close, stat and map only \
                those of 65.5 µs and more";
    scrape.histogram(Family::new("wait", help).of(labels).unit(Unit::Seconds), waits);
    let help = "Bytes moved through descriptors of any kind: receive and send are those of sockets \
                by their own calls, read and write all others";
    scrape.counter(Family::new("transferred", help).of(labels).unit(Unit::Bytes), moved);
}

fn moves_bytes(class: WaitClass) -> bool {
    matches!(class, WaitClass::Read | WaitClass::Write | WaitClass::Receive | WaitClass::Send)
}
