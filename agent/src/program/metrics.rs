//! `--listen`: what the watch knows, for Prometheus.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::uri::PathAndQuery;

use super::error::ProgramError;
use super::watch::Watch;
use crate::export::metrics::{Health, Pushed};
use crate::export::visible;
use crate::web::{self, Access, Published, Site};

/// Where the metrics are unless something else is said.
pub(super) const TELEMETRY_PATH: &str = "/metrics";

/// The server, if there is one.
pub(super) struct Metrics {
    site: Option<Site>,
    counted: Option<Instant>,
    maps: BTreeMap<&'static str, (u64, u64)>,
    scrape_seconds: Option<f64>,
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
        return Ok(Metrics::new(None));
    }
    let bad = |error: web::ListenError| ProgramError::BadAddress(error.to_string());
    let site = Site {
        published: Published::default(),
        access: Arc::new(access(options.config)?),
        telemetry_path: telemetry_path(options.path)?,
        counts: Arc::default(),
    };
    let scheme = if site.access.is_tls() { "https" } else { "http" };
    for address in options.addresses {
        let address = web::parse_address(address, options.public).map_err(bad)?;
        let listener = web::bind(address).map_err(bad)?;
        let local = listener.local_addr().unwrap_or(address);
        let served = web::serve(listener, site.clone());
        runtime.spawn(async move {
            if let Err(error) = served.await {
                eprintln!("pitviper: the metrics server ended: {error}");
            }
        });
        eprintln!("pitviper: metrics at {scheme}://{local}{}", options.path);
    }
    Ok(Metrics::new(Some(site)))
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
    fn new(site: Option<Site>) -> Self {
        Self { site, counted: None, maps: BTreeMap::new(), scrape_seconds: None }
    }

    fn health(&mut self, watch: &Watch, pushed: Vec<Pushed>) -> Health {
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
            pushed,
            connections: self.site.as_ref().map(|site| site.counts.all()),
        }
    }

    /// Makes the newest state what is served; `pushed` is about the pushing of profiles.
    pub(super) fn publish(&mut self, watch: &Watch, pushed: Vec<Pushed>) {
        let Some(site) = self.site.clone() else { return };
        let began = Instant::now();
        let health = self.health(watch, pushed);
        // The encoder writes to memory: there is nothing that could fail.
        if let Ok(scrape) = watch.exposition(&health) {
            site.published.publish(scrape);
            self.scrape_seconds = Some(began.elapsed().as_secs_f64());
        }
    }
}
