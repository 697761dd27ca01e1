//! Who may read, and how: TLS, passwords and headers, as a file of the format that Prometheus's own
//! exporters share says (`--web.config.file`).
//!
//! The file and what it names are looked at for each connection and read again when they changed, so
//! that a new certificate needs no restart. A file that has become bad changes nothing but is told.

mod file;
mod login;
mod rate;
mod tls;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;
use tokio_rustls::rustls::ServerConfig;

pub(super) use login::Verdict;
use login::{Logins, Users};
use rate::Bucket;

/// Why the file cannot be used. Every message names the file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It cannot be read.
    #[error("failed to read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It says something that makes no sense, or that this server cannot do.
    #[error("failed to use {path}: {what}")]
    Bad {
        /// The file.
        path: PathBuf,
        /// What, and what to write instead.
        what: String,
    },
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// None: plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    rate: Option<Bucket>,
    users: Users,
    headers: HeaderMap,
    /// What is allowed to stand there and has no effect.
    notes: Vec<String>,
}

/// What tells one content of a file from another, as far as it can be told without reading: device,
/// inode, size, and when content and inode changed.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

fn stamp(path: &Path) -> Stamp {
    let known = std::fs::metadata(path).ok()?;
    let changed = ((known.mtime(), known.mtime_nsec()), (known.ctime(), known.ctime_nsec()));
    Some((known.dev(), known.ino(), known.size(), changed.0, changed.1))
}

#[derive(Debug)]
struct State {
    policy: Arc<Policy>,
    /// Of the file and of what it names.
    stamps: BTreeMap<PathBuf, Stamp>,
}

/// The rules of access of one server.
#[derive(Debug)]
pub struct Access {
    path: Option<PathBuf>,
    state: Mutex<State>,
    logins: Logins,
}

impl Access {
    /// Plain HTTP for everybody who reaches the address.
    pub fn open() -> Self {
        let state = State { policy: Arc::default(), stamps: BTreeMap::new() };
        Self { path: None, state: Mutex::new(state), logins: Logins::default() }
    }

    /// As the file says.
    ///
    /// # Errors
    /// When it cannot be read, or says what cannot be done.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let mut named = vec![path.to_owned()];
        // Before the reading: a change meanwhile is then seen.
        let own = stamp(path);
        let policy = file::read(path, &mut named)?;
        tell(&policy.notes);
        let mut stamps = stamps(named);
        stamps.insert(path.to_owned(), own);
        let state = State { policy: Arc::new(policy), stamps };
        Ok(Self {
            path: Some(path.to_owned()),
            state: Mutex::new(state),
            logins: Logins::default(),
        })
    }

    /// Whether connections are encrypted, as of now.
    pub fn is_tls(&self) -> bool {
        self.current().tls.is_some()
    }

    /// What holds for a connection that begins now.
    pub(super) fn current(&self) -> Arc<Policy> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.path else { return Arc::clone(&state.policy) };
        if state.stamps.iter().all(|(path, known)| stamp(path) == *known) {
            return Arc::clone(&state.policy);
        }
        let mut named = vec![path.clone()];
        let own = stamp(path);
        match file::read(path, &mut named) {
            Ok(policy) => {
                eprintln!("pitviper: read {} again", path.display());
                tell(&policy.notes);
                state.policy = Arc::new(policy);
            }
            Err(error) => eprintln!("pitviper: kept the rules of access as they were: {error}"),
        }
        state.stamps = stamps(named);
        state.stamps.insert(path.clone(), own);
        Arc::clone(&state.policy)
    }

    /// Whether a request with these headers may be answered.
    pub(super) async fn admits(&self, policy: &Policy, headers: &HeaderMap) -> Verdict {
        if policy.rate.as_ref().is_some_and(|rate| !rate.take(Instant::now())) {
            return Verdict::TooMany;
        }
        self.logins.check(&policy.users, headers).await
    }
}

impl Policy {
    /// Sets the headers that the file wants every answer to have.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn stamps(paths: Vec<PathBuf>) -> BTreeMap<PathBuf, Stamp> {
    paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

fn tell(notes: &[String]) {
    for note in notes {
        eprintln!("pitviper: note: {note}");
    }
}

#[cfg(test)]
mod tests;
