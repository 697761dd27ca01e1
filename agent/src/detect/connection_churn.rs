//! `connection-churn`: a line that connects anew for every use, or opens a file database anew.

use std::collections::{BTreeMap, HashMap};

use crate::event::{ObjectId, ProcessId};
use crate::ledger::{Conduct, Deed, Ledger, SECOND_NS};
use crate::source::{Act, Sums};

use super::adjust::thresholds;
use super::draft::Draft;
use super::finding::{Evidence, Finding, Kind, Severity};
use super::pace::Pace;
use super::{Verdicts, connections, sqlite, wording};

thresholds! {
    /// Thresholds of `connection-churn`.
    pub struct ConnectionChurnThresholds {
        /// Connections a minute to one peer from which they are too many: 100. What ticks once a
        /// second (a health check, a scrape, a scheduler) makes 60.
        pub per_minute: f64 = 100.0,
        /// The same where connecting itself takes `costly_share` of the time: 20, one each 3 s.
        pub costly_per_minute: f64 = 20.0,
        /// Share of the time that goes into connecting from which it is costly: 0.1.
        pub costly_share: f64 = 0.1,
        /// Share of the connections to the peer that have to have ended: 0.8. A pool keeps its own.
        pub ended_share: f64 = 0.8,
        /// Connections a minute from which it is high: 600, ten a second.
        pub high_per_minute: f64 = 600.0,
        /// Connections a minute from which it is critical: 14,000. Each closed one keeps its local
        /// port for a minute, and there are 28,232 to one peer: half of them are gone.
        pub critical_per_minute: f64 = 14_000.0,
        /// Opens of one database a minute from which they are too many: 300, five a second. An open
        /// costs 0.1 to 1 ms and throws the page cache away: less often than that nobody notices
        /// it.
        pub database_per_minute: f64 = 300.0,
        /// Opens a minute from which it is medium: 600, up to 1 % of a thread's time.
        pub database_medium_per_minute: f64 = 600.0,
        /// Opens a minute from which it is high: 6,000, up to 10 % of it.
        pub database_high_per_minute: f64 = 6_000.0,
    }
}

/// Judges every line.
pub(super) fn evaluate(
    ledger: &Ledger,
    thresholds: &ConnectionChurnThresholds,
    now_ns: u64,
    verdicts: &mut Verdicts,
) {
    let ended = connections::ended(ledger);
    for conduct in ledger.conducts_of(Act::Connect) {
        verdicts.findings.extend(to_peer(conduct, &ended, ledger, thresholds, now_ns));
    }
    for conduct in ledger.conducts_of(Act::Open) {
        verdicts.findings.extend(of_database(conduct, ledger, thresholds, now_ns));
    }
}

/// The object with the most of a line's acts, and its share of them.
fn leading(conduct: &Conduct) -> Option<(ObjectId, &Deed, f64)> {
    let (id, deed) = conduct.known_objects().max_by_key(|(_, deed)| deed.sums.count)?;
    let of_known: u64 = conduct.known_objects().map(|(_, deed)| deed.sums.count).sum();
    Some((id, deed, deed.sums.count as f64 / of_known.max(1) as f64))
}

fn to_peer(
    conduct: &Conduct,
    ended: &HashMap<(ProcessId, ObjectId), Sums>,
    ledger: &Ledger,
    thresholds: &ConnectionChurnThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let (peer, deed, share) = leading(conduct)?;
    let ended = ended.get(&(conduct.process, peer)).copied().unwrap_or_default();
    let made = deed.sums.count as f64;
    let of_use = made - deed.sums.failed as f64 - ended.failed as f64;
    // What mostly fails is told as a storm of retries.
    let kept = (ended.count as f64) < thresholds.ended_share * made;
    if kept || of_use < made / 2.0 || !connections::is_service(ledger, peer, deed) {
        return None;
    }
    let pace = Pace::of(conduct, now_ns, thresholds.costly_per_minute, |sums| {
        sums.count as f64 * share * of_use / made
    })?;
    let (window, _) = conduct.window(now_ns, pace.window_ns);
    let connect_share = window.ns as f64 / pace.window_ns as f64;
    if pace.per_minute < thresholds.per_minute && connect_share < thresholds.costly_share {
        return None;
    }
    let severity = match pace.per_minute {
        rate if rate >= thresholds.critical_per_minute => Severity::Critical,
        rate if rate >= thresholds.high_per_minute => Severity::High,
        _ if connect_share >= thresholds.costly_share => Severity::High,
        _ => Severity::Medium,
    };
    let name = ledger.object(peer)?.name();
    let life_ms = ended.ns as f64 / 1e6 / ended.count as f64;
    let connect_ms = deed.sums.ns as f64 / 1e6 / made;
    let bytes = ended.bytes / ended.count;
    let summary = format!(
        "{} connections to {name}, {}/min over {}, each for one use of {} bytes and closed after \
         {life_ms:.0} ms.",
        wording::count(deed.sums.count),
        wording::rate(pace.per_minute),
        wording::duration(pace.window_ns),
        wording::count(bytes),
    );
    let evidence = BTreeMap::from([
        ("bytes_per_connection", Evidence::Count(bytes)),
        ("connect_ms", Evidence::Measure(wording::rounded(connect_ms))),
        ("connect_share", Evidence::Measure(wording::rounded(connect_share))),
        ("connections", Evidence::Count(deed.sums.count)),
        ("life_ms", Evidence::Measure(wording::rounded(life_ms))),
        ("peer", Evidence::Text(name)),
        ("per_minute", Evidence::Measure(wording::rounded(pace.per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(pace.window_ns))),
    ]);
    let advice = "Make one client at start and keep its connections (`requests.Session()`, \
                  `httpx.Client()`, `urllib3.PoolManager()`, a `redis.ConnectionPool`, the \
                  database driver's pool), and use it for every request.";
    let draft = draft(&pace, severity, summary, evidence, advice);
    Some(draft.about(conduct, ledger, now_ns))
}

fn draft(
    pace: &Pace,
    severity: Severity,
    summary: String,
    evidence: BTreeMap<&'static str, Evidence>,
    advice: &str,
) -> Draft {
    Draft {
        kind: Kind::ConnectionChurn,
        severity,
        confidence: pace.confidence(),
        evidence,
        summary,
        advice: advice.to_owned(),
    }
}

fn of_database(
    conduct: &Conduct,
    ledger: &Ledger,
    thresholds: &ConnectionChurnThresholds,
    now_ns: u64,
) -> Option<Finding> {
    let (file, deed, share) = leading(conduct)?;
    let pace = Pace::of(conduct, now_ns, thresholds.database_per_minute, |sums| {
        sums.count as f64 * share
    })?;
    if !sqlite::is_database(ledger, conduct.process, file) {
        return None;
    }
    let severity = Severity::by_bands(
        pace.per_minute,
        thresholds.database_medium_per_minute,
        thresholds.database_high_per_minute,
    );
    let name = ledger.object(file)?.name();
    let calls_share = share_of_time(conduct, ledger, now_ns, pace.window_ns);
    let summary = format!(
        "The database {name} was opened {} times, {}/min over {}; the calls of opening it took \
         {:.1} % of the time, and each time its schema and pages are read again.",
        wording::count(deed.sums.count),
        wording::rate(pace.per_minute),
        wording::duration(pace.window_ns),
        calls_share * 100.0,
    );
    let evidence = BTreeMap::from([
        ("calls_share", Evidence::Measure((calls_share * 1e6).round() / 1e6)),
        ("opens", Evidence::Count(deed.sums.count)),
        ("path", Evidence::Text(name)),
        ("per_minute", Evidence::Measure(wording::rounded(pace.per_minute))),
        ("window_seconds", Evidence::Measure(wording::seconds(pace.window_ns))),
    ]);
    let advice = "Open the database once for each thread and keep the connection, with `PRAGMA \
                  journal_mode = WAL` where there are readers beside a writer.";
    let draft = draft(&pace, severity, summary, evidence, advice);
    Some(draft.about(conduct, ledger, now_ns))
}

/// What the line spends in calls on files, of the window.
fn share_of_time(conduct: &Conduct, ledger: &Ledger, now_ns: u64, window_ns: u64) -> f64 {
    let on_files = [Act::Open, Act::Read, Act::Stat, Act::Write, Act::Sync];
    let ns: u64 = ledger
        .conducts()
        .filter(|other| other.process == conduct.process && other.site == conduct.site)
        .filter(|other| on_files.contains(&other.act))
        .map(|other| other.window(now_ns, window_ns).0.ns)
        .sum();
    ns as f64 / window_ns.max(SECOND_NS) as f64
}

#[cfg(test)]
mod tests {
    use super::super::script::{About, Script, Story};
    use super::super::{Confidence, Kind};
    use super::*;

    const CHURN: Kind = Kind::ConnectionChurn;

    fn one(ns: u64, bytes: u64) -> Sums {
        Sums { count: 1, ns, bytes, ..Sums::default() }
    }

    /// A connection at each of these times, ended after `life`; `None`: kept.
    fn connect(script: &mut Script, times: &[f64], peers: u16, life: Option<f64>) {
        let stack = script.line(10);
        let socket = About { flags: 1, ..About::default() };
        let peers: Vec<_> = (0..peers).map(|n| script.peer(7000 + n)).collect();
        for (at, peer) in times.iter().zip(peers.iter().cycle()) {
            script.act_about(*at, stack, Act::Connect, *peer, one(100_000, 0), socket);
            if let Some(life) = life {
                let ns = (life * 1e9) as u64;
                script.act(at + life, stack, Act::Connection, *peer, one(ns, 660));
            }
        }
    }

    fn times(from: f64, to: f64, per_minute: f64) -> Vec<f64> {
        let count = ((to - from) * per_minute / 60.0) as u32;
        (0..count).map(|n| from + f64::from(n) * 60.0 / per_minute).collect()
    }

    fn played(times: &[f64], peers: u16, life: Option<f64>) -> Story {
        let mut script = Script::default();
        connect(&mut script, times, peers, life);
        script.play(60)
    }

    /// Exercise five connections a second to one peer, each closed at once.
    #[test]
    fn a_connection_per_use_is_churn() {
        let story = played(&times(2.0, 60.0, 300.0), 1, Some(0.15));
        assert!(story.confirmed_at(CHURN).is_some_and(|at| at <= 25.0));
        let finding = story.of(CHURN)[0];
        assert_eq!(finding.site.as_ref().map(|site| site.line), Some(10));
        assert!(finding.summary.contains("127.0.0.1:7000"), "{}", finding.summary);
        assert_eq!(finding.evidence["bytes_per_connection"], Evidence::Count(660));
    }

    /// Exercise what connects often enough and is no churn.
    #[test]
    fn pools_ticks_bursts_and_crawlers_are_none() {
        let none = |times: &[f64], peers, life| played(times, peers, life).news.is_empty();
        assert!(none(&times(0.0, 60.0, 300.0), 1, None), "they are kept");
        assert!(none(&times(0.0, 60.0, 60.0), 1, Some(0.1)), "a tick a second");
        assert!(none(&times(0.0, 60.0, 600.0), 64, Some(0.1)), "each peer once in a while");
        let burst = played(&times(5.0, 14.0, 900.0), 1, Some(0.1));
        assert_eq!(burst.confirmed_at(CHURN), None, "a start-up");
        assert!(burst.findings.is_empty(), "and the suspicion is withdrawn");
    }

    /// Exercise look-ups of names: datagrams.
    #[test]
    fn datagrams_are_no_connections() {
        let mut script = Script::default();
        let (stack, peer) = (script.line(10), script.peer(53));
        let socket = About { flags: 2, ..About::default() };
        for at in times(0.0, 40.0, 600.0) {
            script.act_about(at, stack, Act::Connect, peer, one(1_000, 0), socket);
            script.act(at, stack, Act::Connection, peer, one(1_000, 90));
        }
        assert!(script.play(40).findings.is_empty());
    }

    fn opened(header_bytes: u64, per_minute: f64) -> Story {
        let mut script = Script::default();
        let (stack, file) = (script.line(25), script.file("/srv/interactions.db"));
        for at in times(1.0, 40.0, per_minute) {
            script.act(at, stack, Act::Open, file, one(2_000, 0));
            script.act(at, stack, Act::Read, file, one(1_000, header_bytes));
        }
        script.play(40)
    }

    /// Exercise a database for every query, the same for two lessons a second, and a file that is no
    /// database.
    #[test]
    fn a_database_opened_for_each_query_is_churn() {
        let story = opened(100, 3_000.0);
        assert!(story.confirmed_at(CHURN).is_some_and(|at| at <= 25.0));
        let finding = story.of(CHURN)[0];
        assert_eq!(finding.confidence, Confidence::Confirmed);
        assert!(finding.summary.contains("interactions.db"), "{}", finding.summary);
        assert!(opened(100, 120.0).of(CHURN).is_empty());
        assert!(opened(4_096, 3_000.0).of(CHURN).is_empty());
    }
}
