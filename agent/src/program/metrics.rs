//! `--listen`: what the watch knows, for Prometheus, and answers to what the page asks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::error::ProgramError;
use super::watch::Watch;
use crate::detect::News;
use crate::event::ProcessId;
use crate::export::api::{self, View};
use crate::export::metrics::Health;
use crate::web::{self, Published, Questions};

/// The server, if there is one.
pub(super) struct Metrics {
    server: Option<Server>,
    health: Health,
    counted: Option<Instant>,
    maps: BTreeMap<&'static str, (u64, u64)>,
    scrape_seconds: Option<f64>,
}

/// This side of the server.
struct Server {
    published: Published,
    questions: Questions,
    /// Pid and service of those that lived at the last look.
    alive: BTreeMap<ProcessId, (u32, String)>,
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
    let (published, questions) = Published::new();
    let served = published.clone();
    runtime.spawn(async move {
        if let Err(error) = web::serve(listener, served).await {
            eprintln!("pitviper: the metrics server ended: {error}");
        }
    });
    eprintln!("pitviper: metrics at http://{local}/metrics, a page at http://{local}/");
    Ok(Metrics::new(Some(Server { published, questions, alive: BTreeMap::new() })))
}

/// How often the entries of the kernel side's tables are counted, which takes some milliseconds.
const COUNT: Duration = Duration::from_secs(10);

impl Metrics {
    fn new(server: Option<Server>) -> Self {
        let health = Health::default();
        Self { server, health, counted: None, maps: BTreeMap::new(), scrape_seconds: None }
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
        if self.server.is_none() {
            return;
        }
        let began = Instant::now();
        self.health = self.look(watch);
        let Some(server) = &mut self.server else { return };
        // The encoder writes to memory: there is nothing that could fail.
        if let Ok(scrape) = watch.exposition(&self.health) {
            server.published.publish(scrape);
            self.scrape_seconds = Some(began.elapsed().as_secs_f64());
        }
        server.tell(&watch.view(&self.health), news);
    }

    /// Answers what has been asked meanwhile.
    pub(super) fn answer(&mut self, watch: &Watch) {
        if let Some(server) = &mut self.server {
            server.questions.answer(|| watch.view(&self.health));
        }
    }
}

impl Server {
    fn tell(&mut self, view: &View<'_>, news: &[News]) {
        let heard = self.published.is_heard();
        for change in news.iter().filter(|_| heard) {
            self.published.tell("finding", &api::change(view, change));
        }
        let mut gone = std::mem::take(&mut self.alive);
        for (id, process) in view.ledger.processes().filter(|(_, p)| p.ended_ns.is_none()) {
            let known = gone.remove(&id);
            if known.is_none() && heard {
                self.published.tell("process", &api::came(process));
            }
            let name = known.unwrap_or_else(|| (process.info.pid, process.info.service.clone()));
            self.alive.insert(id, name);
        }
        for (pid, service) in gone.into_values().filter(|_| heard) {
            self.published.tell("process", &api::went(pid, &service));
        }
    }
}
