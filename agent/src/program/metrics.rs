//! `--listen`: what the watch knows, for Prometheus, and answers to what the page asks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::error::ProgramError;
use super::served::Served;
use super::watch::Watch;
use crate::detect::News;
use crate::export::metrics::Health;
use crate::web;

/// The server, if there is one.
pub(super) struct Metrics {
    served: Option<Served>,
    health: Health,
    counted: Option<Instant>,
    maps: BTreeMap<&'static str, (u64, u64)>,
    scrape_seconds: Option<f64>,
}

/// Starts to listen; what is served comes with the first [`Metrics::publish`].
pub(super) fn listen(
    runtime: &tokio::runtime::Runtime,
    address: Option<&str>,
    public: bool,
) -> Result<Metrics, ProgramError> {
    let Some(address) = address else { return Ok(Metrics::new(None)) };
    let bad = |error: web::ListenError| ProgramError::BadAddress(error.to_string());
    let address = web::parse_address(address, public).map_err(bad)?;
    let listener = web::bind(address).map_err(bad)?;
    let local = listener.local_addr().unwrap_or(address);
    let (served, published) = Served::new();
    runtime.spawn(async move {
        if let Err(error) = web::serve(listener, published).await {
            eprintln!("pitviper: the metrics server ended: {error}");
        }
    });
    eprintln!("pitviper: metrics at http://{local}/metrics, a page at http://{local}/");
    Ok(Metrics::new(Some(served)))
}

/// How often the entries of the kernel side's tables are counted, which takes some milliseconds.
const COUNT: Duration = Duration::from_secs(10);

impl Metrics {
    fn new(served: Option<Served>) -> Self {
        let health = Health::default();
        Self { served, health, counted: None, maps: BTreeMap::new(), scrape_seconds: None }
    }

    fn look(&mut self, watch: &Watch) -> Health {
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
        }
    }

    /// Makes the newest state what is served, and tells what is new.
    pub(super) fn publish(&mut self, watch: &Watch, news: &[News]) {
        if self.served.is_none() {
            return;
        }
        let began = Instant::now();
        self.health = self.look(watch);
        let Some(served) = &mut self.served else { return };
        // The encoder writes to memory: there is nothing that could fail.
        if let Ok(scrape) = watch.exposition(&self.health) {
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
