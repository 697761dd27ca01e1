//! Profiles to where a fleet keeps them: Pyroscope, and whatever takes OTLP profiles.
//!
//! Every few seconds each process's graphs go out as differences since the last time. The agent's
//! loop only takes the differences; encoding and sending are tasks of their own, so that nothing that
//! a receiver does, or fails to do, holds it up. What a receiver does not take in time waits in a
//! bounded queue, and what does not fit is counted.

mod client;
mod counts;
mod credentials;
mod difference;
mod otlp;
mod pyroscope;
mod queue;
mod sender;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::event::ProcessId;
use crate::export::graph::{Graph, Weighed};
use crate::export::metrics::Pushed;
use crate::export::{Report, WallClock};
use crate::ledger::{Ledger, Overflow};
use counts::{Counts, Dropped};
use difference::Differences;
use sender::Format;
use target::Target;
pub use target::TargetError;

/// Batches that wait to be encoded. There is one more only when encoding takes longer than the time
/// between two.
const BATCHES: usize = 2;

/// Time for what is still queued when the agent ends.
const LAST: Duration = Duration::from_secs(3);

/// Where profiles go, and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Destination {
    /// `http://` or `https://`.
    pub url: String,
    /// A file with `USER:PASSWORD` or a bearer token.
    pub credentials: Option<PathBuf>,
}

/// What is pushed, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// A Pyroscope server.
    pub pyroscope: Option<Destination>,
    /// A receiver of OTLP profiles by HTTP.
    pub otlp: Option<Destination>,
    /// How often.
    pub interval: Duration,
    /// Of what.
    pub graphs: Vec<Graph>,
    /// Bytes that may wait for each receiver.
    pub queue_bytes: usize,
    /// Plain HTTP to other hosts, which shows file names and lines of code to the network.
    pub plain_http: bool,
    /// Samples a second, by which samples become time.
    pub sample_rate: u32,
}

/// One process's graph over one stretch of time.
#[derive(Debug)]
struct Profile {
    graph: Graph,
    stacks: Vec<Weighed>,
}

/// One process's graphs.
#[derive(Debug)]
struct ProcessProfiles {
    /// About the process and the time.
    report: Report,
    profiles: Vec<Profile>,
}

type Batch = Arc<Vec<ProcessProfiles>>;

struct Sink {
    batches: mpsc::Sender<Batch>,
    counts: Arc<Counts>,
}

/// The pushing, as the agent's loop sees it.
pub struct Push {
    interval: Duration,
    graphs: Vec<Graph>,
    sinks: Vec<Sink>,
    differences: Differences,
    due: Instant,
    /// Monotonic nanoseconds of the last time.
    since_ns: u64,
}

impl Push {
    /// Starts a task for each receiver; none where nothing is to be pushed.
    ///
    /// # Errors
    /// When a URL, or the file with the credentials for it, is no good.
    pub fn start(runtime: &Runtime, options: &Options) -> Result<Self, TargetError> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let rate = options.sample_rate;
        let mut sinks = Vec::new();
        for (destination, format) in [
            (&options.pyroscope, Format::Pyroscope { host: host.clone(), rate }),
            (&options.otlp, Format::Otlp { host: host.clone(), rate }),
        ] {
            let Some(destination) = destination else { continue };
            let target = Target::new(destination, format.path(), options.plain_http)?;
            let counts = Arc::new(Counts::new(format.name()));
            let (batches, taken) = mpsc::channel(BATCHES);
            sender::start(runtime, format, target, options.queue_bytes, taken, &counts);
            sinks.push(Sink { batches, counts });
        }
        Ok(Self {
            interval: options.interval,
            graphs: options.graphs.clone(),
            sinks,
            differences: Differences::default(),
            due: Instant::now() + options.interval,
            since_ns: monotonic_ns(),
        })
    }

    /// Whether the options are any good: what [`Push::start`] would say.
    ///
    /// # Errors
    /// As [`Push::start`].
    pub fn check(options: &Options) -> Result<(), TargetError> {
        for (destination, path) in
            [(&options.pyroscope, pyroscope::PATH), (&options.otlp, otlp::PATH)]
        {
            if let Some(destination) = destination {
                Target::new(destination, path, options.plain_http)?;
            }
        }
        Ok(())
    }

    /// Takes the differences when it is time. To be called after each look.
    pub fn tick(&mut self, ledger: &Ledger, clock: WallClock) {
        if self.sinks.is_empty() || Instant::now() < self.due {
            return;
        }
        // A loop that was held up does not catch up by many short stretches.
        self.due = Instant::now() + self.interval;
        self.take(ledger, clock);
    }

    /// The last differences, and a little time for what is queued. Tells what was lost.
    pub fn finish(mut self, runtime: &Runtime, ledger: &Ledger, clock: WallClock) {
        if self.sinks.is_empty() {
            return;
        }
        self.take(ledger, clock);
        let counts: Vec<_> = self.sinks.iter().map(|sink| Arc::clone(&sink.counts)).collect();
        // No more comes: the senders end when they have sent what there is.
        self.sinks.clear();
        let ended = async {
            for counts in &counts {
                counts.ended().await;
            }
        };
        // What is left is told below.
        let _ = runtime.block_on(async { tokio::time::timeout(LAST, ended).await });
        for pushed in counts.iter().map(|counts| counts.now()) {
            let lost = pushed.waiting + pushed.dropped.iter().map(|(_, count)| count).sum::<u64>();
            if lost > 0 {
                eprintln!("pitviper: lost {lost} profiles for {}", pushed.receiver);
            }
        }
    }

    /// How it goes, by receiver.
    pub fn health(&self) -> Vec<Pushed> {
        self.sinks.iter().map(|sink| sink.counts.now()).collect()
    }

    fn take(&mut self, ledger: &Ledger, clock: WallClock) {
        let now_ns = ledger.time_ns();
        let since_ns = std::mem::replace(&mut self.since_ns, now_ns);
        let mut processes: BTreeMap<ProcessId, Vec<Profile>> = BTreeMap::new();
        for graph in &self.graphs {
            for (process, stacks) in self.differences.take(*graph, graph.weights(ledger)) {
                processes.entry(process).or_default().push(Profile { graph: *graph, stacks });
            }
        }
        let batch = processes.into_iter().map(|(process, profiles)| ProcessProfiles {
            report: report(ledger, process, (since_ns, now_ns), clock),
            profiles,
        });
        let batch = Arc::new(batch.collect::<Vec<_>>());
        if batch.is_empty() {
            return;
        }
        for sink in &self.sinks {
            if sink.batches.try_send(Arc::clone(&batch)).is_err() {
                let profiles = batch.iter().map(|process| process.profiles.len() as u64).sum();
                sink.counts.drop_profiles(Dropped::Behind, profiles);
            }
        }
    }
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // It begins with the boot, and neither part is negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// What the formats say of a process and of the time; without findings, which they do not show.
fn report(ledger: &Ledger, process: ProcessId, window_ns: (u64, u64), clock: WallClock) -> Report {
    let known = ledger.process(process).map(|known| known.info.clone()).unwrap_or_default();
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pids: BTreeMap::from([(process, known.pid)]),
        services: BTreeMap::from([(process, known.service.clone())]),
        process: known,
        window_ns,
        clock,
        findings: Vec::new(),
        findings_left_out: 0,
        activity: Vec::new(),
        waits: Vec::new(),
        totals: ledger.totals(process),
        overflow: Overflow::default(),
    }
}
