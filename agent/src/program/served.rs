//! This side of the server: it publishes, tells what is new, and answers what is asked.

use std::collections::BTreeMap;

use crate::detect::News;
use crate::event::ProcessId;
use crate::export::api::{self, View};
use crate::export::metrics::Exposition;
use crate::web::{Published, Questions};

/// What is served, from the side that knows.
pub(super) struct Served {
    published: Published,
    questions: Questions,
    /// Pid and service of those that lived at the last look.
    alive: BTreeMap<ProcessId, (u32, String)>,
}

impl Served {
    /// This side, and the one for the server.
    pub(super) fn new() -> (Self, Published) {
        let (published, questions) = Published::new();
        (Self { published: published.clone(), questions, alive: BTreeMap::new() }, published)
    }

    /// Makes it what is scraped.
    pub(super) fn publish(&self, scrape: Exposition) {
        self.published.publish(scrape);
    }

    /// Answers what has been asked meanwhile, a few questions at most.
    pub(super) fn answer<'a>(&mut self, view: impl Fn() -> View<'a>) {
        self.questions.answer(view);
    }

    /// Tells who listens what is new: findings, and processes that came and went.
    pub(super) fn tell(&mut self, view: &View<'_>, news: &[News]) {
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
