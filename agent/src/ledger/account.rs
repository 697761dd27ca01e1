//! What one line holds of one kind of descriptor.

use crate::event::{ProcessId, StackId};
use crate::python::Frame;

use super::{DescriptorKind, History, Owner, Sample};

/// Age from which a descriptor counts as mature: 5 s. A request, a file that is read or a temporary
/// file is over by then, so that the fate of the mature ones tells a leak (they stay for ever) from a
/// cache or a server (they are closed at some age or other).
pub const MATURE_NS: u64 = 5 * super::SECOND_NS;

/// Mature descriptors that must have been seen before their fate says something.
const MATURED_ENOUGH: u64 = 8;

/// One descriptor of an account that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Living {
    /// Monotonic nanoseconds of its birth.
    pub born_ns: u64,
    /// Its number.
    pub fd: u32,
    /// Monotonic nanoseconds of the last read, write or poll.
    pub used_ns: u64,
    /// It is a connection that was taken from a listening socket.
    pub accepted: bool,
}

/// One pair of a responsible line and a kind of descriptor, in one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The process.
    pub process: ProcessId,
    /// The responsible line; `None` when no stack could be had, and for `~other`.
    pub site: Option<Frame>,
    /// Whose code that line is.
    pub owner: Owner,
    /// What the descriptors refer to.
    pub kind: DescriptorKind,
    /// This account collects the lines that did not fit into the ledger's bounds.
    pub overflow: bool,
    /// Descriptors opened since the attach.
    pub opened: u64,
    /// Of those, closed.
    pub closed: u64,
    /// Descriptors that became [mature](MATURE_NS).
    pub matured: u64,
    /// Of those, closed.
    pub matured_closed: u64,
    /// Distinct stacks that hold something open here.
    pub stacks: u32,
    pub(super) mature_life_ns: u64,
    pub(super) mostly_closed_since: Option<(u64, u64)>,
    pub(super) living: Vec<Living>,
    pub(super) next: Vec<Living>,
    pub(super) history: History,
    pub(super) largest_stack: Option<(StackId, u32)>,
    pub(super) active_ns: u64,
}

impl Account {
    pub(super) fn new(
        process: ProcessId,
        site: Option<Frame>,
        owner: Owner,
        kind: DescriptorKind,
        overflow: bool,
    ) -> Self {
        Self {
            process,
            site,
            owner,
            kind,
            overflow,
            opened: 0,
            closed: 0,
            matured: 0,
            matured_closed: 0,
            stacks: 0,
            mature_life_ns: 0,
            mostly_closed_since: None,
            living: Vec::new(),
            next: Vec::new(),
            history: History::default(),
            largest_stack: None,
            active_ns: 0,
        }
    }

    /// Its open descriptors, the oldest first.
    pub fn living(&self) -> &[Living] {
        &self.living
    }

    /// How it moved.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The stack that holds most of what is open.
    pub fn largest_stack(&self) -> Option<StackId> {
        self.largest_stack.map(|(stack, _)| stack)
    }

    /// How old its mature descriptors were in the mean when they were closed, in nanoseconds; `None`
    /// while none was.
    pub fn mean_mature_life_ns(&self) -> Option<u64> {
        self.mature_life_ns.checked_div(self.matured_closed)
    }

    /// Since when at least half of all mature descriptors have been closed: monotonic nanoseconds,
    /// and how many had been opened by then. `None` while most of them stay open.
    pub fn mostly_closed_since(&self) -> Option<(u64, u64)> {
        self.mostly_closed_since
    }

    /// Takes what `next` has collected as the state at `now_ns`; `before_ns` is the time of the state
    /// so far.
    pub(super) fn settle(&mut self, before_ns: u64, now_ns: u64) {
        self.next.sort_unstable();
        let mature_before = |living: &Living| before_ns.saturating_sub(living.born_ns) >= MATURE_NS;
        let identity = |living: &Living| (living.born_ns, living.fd);
        let mut old = self.living.iter().peekable();
        let mut gone = |limit: Option<(u64, u32)>| {
            // Both lists are sorted by birth: what is passed over is no longer there.
            let mut closed = (0, 0);
            while let Some(living) = old.peek() {
                if limit.is_some_and(|limit| identity(living) >= limit) {
                    break;
                }
                if mature_before(living) {
                    closed.0 += 1;
                    closed.1 += before_ns.saturating_sub(living.born_ns);
                }
                old.next();
            }
            let known = old.next_if(|living| Some(identity(living)) == limit);
            (closed, known.is_some_and(mature_before))
        };
        for living in &self.next {
            let ((closed, life_ns), was_mature) = gone(Some(identity(living)));
            self.matured_closed += closed;
            self.mature_life_ns = self.mature_life_ns.saturating_add(life_ns);
            if !was_mature && now_ns.saturating_sub(living.born_ns) >= MATURE_NS {
                self.matured += 1;
            }
        }
        let ((closed, life_ns), _) = gone(None);
        self.matured_closed += closed;
        self.mature_life_ns = self.mature_life_ns.saturating_add(life_ns);

        std::mem::swap(&mut self.living, &mut self.next);
        self.next.clear();
        if !self.living.is_empty() {
            self.active_ns = now_ns;
        }
        if self.matured < MATURED_ENOUGH || self.matured_closed * 2 < self.matured {
            self.mostly_closed_since = None;
        } else {
            self.mostly_closed_since.get_or_insert((now_ns, self.opened));
        }
        self.history.push(Sample {
            time_ns: now_ns,
            opened: self.opened as f64,
            closed: self.closed as f64,
            alive: self.living.len() as f64,
            matured: self.matured as f64,
            matured_closed: self.matured_closed as f64,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SECOND_NS;

    fn account() -> Account {
        Account::new(ProcessId(1), None, Owner::Own, DescriptorKind::File, false)
    }

    fn tick(account: &mut Account, second: u64, alive: &[(u64, u32)]) {
        account.next = alive
            .iter()
            .map(|&(born, fd)| Living {
                born_ns: born * SECOND_NS,
                fd,
                used_ns: born * SECOND_NS,
                accepted: false,
            })
            .collect();
        let before_ns = account.history.last().map_or(0, |last| last.time_ns);
        account.settle(before_ns, second * SECOND_NS);
    }

    /// Exercise the fate of the mature: counted once when they get there, once when they go.
    #[test]
    fn mature_descriptors_are_counted_in_and_out() {
        let mut account = account();
        tick(&mut account, 1, &[(1, 3), (1, 4), (1, 5)]);
        assert_eq!((account.matured, account.matured_closed), (0, 0));
        tick(&mut account, 3, &[(1, 3), (1, 5)]);
        assert_eq!(account.matured_closed, 0, "closed young");
        tick(&mut account, 6, &[(1, 3), (1, 5)]);
        tick(&mut account, 7, &[(1, 3), (1, 5), (7, 4)]);
        assert_eq!((account.matured, account.matured_closed), (2, 0));
        tick(&mut account, 8, &[(1, 5), (7, 4)]);
        assert_eq!((account.matured, account.matured_closed), (2, 1));
        assert_eq!(account.mean_mature_life_ns(), Some(6 * SECOND_NS));
        tick(&mut account, 9, &[]);
        assert_eq!((account.matured, account.matured_closed), (2, 2));
    }

    /// Exercise a number that is closed and given out again between two looks: two descriptors.
    #[test]
    fn a_number_used_again_is_another_descriptor() {
        let mut account = account();
        tick(&mut account, 2, &[(1, 3)]);
        tick(&mut account, 8, &[(1, 3)]);
        tick(&mut account, 9, &[(9, 3)]);
        assert_eq!((account.matured, account.matured_closed), (1, 1));
        assert_eq!(account.living().len(), 1);
    }

    /// Exercise a descriptor that comes into view late, because its stack was resolved late.
    #[test]
    fn one_that_is_mature_when_first_seen_counts() {
        let mut account = account();
        tick(&mut account, 20, &[(1, 3)]);
        tick(&mut account, 21, &[(1, 3)]);
        assert_eq!((account.matured, account.matured_closed), (1, 0));
    }

    /// Exercise the sign that closes keep up after all, and its end.
    #[test]
    fn mostly_closed_is_dated() {
        let mut account = account();
        let alive: Vec<_> = (0..10).map(|fd| (1, fd)).collect();
        tick(&mut account, 1, &alive);
        tick(&mut account, 10, &alive);
        account.opened = 10;
        tick(&mut account, 11, &alive[..6]);
        assert_eq!(account.mostly_closed_since(), None);
        tick(&mut account, 12, &alive[..4]);
        assert_eq!(account.mostly_closed_since(), Some((12 * SECOND_NS, 10)));
        tick(&mut account, 13, &alive[..3]);
        assert_eq!(account.mostly_closed_since(), Some((12 * SECOND_NS, 10)), "the date stays");
    }
}
