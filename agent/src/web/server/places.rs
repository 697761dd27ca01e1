//! Places for connections: there are so many, and who comes last always gets one.
//!
//! A client that opens connections and says nothing, or reads nothing, must not keep a scraper out.
//! So nobody waits for a place: when all are taken, the client that holds most of them loses its
//! oldest, those that have not asked for anything first. A scraper asks at once and reads at once,
//! and is done before it is anybody's oldest.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

struct Place {
    client: IpAddr,
    /// A request was read whole, and the answer is on its way.
    asked: bool,
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
    pub(super) fn take(&self, client: IpAddr) -> Seat {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        table.taken.insert(number, Place { client, asked: false, task: None });
        Seat { number, places: self.clone() }
    }

    /// What ends the connection, if it has not ended by itself.
    pub(super) fn hold(&self, number: u64, task: AbortHandle) {
        if let Some(place) = self.table().taken.get_mut(&number) {
            place.task = Some(task);
        }
    }

    /// Ends one connection.
    pub(super) fn evict(&self) {
        let mut table = self.table();
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for place in table.taken.values() {
            *held.entry(place.client).or_default() += 1;
        }
        let Some(client) = held.into_iter().max_by_key(|(_, held)| *held) else { return };
        let mut its = table.taken.iter().filter(|(_, place)| place.client == client.0);
        let oldest = its.clone().find(|(_, place)| !place.asked).or_else(|| its.next());
        let Some(number) = oldest.map(|(number, _)| *number) else { return };
        if let Some(task) = table.taken.remove(&number).and_then(|place| place.task) {
            task.abort();
        }
    }
}

impl Seat {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the answer is on its way.
    pub(super) fn set_asked(&self, asked: bool) {
        if let Some(place) = self.places.table().taken.get_mut(&self.number) {
            place.asked = asked;
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

    /// Exercise the order: who holds most, its oldest that has not asked, then its oldest.
    #[test]
    fn the_oldest_of_who_holds_most_has_to_go() {
        let places = Places::default();
        let other = places.take(OTHER);
        let flood: Vec<Seat> = (0..4).map(|_| places.take(FLOOD)).collect();
        flood[0].set_asked(true);
        flood[2].set_asked(true);
        places.evict();
        assert_eq!(left(&places), [0, 1, 3, 4]);
        places.evict();
        assert_eq!(left(&places), [0, 1, 3]);
        places.evict();
        assert_eq!(left(&places), [0, 3]);
        drop((other, flood));
        assert_eq!(places.taken(), 0);
        places.evict();
    }
}
