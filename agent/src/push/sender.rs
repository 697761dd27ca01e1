//! The two tasks of a receiver: one encodes what the agent's loop has taken, the other sends, and
//! tries again when it may help.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::client::{Answer, Client};
use super::counts::{Counts, Dropped};
use super::queue::{Queue, Request};
use super::target::Target;
use super::{Batch, ProcessProfiles, otlp, pyroscope};

/// The first pause after a failure, which doubles with each further one, and the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// Times that a request is sent which a receiver fails over: it may be the request that is bad.
const TRIES: u32 = 12;

const PYROSCOPE: &str = "pyroscope";

/// How a receiver wants its profiles.
#[derive(Debug, Clone)]
pub(super) enum Format {
    Pyroscope { host: String, rate: u32 },
    Otlp { host: String, rate: u32 },
}

impl Format {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pyroscope { .. } => PYROSCOPE,
            Self::Otlp { .. } => "otlp",
        }
    }

    pub(super) fn path(&self) -> &'static str {
        match self {
            Self::Pyroscope { .. } => pyroscope::PATH,
            Self::Otlp { .. } => otlp::PATH,
        }
    }

    fn encode(&self, process: &ProcessProfiles) -> io::Result<Vec<Request>> {
        match self {
            Self::Pyroscope { host, rate } => pyroscope::requests(process, host, *rate),
            Self::Otlp { host, rate } => Ok(vec![otlp::request(process, host, *rate)]),
        }
    }
}

/// Starts both.
pub(super) fn start(
    runtime: &Runtime,
    format: Format,
    target: Target,
    queue_bytes: usize,
    mut batches: mpsc::Receiver<Batch>,
    counts: &Arc<Counts>,
) {
    let queue = Arc::new(Queue::new(queue_bytes, Arc::clone(counts)));
    let (filled, counted, receiver) = (Arc::clone(&queue), Arc::clone(counts), format.name());
    runtime.spawn(async move {
        while let Some(batch) = batches.recv().await {
            let (format, queue, counts) =
                (format.clone(), Arc::clone(&filled), Arc::clone(&counted));
            let encoding = move || encode(&batch, &format, &queue, &counts);
            // Compression is work for long: not on the threads that serve.
            let _ = tokio::task::spawn_blocking(encoding).await;
        }
        filled.close();
    });
    let counts = Arc::clone(counts);
    runtime.spawn(async move {
        let mut client = Client::new(target);
        let mut outage = Outage::default();
        while let Some(request) = queue.next().await {
            deliver(&mut client, &request, &counts, receiver, &mut outage).await;
            queue.done(&request);
        }
        counts.end();
    });
}

fn encode(batch: &Batch, format: &Format, queue: &Queue, counts: &Counts) {
    for process in batch.iter() {
        match format.encode(process) {
            Ok(requests) => requests.into_iter().for_each(|request| queue.push(request)),
            Err(_) => counts.drop_profiles(Dropped::Unencoded, process.profiles.len() as u64),
        }
    }
}

/// Tries until the receiver has taken it, or does not want it.
async fn deliver(
    client: &mut Client,
    request: &Request,
    counts: &Counts,
    receiver: &str,
    outage: &mut Outage,
) {
    let mut pause = PAUSE;
    for attempt in 1.. {
        let answer = client.post(request).await;
        let asked = answer.as_ref().ok().and_then(|answer| answer.retry_after);
        let place = || format!("{receiver} at {}", client.authority());
        let why = match verdict(answer, receiver == PYROSCOPE && attempt < TRIES) {
            Ok(()) => {
                if outage.ends() {
                    eprintln!("pitviper: {} takes profiles again", place());
                }
                counts.sent(request.profiles);
                return;
            }
            Err(Failure::Refused(status)) => {
                if outage.begins(Instant::now()) {
                    eprintln!("pitviper: {} refuses profiles: {status}", place());
                }
                counts.drop_profiles(Dropped::Refused, request.profiles);
                return;
            }
            Err(Failure::Passing(why)) => why,
        };
        counts.retried();
        if outage.begins(Instant::now()) {
            eprintln!("pitviper: failed to push to {}: {why}; it is tried again", place());
        }
        sleep(jittered(asked.unwrap_or(pause).clamp(pause, LONGEST))).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// What was told of a receiver that fails: each outage once, and of one that comes and goes not more
/// than an outage a minute. The metrics have all.
#[derive(Default)]
struct Outage {
    told: Option<Instant>,
    lasts: bool,
}

const TELL: Duration = Duration::from_secs(60);

impl Outage {
    /// Whether to tell of a failure.
    fn begins(&mut self, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL);
        let tell = !self.lasts && due;
        if tell {
            self.told = Some(now);
            self.lasts = true;
        }
        tell
    }

    /// Whether to tell that it is over.
    fn ends(&mut self) -> bool {
        std::mem::take(&mut self.lasts)
    }
}

enum Failure {
    /// It may be otherwise later.
    Passing(String),
    /// It will be the same again.
    Refused(StatusCode),
}

/// What the OTLP specification says of its own answers holds for all: these and no answer at all may
/// pass, everything else will not. An error of the server that OTLP takes for final is `worth_it` where
/// the protocol says nothing of it.
fn verdict(answer: io::Result<Answer>, worth_it: bool) -> Result<(), Failure> {
    let status = answer.map_err(|error| Failure::Passing(error.to_string()))?.status;
    match status.as_u16() {
        200..=299 => Ok(()),
        408 | 429 | 502 | 503 | 504 => Err(Failure::Passing(status.to_string())),
        500..=599 if worth_it => Err(Failure::Passing(status.to_string())),
        _ => Err(Failure::Refused(status)),
    }
}

/// Half to one and a half of it, so that a fleet does not come back all at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    pause.mul_f64(0.5 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise each sort of answer.
    #[test]
    fn only_what_may_pass_is_tried_again() {
        let of = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            verdict(Ok(Answer { status, retry_after: None }), false)
        };
        let failed = Answer { status: StatusCode::INTERNAL_SERVER_ERROR, retry_after: None };
        assert!(matches!(verdict(Ok(failed), true), Err(Failure::Passing(_))));
        assert!([200, 202, 204].into_iter().all(|status| of(status).is_ok()));
        for status in [408, 429, 502, 503, 504] {
            assert!(matches!(of(status), Err(Failure::Passing(_))), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 422, 500, 501] {
            assert!(matches!(of(status), Err(Failure::Refused(_))), "{status}");
        }
        let gone = Err(io::ErrorKind::ConnectionRefused.into());
        assert!(matches!(verdict(gone, false), Err(Failure::Passing(_))));
    }

    /// Exercise an outage, a receiver that comes and goes, and a later outage.
    #[test]
    fn each_outage_is_told_once() {
        let mut outage = Outage::default();
        let began = Instant::now();
        assert!(!outage.ends());
        assert!(outage.begins(began) && !outage.begins(began + TELL * 2));
        assert!(outage.ends() && !outage.ends());
        assert!(!outage.begins(began + TELL / 2) && !outage.ends());
        assert!(outage.begins(began + TELL) && outage.ends());
    }

    /// Exercise the spread.
    #[test]
    fn pauses_are_spread() {
        let pauses: Vec<_> = (0..100).map(|_| jittered(PAUSE)).collect();
        assert!(pauses.iter().all(|pause| (PAUSE / 2..=PAUSE * 3 / 2).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
