//! `--listen`: what the watch knows, for Prometheus.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::error::ProgramError;
use super::watch::Watch;
use crate::export::metrics::{Continuity, Health};
use crate::web::{self, Published};

/// The server, if there is one.
pub(super) struct Metrics {
    published: Option<Published>,
    counted: Option<Instant>,
    maps: BTreeMap<&'static str, (u64, u64)>,
    scrape_seconds: Option<f64>,
    continuity: Continuity,
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
    let published = Published::default();
    let served = published.clone();
    runtime.spawn(async move {
        if let Err(error) = web::serve(listener, served).await {
            eprintln!("pitviper: the metrics server ended: {error}");
        }
    });
    eprintln!("pitviper: metrics at http://{local}/metrics");
    Ok(Metrics::new(Some(published)))
}

/// How often the entries of the kernel side's tables are counted, which takes some milliseconds.
const COUNT: Duration = Duration::from_secs(10);

impl Metrics {
    fn new(published: Option<Published>) -> Self {
        Self {
            published,
            counted: None,
            maps: BTreeMap::new(),
            scrape_seconds: None,
            continuity: Continuity::default(),
        }
    }

    fn health(&mut self, watch: &Watch) -> Health {
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
            left_out: Vec::new(),
        }
    }

    /// Makes the newest state what is served.
    /// `left_out`: Python processes that are not watched, by the reason.
    pub(super) fn publish(&mut self, watch: &Watch, left_out: &[(&'static str, u64)]) {
        let Some(published) = self.published.clone() else { return };
        let began = Instant::now();
        let health = Health { left_out: left_out.to_vec(), ..self.health(watch) };
        // The encoder writes to memory: there is nothing that could fail.
        if let Ok(scrape) = watch.exposition(&health, &mut self.continuity) {
            published.publish(scrape);
            self.scrape_seconds = Some(began.elapsed().as_secs_f64());
        }
    }
}
