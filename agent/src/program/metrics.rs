//! `--listen`: what the watch knows, for Prometheus, and answers to what the page asks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::uri::PathAndQuery;

use super::error::ProgramError;
use super::served::Served;
use super::watch::Watch;
use crate::detect::News;
use crate::export::metrics::{Continuity, Health, Pushed};
use crate::export::visible;
use crate::web::{self, Access, Counts, Site};

/// Where the metrics are unless something else is said.
pub(super) const TELEMETRY_PATH: &str = "/metrics";

/// What is told of beside the watch.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Python processes that are not watched, by the reason.
    pub(super) left_out: Vec<(&'static str, u64)>,
    /// The pushing of profiles.
    pub(super) pushed: Vec<Pushed>,
}

/// The server, if there is one.
pub(super) struct Metrics {
    served: Option<Served>,
    counts: Arc<Counts>,
    health: Health,
    counted: Option<Instant>,
    maps: BTreeMap<&'static str, (u64, u64)>,
    scrape_seconds: Option<f64>,
    continuity: Continuity,
}

/// Where to serve, and how.
pub(super) struct Listen<'a> {
    /// As on the command line; none: nothing is served.
    pub(super) addresses: &'a [String],
    /// Other hosts may reach them.
    pub(super) public: bool,
    /// `--web.config.file`.
    pub(super) config: Option<&'a Path>,
    /// `--web.telemetry-path`.
    pub(super) path: &'a str,
}

/// Starts to listen; what is served comes with the first [`Metrics::publish`].
pub(super) fn listen(
    runtime: &tokio::runtime::Runtime,
    options: &Listen<'_>,
) -> Result<Metrics, ProgramError> {
    if options.addresses.is_empty() {
        return Ok(Metrics::new(None, Arc::default()));
    }
    let bad = |error: web::ListenError| ProgramError::BadAddress(error.to_string());
    let (served, published) = Served::new();
    let site = Site {
        published,
        access: Arc::new(access(options.config)?),
        telemetry_path: telemetry_path(options.path)?,
        counts: Arc::default(),
    };
    let scheme = if site.access.is_tls() { "https" } else { "http" };
    for address in options.addresses {
        let address = web::parse_address(address, options.public).map_err(bad)?;
        let listener = web::bind(address).map_err(bad)?;
        let local = listener.local_addr().unwrap_or(address);
        let server = web::serve(listener, site.clone());
        runtime.spawn(async move {
            if let Err(error) = server.await {
                eprintln!("pitviper: the metrics server ended: {error}");
            }
        });
        eprintln!(
            "pitviper: metrics at {scheme}://{local}{}, a page at {scheme}://{local}/",
            options.path
        );
    }
    Ok(Metrics::new(Some(served), site.counts))
}

/// What the file says, if there is one.
pub(super) fn access(file: Option<&Path>) -> Result<Access, ProgramError> {
    let Some(file) = file else { return Ok(Access::open()) };
    Access::read(file).map_err(|error| ProgramError::BadConfig(error.to_string()))
}

/// None for where the metrics are anyway.
pub(super) fn telemetry_path(path: &str) -> Result<Option<PathAndQuery>, ProgramError> {
    let parsed = path.parse::<PathAndQuery>().ok();
    match parsed.filter(|parsed| path.starts_with('/') && parsed.query().is_none()) {
        None => Err(ProgramError::BadAddress(format!(
            "the telemetry path `{}` is no path; it begins with a slash, like /metrics",
            visible(path, 100)
        ))),
        Some(parsed) => Ok(Some(parsed).filter(|_| path != TELEMETRY_PATH)),
    }
}

/// How often the entries of the kernel side's tables are counted, which takes some milliseconds.
const COUNT: Duration = Duration::from_secs(10);

impl Metrics {
    fn new(served: Option<Served>, counts: Arc<Counts>) -> Self {
        Self {
            served,
            counts,
            health: Health::default(),
            counted: None,
            maps: BTreeMap::new(),
            scrape_seconds: None,
            continuity: Continuity::default(),
        }
    }

    fn look(&mut self, watch: &Watch, beside: Beside) -> Health {
        let own = procfs::process::Process::myself().and_then(|own| own.stat()).ok();
        let ticks = procfs::ticks_per_second() as f64;
        let source = &watch.session.source;
        if self.counted.is_none_or(|then| then.elapsed() >= COUNT)
            && let Ok(maps) = source.fill()
        {
            self.maps = maps;
            self.counted = Some(Instant::now());
        }
        Health {
            cpu_seconds: own.as_ref().map(|stat| (stat.utime + stat.stime) as f64 / ticks),
            resident_bytes: own.as_ref().map(|stat| stat.rss * procfs::page_size()),
            scrape_seconds: self.scrape_seconds,
            programs: source.programs(),
            maps: self.maps.clone(),
            left_out: beside.left_out,
            pushed: beside.pushed,
            connections: self.served.is_some().then(|| self.counts.all()),
        }
    }

    /// Makes the newest state what is served, and tells what is new.
    pub(super) fn publish(&mut self, watch: &Watch, beside: Beside, news: &[News]) {
        if self.served.is_none() {
            return;
        }
        let began = Instant::now();
        self.health = self.look(watch, beside);
        let Some(served) = &mut self.served else { return };
        // The encoder writes to memory: there is nothing that could fail.
        if let Ok(scrape) = watch.exposition(&self.health, &mut self.continuity) {
            served.publish(scrape);
            self.scrape_seconds = Some(began.elapsed().as_secs_f64());
        }
        served.tell(&watch.view(&self.health), news);
    }

    /// Answers what has been asked meanwhile.
    pub(super) fn answer(&mut self, watch: &Watch) {
        if let Some(served) = &mut self.served {
            served.answer(|| watch.view(&self.health));
        }
    }
}
