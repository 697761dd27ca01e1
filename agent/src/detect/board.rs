//! Keeps the identity of findings over time.
//!
//! The rules judge afresh every second. The board makes one story of it: a finding is new once,
//! upgraded once, and keeps the confidence it has reached. A suspicion that comes to nothing is
//! withdrawn; a confirmed leak is only taken back when its descriptors turn out to be closed or in
//! use after all. Every such change is news, so nothing flaps silently.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::python::Frame;

use super::finding::{Confidence, Evidence, Finding, Kind, Severity};
use super::thresholds::BoardThresholds;

/// What makes two findings the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingKey {
    /// What it is about.
    pub kind: Kind,
    /// The process.
    pub process: ProcessId,
    /// The responsible line.
    pub site: Option<Frame>,
    /// The kind of descriptor, or the type of the resource.
    pub about: String,
}

impl FindingKey {
    /// The key of a finding.
    pub fn of(finding: &Finding) -> Self {
        let about =
            ["descriptor_kind", "type"].iter().find_map(|key| match finding.evidence.get(key) {
                Some(Evidence::Text(text)) => Some(text.clone()),
                _ => None,
            });
        // The limit is the process's: whichever line leads at the moment, it is one finding.
        let site = if finding.kind == Kind::FdHeadroom { None } else { finding.site.clone() };
        Self {
            kind: finding.kind,
            process: finding.process,
            site,
            about: about.unwrap_or_default(),
        }
    }
}

/// What the rules say at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// What holds now.
    pub findings: Vec<Finding>,
    /// What has turned out not to be true.
    pub refuted: Vec<(FindingKey, Refutation)>,
}

/// Why a confirmed leak is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refutation {
    /// Its descriptors were closed after all, and closes keep up since.
    ClosedLater,
    /// They grow no more, and are in use.
    UsedLater,
    /// The file that grew was rotated.
    RotatedLater,
}

impl Refutation {
    /// The evidence that says so: 1.
    fn key(self) -> &'static str {
        match self {
            Self::ClosedLater => "closed_later",
            Self::UsedLater => "used_later",
            Self::RotatedLater => "rotated_later",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::ClosedLater => " Earlier ones were closed later, and closes kept up.",
            Self::UsedLater => " They grew no further, and were in use later.",
            Self::RotatedLater => " It was rotated later.",
        }
    }
}

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not there before.
    New,
    /// It was suspected and is confirmed, or it is more severe than it ever was.
    Upgraded,
    /// It was confirmed, and is not any more: its descriptors were closed or used after all.
    Downgraded,
    /// It was suspected, and came to nothing. It is not on the board any more.
    Withdrawn,
}

/// A change worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// What happened.
    pub change: Change,
    /// The finding as it is now (was last, when it was withdrawn).
    pub finding: Finding,
}

#[derive(Debug, Clone)]
struct Entry {
    finding: Finding,
    /// The highest severity that has been told.
    told: Severity,
    /// When a rule last spoke of it; its `last_ns` is when it last happened.
    held_ns: u64,
    /// It was confirmed, and has been taken back.
    refuted: Option<Refutation>,
}

/// The findings of a run.
#[derive(Debug, Clone)]
pub struct Board {
    thresholds: BoardThresholds,
    entries: BTreeMap<FindingKey, Entry>,
    left_out: u64,
}

impl Board {
    /// An empty board.
    pub fn new(thresholds: BoardThresholds) -> Self {
        Self { thresholds, entries: BTreeMap::new(), left_out: 0 }
    }

    /// Decides by other numbers from now on; the findings stay.
    pub fn judge_by(&mut self, thresholds: BoardThresholds) {
        self.thresholds = thresholds;
    }

    /// Takes in what the rules say at `now_ns`, and tells what is new about it.
    pub fn update(&mut self, verdicts: Verdicts, now_ns: u64) -> Vec<News> {
        let mut news = Vec::new();
        for finding in verdicts.findings {
            let key = FindingKey::of(&finding);
            if let Some(entry) = self.entries.get_mut(&key) {
                news.extend(entry.merge(finding, now_ns));
            } else if self.entries.len() >= self.thresholds.findings && !self.make_room(now_ns) {
                self.left_out += 1;
            } else {
                news.push(News { change: Change::New, finding: finding.clone() });
                let told = finding.severity;
                self.entries.insert(key, Entry { finding, told, held_ns: now_ns, refuted: None });
            }
        }
        for (key, why) in verdicts.refuted {
            if let Some(entry) = self.entries.get_mut(&key) {
                news.extend(entry.refute(why));
            }
        }
        self.entries.retain(|_, entry| {
            let quiet_ns = now_ns.saturating_sub(entry.held_ns);
            let gone = entry.finding.confidence == Confidence::Suspected
                && entry.refuted.is_none()
                && quiet_ns > self.thresholds.suspicion_ns;
            if gone {
                news.push(News { change: Change::Withdrawn, finding: entry.finding.clone() });
            }
            !gone
        });
        news
    }

    /// Drops the finding that has not held for longest, such as one of a process that has ended; false
    /// when all hold.
    fn make_room(&mut self, now_ns: u64) -> bool {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.held_ns);
        let Some((key, entry)) = oldest else { return false };
        let holds = now_ns.saturating_sub(entry.held_ns) <= self.thresholds.suspicion_ns;
        let key = key.clone();
        !holds && self.entries.remove(&key).is_some()
    }

    /// A process has ended: what was only suspected of it comes to nothing.
    pub fn withdraw_suspicions(&mut self, process: ProcessId) -> Vec<News> {
        let mut news = Vec::new();
        self.entries.retain(|key, entry| {
            let gone = key.process == process
                && entry.finding.confidence == Confidence::Suspected
                && entry.refuted.is_none();
            if gone {
                news.push(News { change: Change::Withdrawn, finding: entry.finding.clone() });
            }
            !gone
        });
        news
    }

    /// Every finding, the most certain and severe first.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.entries.values().map(|entry| entry.finding.clone()).collect();
        findings.sort_by_key(|finding| {
            std::cmp::Reverse((finding.confidence, finding.severity, finding.kind == Kind::FdLeak))
        });
        findings
    }

    /// Every finding, in no order that matters.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.entries.values().map(|entry| &entry.finding)
    }

    /// Findings that were left out because the board was full, counted each time.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl Entry {
    fn merge(&mut self, mut finding: Finding, now_ns: u64) -> Option<News> {
        self.held_ns = now_ns;
        let known = &self.finding;
        finding.first_ns = known.first_ns.min(finding.first_ns);
        finding.last_ns = known.last_ns.max(finding.last_ns);
        let upgraded = finding.confidence > known.confidence || finding.severity > self.told;
        finding.confidence = finding.confidence.max(known.confidence);
        self.told = self.told.max(finding.severity);
        self.finding = finding;
        let suspected = self.finding.confidence == Confidence::Suspected;
        self.refuted = self.refuted.filter(|_| suspected);
        self.mark_refuted();
        upgraded.then(|| News { change: Change::Upgraded, finding: self.finding.clone() })
    }

    fn refute(&mut self, why: Refutation) -> Option<News> {
        if self.finding.confidence != Confidence::Confirmed {
            return None;
        }
        self.finding.confidence = Confidence::Suspected;
        self.refuted = Some(why);
        self.mark_refuted();
        Some(News { change: Change::Downgraded, finding: self.finding.clone() })
    }

    fn mark_refuted(&mut self) {
        let Some(why) = self.refuted else { return };
        if self.finding.evidence.insert(why.key(), Evidence::Count(1)).is_none() {
            self.finding.summary.push_str(why.sentence());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(confidence: Confidence, severity: Severity, now_ns: u64) -> Finding {
        Finding {
            kind: Kind::FdLeak,
            severity,
            confidence,
            process: ProcessId(1),
            site: None,
            origin: None,
            stack: Vec::new(),
            native: None,
            evidence: BTreeMap::from([("descriptor_kind", Evidence::Text("file".to_owned()))]),
            summary: "8 files alive.".to_owned(),
            advice: String::new(),
            first_ns: now_ns,
            last_ns: now_ns,
        }
    }

    fn board() -> Board {
        Board::new(BoardThresholds { suspicion_ns: 30, findings: 2 })
    }

    fn update(board: &mut Board, findings: &[Finding], now_ns: u64) -> Vec<Change> {
        let verdicts = Verdicts { findings: findings.to_vec(), refuted: Vec::new() };
        board.update(verdicts, now_ns).into_iter().map(|news| news.change).collect()
    }

    /// Exercise one story: suspected, confirmed, in doubt again, stopped.
    #[test]
    fn confidence_is_kept() {
        let mut board = board();
        let suspected = |now| finding(Confidence::Suspected, Severity::Low, now);
        let confirmed = |now| finding(Confidence::Confirmed, Severity::Low, now);
        assert_eq!(update(&mut board, &[suspected(10)], 10), [Change::New]);
        assert_eq!(update(&mut board, &[suspected(11)], 11), []);
        assert_eq!(update(&mut board, &[confirmed(12)], 12), [Change::Upgraded]);
        assert_eq!(update(&mut board, &[suspected(13)], 13), []);
        assert_eq!(update(&mut board, &[], 1_000), [], "a leak that stopped was a leak");
        let kept = &board.findings()[0];
        assert_eq!(kept.confidence, Confidence::Confirmed);
        assert_eq!((kept.first_ns, kept.last_ns), (10, 13));
    }

    /// Exercise a suspicion that comes to nothing.
    #[test]
    fn suspicions_are_withdrawn() {
        let mut board = board();
        update(&mut board, &[finding(Confidence::Suspected, Severity::Low, 10)], 10);
        assert_eq!(update(&mut board, &[], 40), []);
        assert_eq!(update(&mut board, &[], 41), [Change::Withdrawn]);
        assert!(board.findings().is_empty());
    }

    /// Exercise a severity that rises, falls and rises again: told when it is higher than ever.
    #[test]
    fn severity_is_told_once_a_band() {
        let mut board = board();
        let with = |severity, now| [finding(Confidence::Confirmed, severity, now)];
        update(&mut board, &with(Severity::Medium, 1), 1);
        assert_eq!(update(&mut board, &with(Severity::High, 2), 2), [Change::Upgraded]);
        assert_eq!(update(&mut board, &with(Severity::Medium, 3), 3), []);
        assert_eq!(update(&mut board, &with(Severity::High, 4), 4), []);
    }

    /// Exercise a leak that turns out to be none: downgraded once, kept, with the reason.
    #[test]
    fn a_refuted_leak_says_so() {
        let mut board = board();
        let confirmed = finding(Confidence::Confirmed, Severity::Low, 1);
        let key = FindingKey::of(&confirmed);
        update(&mut board, &[confirmed], 1);
        let refuted = || Verdicts {
            findings: Vec::new(),
            refuted: vec![(key.clone(), Refutation::ClosedLater)],
        };
        assert_eq!(board.update(refuted(), 2)[0].change, Change::Downgraded);
        assert!(board.update(refuted(), 1_000).is_empty());
        let kept = &board.findings()[0];
        assert_eq!(kept.confidence, Confidence::Suspected);
        assert!(kept.summary.contains("closed later"));
        let again = finding(Confidence::Suspected, Severity::Low, 1_001);
        update(&mut board, &[again], 1_001);
        assert!(board.findings()[0].summary.contains("closed later"), "it stays said");
    }

    /// Exercise the bound.
    #[test]
    fn a_full_board_counts() {
        let mut board = board();
        for n in 0..5u32 {
            let mut one = finding(Confidence::Confirmed, Severity::Low, 1);
            one.process = ProcessId(n);
            update(&mut board, &[one], 1);
        }
        assert_eq!((board.findings().len(), board.left_out()), (2, 3));
    }
}
