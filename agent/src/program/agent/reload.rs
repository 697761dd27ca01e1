//! SIGHUP: the configuration is read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::program::ProgramError;

/// Whether the configuration is to be read again.
pub(super) struct Reload(Arc<AtomicBool>);

impl Reload {
    /// Listens for SIGHUP on the given runtime.
    pub(super) fn new(runtime: &tokio::runtime::Runtime) -> Result<Self, ProgramError> {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        let _context = runtime.enter();
        let mut hangup = signal(SignalKind::hangup())
            .map_err(|cause| ProgramError::Start { what: "the signal handler", cause })?;
        runtime.spawn(async move {
            while hangup.recv().await.is_some() {
                flag.store(true, Ordering::Relaxed);
            }
        });
        Ok(Self(asked))
    }

    /// Tells it once for each request.
    pub(super) fn is_asked(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
