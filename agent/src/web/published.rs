//! What the server hands out: the newest scrape, which one side replaces, the events, and the desk at
//! which everything else is asked for.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use super::desk::{self, Desk, Questions};
use super::events::Events;
use super::profile;
use crate::export::metrics::Exposition;

/// One of the two texts, as it is and gzipped. Clones share it.
#[derive(Debug)]
pub(super) struct Text {
    plain: Bytes,
    gzipped: OnceLock<Option<Bytes>>,
}

impl Text {
    fn new(text: String) -> Self {
        Self { plain: text.into(), gzipped: OnceLock::new() }
    }

    pub(super) fn plain(&self) -> Bytes {
        self.plain.clone()
    }

    /// Compressed when it is first asked for, and once. `None` when that failed, which writing to
    /// memory does not.
    pub(super) fn gzipped(&self) -> Option<Bytes> {
        let made = self.gzipped.get_or_init(|| gzip(&self.plain).ok().map(Bytes::from));
        made.clone()
    }
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    // The fast level: three quarters of what the best one saves, in a tenth of its time.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// A scrape, ready to be sent.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) openmetrics: Text,
    pub(super) classic: Text,
}

/// What one server hands out; no scrape until the first is published. Clones share it.
#[derive(Debug, Clone)]
pub struct Published {
    scrapes: Arc<watch::Sender<Option<Arc<Scrape>>>>,
    events: Events,
    desk: Desk,
    profiles: Arc<Semaphore>,
}

impl Default for Published {
    /// Nobody answers questions.
    fn default() -> Self {
        Self::new().0
    }
}

impl Published {
    /// Both sides: what the server needs, and the questions that its handlers will ask.
    pub fn new() -> (Self, Questions) {
        let (desk, questions) = desk::open();
        let published = Self {
            scrapes: Arc::new(watch::Sender::new(None)),
            events: Events::default(),
            desk,
            profiles: Arc::new(Semaphore::new(profile::AT_ONCE)),
        };
        (published, questions)
    }

    /// Replaces what is handed out.
    pub fn publish(&self, scrape: Exposition) {
        let openmetrics = Text::new(scrape.openmetrics);
        let classic = Text::new(scrape.classic);
        self.scrapes.send_replace(Some(Arc::new(Scrape { openmetrics, classic })));
    }

    pub(super) fn current(&self) -> Option<Arc<Scrape>> {
        self.scrapes.borrow().clone()
    }

    /// Whether anybody listens for events.
    pub fn is_heard(&self) -> bool {
        self.events.is_heard()
    }

    /// Tells everybody who listens.
    pub fn tell(&self, event: &'static str, data: &Value) {
        self.events.tell(event, data);
    }

    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Places for profiles in the making.
    pub(super) fn profiles(&self) -> &Arc<Semaphore> {
        &self.profiles
    }
}
