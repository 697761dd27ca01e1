//! What the agent knows of the host's processes: which to look at now, and what came of each look.
//!
//! It is told what there is and what was found; it reads nothing itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::ProcessId;

/// A process as a look through the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) pid: u32,
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub(super) start: u64,
    /// Changes with each exec.
    pub(super) image: u64,
}

/// What came of looking at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is followed.
    Followed(ProcessId),
    /// No interpreter, or none yet: it may come by `dlopen`.
    NotPython,
    /// The rules do not want it.
    Deselected,
    /// Another pitviper watches it.
    Locked,
    /// There are as many as there may be.
    LeftOut,
    /// An interpreter that cannot be followed.
    Unsupported,
    /// Something went wrong that may go by.
    Failed,
}

/// A pause that doubles with each look in vain: programs start within seconds, but one may load an
/// interpreter at any time, and a look costs little.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How soon a process that another pitviper has may be free, and what went wrong be over.
const LOCKED_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Entry {
    sighting: Sighting,
    outcome: Option<Outcome>,
    /// When to look (again); `None`: not before something changes.
    due: Option<Instant>,
    pause: Duration,
}

/// What is to be done after a look through the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// To be looked at; those that are followed already executed another program, or the rules
    /// changed.
    pub(super) due: Vec<(Sighting, Option<ProcessId>)>,
    /// Followed ones that are gone.
    pub(super) gone: Vec<ProcessId>,
}

/// How many processes are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) followed: u64,
    pub(super) deselected: u64,
    pub(super) locked: u64,
    pub(super) left_out: u64,
    pub(super) unsupported: u64,
    pub(super) failed: u64,
}

impl Counts {
    /// Whether there are processes that should be followed and are not.
    pub(super) fn leaves_out(self) -> (bool, bool) {
        (self.left_out > 0, self.unsupported > 0)
    }

    /// Python processes that are not followed, by the reason.
    pub(super) fn by_reason(self) -> [(&'static str, u64); 5] {
        [
            ("rules", self.deselected),
            ("max_processes", self.left_out),
            ("another_pitviper", self.locked),
            ("unsupported", self.unsupported),
            ("error", self.failed),
        ]
    }
}

/// The processes of the host.
#[derive(Debug, Default)]
pub(super) struct Roster {
    entries: BTreeMap<u32, Entry>,
}

impl Roster {
    /// Compares with what there is now.
    pub(super) fn pass(&mut self, seen: &[Sighting], now: Instant) -> Pass {
        let mut pass = Pass::default();
        let mut before = std::mem::take(&mut self.entries);
        for sighting in seen {
            let mut entry = match before.remove(&sighting.pid) {
                Some(entry) if entry.sighting.start == sighting.start => entry,
                other => {
                    pass.gone.extend(other.as_ref().and_then(Entry::followed));
                    Entry { sighting: *sighting, outcome: None, due: Some(now), pause: FIRST_PAUSE }
                }
            };
            if entry.sighting.image != sighting.image {
                entry.sighting = *sighting;
                entry.look_anew(now);
            }
            if entry.due.is_some_and(|due| now >= due) {
                pass.due.push((*sighting, entry.followed()));
            }
            self.entries.insert(sighting.pid, entry);
        }
        pass.gone.extend(before.values().filter_map(Entry::followed));
        pass
    }

    /// What came of a look.
    pub(super) fn settle(&mut self, pid: u32, outcome: Outcome, now: Instant) {
        let Some(entry) = self.entries.get_mut(&pid) else { return };
        entry.outcome = Some(outcome);
        entry.due = match outcome {
            Outcome::NotPython => {
                let pause = entry.pause;
                entry.pause = (pause * 2).min(LONGEST_PAUSE);
                Some(now + pause)
            }
            Outcome::Locked | Outcome::Failed => Some(now + LOCKED_PAUSE),
            // Room may come at any time; to ask for it costs nothing.
            Outcome::LeftOut => Some(now),
            // It may change its user or its control group.
            Outcome::Deselected => Some(now + LONGEST_PAUSE),
            Outcome::Followed(_) | Outcome::Unsupported => None,
        };
    }

    /// Whether there was no room for it.
    pub(super) fn is_left_out(&self, pid: u32) -> bool {
        self.entries.get(&pid).is_some_and(|entry| entry.outcome == Some(Outcome::LeftOut))
    }

    /// The rules changed: every process is looked at again.
    pub(super) fn reconsider(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.look_anew(now);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in self.entries.values().filter_map(|entry| entry.outcome) {
            match outcome {
                Outcome::Followed(_) => counts.followed += 1,
                Outcome::Deselected => counts.deselected += 1,
                Outcome::Locked => counts.locked += 1,
                Outcome::LeftOut => counts.left_out += 1,
                Outcome::Unsupported => counts.unsupported += 1,
                Outcome::Failed => counts.failed += 1,
                Outcome::NotPython => {}
            }
        }
        counts
    }
}

impl Entry {
    fn followed(&self) -> Option<ProcessId> {
        match self.outcome {
            Some(Outcome::Followed(process)) => Some(process),
            _ => None,
        }
    }

    fn look_anew(&mut self, now: Instant) {
        self.due = Some(now);
        self.pause = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: u32, start: u64, image: u64) -> Sighting {
        Sighting { pid, start, image }
    }

    fn due(roster: &mut Roster, now: Instant, all: &[Sighting]) -> Vec<u32> {
        roster.pass(all, now).due.iter().map(|(sighting, _)| sighting.pid).collect()
    }

    #[test]
    fn a_young_process_is_looked_at_again_and_an_old_one_rarely() {
        let (mut roster, mut now) = (Roster::default(), Instant::now());
        let all = [seen(7, 1, 1)];
        let mut looks = Vec::new();
        for second in 0..200 {
            if !due(&mut roster, now, &all).is_empty() {
                looks.push(second);
                roster.settle(7, Outcome::NotPython, now);
            }
            now += Duration::from_secs(1);
        }
        assert_eq!(looks, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    }

    #[test]
    fn an_exec_and_a_reused_pid_are_new_looks() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        assert_eq!(due(&mut roster, now, &[seen(7, 1, 1)]), [7]);
        roster.settle(7, Outcome::Deselected, now);
        assert!(due(&mut roster, now, &[seen(7, 1, 1)]).is_empty());
        assert_eq!(due(&mut roster, now, &[seen(7, 1, 2)]), [7], "an exec");
        roster.settle(7, Outcome::Followed(ProcessId(3)), now);
        assert_eq!(roster.counts(), Counts { followed: 1, ..Counts::default() });
        let pass = roster.pass(&[seen(7, 1, 3)], now);
        assert_eq!(pass.due, [(seen(7, 1, 3), Some(ProcessId(3)))], "an exec of a followed one");
        let pass = roster.pass(&[seen(7, 2, 4)], now);
        assert_eq!(pass, Pass { due: vec![(seen(7, 2, 4), None)], gone: vec![ProcessId(3)] });
        assert_eq!(roster.counts(), Counts::default());
    }

    #[test]
    fn what_is_gone_is_told_once() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.pass(&[seen(7, 1, 1), seen(8, 1, 1)], now);
        roster.settle(7, Outcome::Followed(ProcessId(3)), now);
        roster.settle(8, Outcome::Unsupported, now);
        assert_eq!(roster.counts().unsupported, 1);
        assert_eq!(roster.pass(&[], now).gone, [ProcessId(3)]);
        assert_eq!(roster.pass(&[], now), Pass::default());
    }

    #[test]
    fn changed_rules_and_free_places_are_noticed() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let all = [seen(1, 1, 1), seen(2, 1, 1), seen(3, 1, 1)];
        roster.pass(&all, now);
        roster.settle(1, Outcome::Deselected, now);
        roster.settle(2, Outcome::LeftOut, now);
        roster.settle(3, Outcome::Locked, now);
        let counts = Counts { deselected: 1, left_out: 1, locked: 1, ..Counts::default() };
        assert_eq!(roster.counts(), counts);
        assert_eq!(due(&mut roster, now, &all), [2]);
        assert_eq!(due(&mut roster, now + LOCKED_PAUSE, &all), [2, 3]);
        roster.reconsider(now);
        assert_eq!(due(&mut roster, now, &all), [1, 2, 3]);
    }
}
