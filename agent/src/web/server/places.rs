//! Places for connections: there are so many, and who comes last always gets one.
//!
//! A client that opens connections and says nothing, or reads nothing, must not keep a scraper out.
//! So nobody waits for a client to leave: when all places are taken, the address that holds most of
//! them loses its oldest, those that have said nothing first. A scraper speaks as soon as it is
//! connected. Whoever comes keeps his place for a moment, long enough for a handshake and an answer,
//! however fast others come.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

/// The moment that every connection is given.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// How far a connection is, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing has come of it.
    Silent,
    /// Something has: a part of a handshake or of a request. Or all is over and it is not gone yet.
    Begun,
    /// A request was read whole, and the answer is on its way.
    Asked,
}

struct Place {
    client: IpAddr,
    since: Instant,
    stage: Stage,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// By number, and so by age.
    taken: BTreeMap<u64, Place>,
}

/// The places of all servers together.
#[derive(Clone, Default)]
pub(super) struct Places {
    table: Arc<Mutex<Table>>,
}

/// One connection's place, free again when it is dropped.
pub(super) struct Seat {
    number: u64,
    places: Places,
}

impl Places {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.table().taken.len()
    }

    /// Takes a place for a connection of this client.
    pub(super) fn take(&self, client: IpAddr, since: Instant) -> Seat {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.taken.insert(number, Place { client, since, stage: Stage::Silent, task: None });
        Seat { number, places: self.clone() }
    }

    /// What ends the connection, if it has not ended by itself.
    pub(super) fn hold(&self, number: u64, task: AbortHandle) {
        if let Some(place) = self.table().taken.get_mut(&number) {
            place.task = Some(task);
        }
    }

    /// Ends one connection.
    ///
    /// # Errors
    /// When every one that it could be has its moment still: when the first of those is over.
    pub(super) fn evict(&self, now: Instant) -> Result<(), Instant> {
        let mut table = self.table();
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for place in table.taken.values() {
            *held.entry(place.client).or_default() += 1;
        }
        let Some((client, _)) = held.into_iter().max_by_key(|(_, held)| *held) else {
            return Ok(());
        };
        let its = table.taken.iter().filter(|(_, place)| place.client == client);
        let over = |place: &Place| place.since + GRACE;
        // Of the same stage the first is the oldest.
        let chosen =
            its.clone().filter(|(_, place)| over(place) <= now).min_by_key(|(_, p)| p.stage);
        let Some((number, _)) = chosen else {
            return Err(its.map(|(_, place)| over(place)).min().unwrap_or(now));
        };
        let number = *number;
        if let Some(task) = table.taken.remove(&number).and_then(|place| place.task) {
            task.abort();
        }
        Ok(())
    }
}

impl Seat {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// It has come this far.
    pub(super) fn reached(&self, stage: Stage) {
        if let Some(place) = self.places.table().taken.get_mut(&self.number) {
            place.stage = stage;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.table().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn left(places: &Places) -> Vec<u64> {
        places.table().taken.keys().copied().collect()
    }

    /// Exercise the order: who holds most, its oldest that is silent, that has begun, that has asked.
    #[test]
    fn the_oldest_of_who_holds_most_has_to_go() {
        let places = Places::default();
        let then = Instant::now();
        let now = then + GRACE;
        let other = places.take(OTHER, then);
        let flood: Vec<Seat> = (0..5).map(|_| places.take(FLOOD, then)).collect();
        for (seat, stage) in flood.iter().zip([Stage::Asked, Stage::Begun, Stage::Silent]) {
            seat.reached(stage);
        }
        for expected in [&[0, 1, 2, 4, 5][..], &[0, 1, 2, 5], &[0, 1, 2], &[0, 1]] {
            assert_eq!(places.evict(now), Ok(()));
            assert_eq!(left(&places), expected);
        }
        drop((other, flood));
        assert_eq!((places.taken(), places.evict(now)), (0, Ok(())));
    }

    /// Exercise the moment: whoever has it keeps his place, silent or not.
    #[test]
    fn everybody_has_a_moment() {
        let places = Places::default();
        let then = Instant::now();
        let seats = [0, 10].map(|ms| places.take(FLOOD, then + Duration::from_millis(ms)));
        seats[0].reached(Stage::Begun);
        let soon = then + Duration::from_millis(20);
        assert_eq!(places.evict(soon), Err(then + GRACE));
        assert_eq!((places.evict(then + GRACE), left(&places)), (Ok(()), vec![1]));
        assert_eq!(places.evict(then + GRACE), Err(then + GRACE + Duration::from_millis(10)));
    }
}
