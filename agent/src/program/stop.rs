//! When a run ends: Ctrl-C, SIGTERM, or its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ProgramError;

/// Says when to stop.
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Stop {
    /// Listens for SIGINT and SIGTERM on the given runtime. A second one ends the program at once.
    pub(super) fn new(runtime: &tokio::runtime::Runtime) -> Result<Self, ProgramError> {
        use tokio::signal::unix::{SignalKind, signal};
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let start = |cause| ProgramError::Start { what: "the signal handler", cause };
        let _context = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).map_err(start)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(start)?;
        runtime.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if flag.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
        Ok(Self { asked, until: None })
    }

    /// Starts the clock.
    pub(super) fn after(&mut self, duration: Option<Duration>) {
        self.until = duration.map(|d| Instant::now() + d);
    }

    /// Whether the run is to end.
    pub(super) fn is_due(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.until.is_some_and(|u| Instant::now() >= u)
    }

    /// The longest that a wait may take.
    pub(super) fn wait(&self, at_most: Duration) -> Duration {
        self.until
            .map_or(at_most, |until| until.saturating_duration_since(Instant::now()).min(at_most))
    }
}
