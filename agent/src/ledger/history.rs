//! How an account moved over time, in bounded memory.
//!
//! A leak of 60 a minute shows within seconds, one of 10 an hour only over hours. So each level keeps
//! the same number of samples at a coarser step: the newest 72 s by the second, 9.6 minutes by 8 s,
//! 77 minutes by the minute, 10 hours by 8.5 minutes.

use std::collections::VecDeque;

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;

const STEPS_NS: [u64; 4] = [SECOND_NS, 8 * SECOND_NS, 64 * SECOND_NS, 512 * SECOND_NS];
const SAMPLES_A_LEVEL: usize = 72;

/// One moment of an account. Everything but `alive` only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Monotonic nanoseconds.
    pub time_ns: u64,
    /// Descriptors opened since the attach.
    pub opened: f64,
    /// Of those, closed.
    pub closed: f64,
    /// Of those, open at this moment.
    pub alive: f64,
    /// Descriptors that grew old enough to be [mature](super::MATURE_NS).
    pub matured: f64,
    /// Of those, closed.
    pub matured_closed: f64,
}

impl Sample {
    fn between(&self, later: &Sample, time_ns: u64) -> Sample {
        let span = later.time_ns.saturating_sub(self.time_ns);
        if span == 0 {
            return *self;
        }
        let share = time_ns.saturating_sub(self.time_ns) as f64 / span as f64;
        let mix = |from: f64, to: f64| from + (to - from) * share;
        Sample {
            time_ns,
            opened: mix(self.opened, later.opened),
            closed: mix(self.closed, later.closed),
            alive: mix(self.alive, later.alive),
            matured: mix(self.matured, later.matured),
            matured_closed: mix(self.matured_closed, later.matured_closed),
        }
    }
}

/// Samples of one account, the newest last, at four resolutions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    levels: [VecDeque<Sample>; 4],
    first_ns: Option<u64>,
    trimmed: bool,
}

impl History {
    /// Adds a sample. One that comes less than about a second after the last takes its place, so that
    /// asking often does not shorten what is remembered.
    pub fn push(&mut self, sample: Sample) {
        self.first_ns.get_or_insert(sample.time_ns);
        let coarsest = self.levels.len() - 1;
        for (index, (level, step)) in self.levels.iter_mut().zip(STEPS_NS).enumerate() {
            // A tick that comes a little early still counts as one.
            let due = |last: &Sample| sample.time_ns.saturating_sub(last.time_ns) >= step * 9 / 10;
            // The step is counted from the sample before the last: the last one may be replaced.
            let replace = level.len() >= 2 && !level.iter().rev().nth(1).is_none_or(due);
            if index == 0 && replace {
                level.pop_back();
            } else if index > 0 && !level.back().is_none_or(due) {
                continue;
            }
            level.push_back(sample);
            if level.len() > SAMPLES_A_LEVEL {
                level.pop_front();
                self.trimmed |= index == coarsest;
            }
        }
    }

    /// The newest sample.
    pub fn last(&self) -> Option<&Sample> {
        self.levels[0].back()
    }

    /// Monotonic nanoseconds of the first sample that there ever was.
    pub fn first_ns(&self) -> Option<u64> {
        self.first_ns
    }

    /// The account at `time_ns`, interpolated between samples. Before the first sample it was empty;
    /// after the last it stays as it is. `None` when that time is no longer remembered.
    pub fn at(&self, time_ns: u64) -> Option<Sample> {
        let before_first = self.first_ns.is_none_or(|first| time_ns < first);
        if before_first {
            return (!self.trimmed).then_some(Sample { time_ns, ..Sample::default() });
        }
        let last = self.last()?;
        if time_ns >= last.time_ns {
            return Some(Sample { time_ns, ..*last });
        }
        let level = self
            .levels
            .iter()
            .find(|level| level.front().is_some_and(|oldest| oldest.time_ns <= time_ns))?;
        let after = level.partition_point(|sample| sample.time_ns <= time_ns);
        let earlier = level.get(after.checked_sub(1)?)?;
        // A coarse level may end long before the newest sample.
        let later = level.get(after).unwrap_or(last);
        Some(earlier.between(later, time_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(seconds: u64) -> History {
        let mut history = History::default();
        for second in 0..=seconds {
            let n = second as f64;
            history.push(Sample {
                time_ns: (100 + second) * SECOND_NS,
                opened: n * 2.0,
                closed: n,
                alive: n,
                ..Sample::default()
            });
        }
        history
    }

    /// Exercise each level: a straight line stays one however far back it is asked for.
    #[test]
    fn a_line_is_a_line_at_every_resolution() {
        let seconds = 36_000;
        let history = steady(seconds);
        for back in [0, 1, 5, 60, 71, 72, 500, 4_000, 30_000] {
            let sample = history.at((100 + seconds - back) * SECOND_NS).expect("remembered");
            assert!(
                (sample.alive - (seconds - back) as f64).abs() < 1e-6,
                "{back} s back: {sample:?}"
            );
            assert!((sample.opened - 2.0 * sample.alive).abs() < 1e-6);
        }
        let half = history.at((100 + seconds) * SECOND_NS - SECOND_NS / 2).expect("remembered");
        assert!((half.alive - (seconds as f64 - 0.5)).abs() < 1e-6);
    }

    /// Exercise the edges: nothing before the first, the last for later, nothing when forgotten.
    #[test]
    fn before_and_after() {
        let history = steady(10);
        assert_eq!(history.at(0).expect("empty then").alive, 0.0);
        assert_eq!(history.at(500 * SECOND_NS).expect("still").alive, 10.0);
        assert_eq!(History::default().at(5).expect("empty").alive, 0.0);
        let long = steady(60_000);
        assert_eq!(long.at(200 * SECOND_NS), None, "older than the coarsest level");
        assert_eq!(long.at(0), None, "whether it was empty then is no longer known");
    }

    /// Exercise a caller that asks ten times a second: the reach stays, the newest is kept.
    #[test]
    fn asking_often_does_not_shorten_the_reach() {
        let mut history = History::default();
        for tick in 0..=7_000u64 {
            history.push(Sample {
                time_ns: tick * SECOND_NS / 10,
                alive: tick as f64 / 10.0,
                ..Sample::default()
            });
        }
        let sample = history.at(640 * SECOND_NS).expect("a minute ago");
        assert!((sample.alive - 640.0).abs() < 1.0, "{sample:?}");
        assert_eq!(history.last().expect("newest").alive, 700.0);
        assert!(history.levels.iter().all(|level| level.len() <= SAMPLES_A_LEVEL));
    }
}
