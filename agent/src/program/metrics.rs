//! `--listen`: what the watch knows, for Prometheus.

use std::collections::BTreeMap;

use super::error::ProgramError;
use super::watch::Watch;
use crate::export::metrics::Health;
use crate::web::{self, Published};

/// The server, if there is one.
pub(super) struct Metrics {
    published: Option<Published>,
}

/// Starts to listen; what is served comes with the first [`Metrics::publish`].
pub(super) fn listen(
    runtime: &tokio::runtime::Runtime,
    address: Option<&str>,
    public: bool,
) -> Result<Metrics, ProgramError> {
    let Some(address) = address else { return Ok(Metrics { published: None }) };
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
    Ok(Metrics { published: Some(published) })
}

fn health(watch: &Watch) -> Health {
    let own = procfs::process::Process::myself().and_then(|own| own.stat()).ok();
    let ticks = procfs::ticks_per_second() as f64;
    Health {
        cpu_seconds: own.as_ref().map(|stat| (stat.utime + stat.stime) as f64 / ticks),
        resident_bytes: own.as_ref().map(|stat| stat.rss * procfs::page_size()),
        bpf_run_seconds: None,
        maps: BTreeMap::from(watch.fill),
    }
}

impl Metrics {
    /// Makes the newest state what is served.
    pub(super) fn publish(&self, watch: &Watch) {
        let Some(published) = &self.published else { return };
        // The encoder writes to memory: there is nothing that could fail.
        if let Ok(scrape) = watch.exposition(&health(watch)) {
            published.publish(scrape);
        }
    }
}
