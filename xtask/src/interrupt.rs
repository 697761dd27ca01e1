//! Ctrl-C and SIGTERM become a flag, so that a task ends its children and restores what it
//! changed before it ends itself. The children get the terminal's Ctrl-C all the same.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};

static HAPPENED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    HAPPENED.store(true, Ordering::Relaxed);
}

/// From here on the two signals set the flag instead of ending this process.
pub(crate) fn catch() {
    let handler = note as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores to an atomic, which is safe at any moment, and a
        // child's exec puts the default back.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Whether the user asked to stop.
pub(crate) fn happened() -> bool {
    HAPPENED.load(Ordering::Relaxed)
}

/// An error once the user asked to stop.
pub(crate) fn check() -> Result<()> {
    if happened() {
        bail!("interrupted");
    }
    Ok(())
}
