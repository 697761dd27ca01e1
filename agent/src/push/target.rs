//! Where a receiver is, and whether profiles may go there.

use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::Uri;

use super::Destination;
use super::credentials::{self, CredentialsError};
use crate::export::visible;

/// Why a receiver cannot be pushed to. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The text is no URL of the web.
    #[error("failed to understand the URL `{url}`: give http://HOST:PORT or https://HOST")]
    Malformed {
        /// What the user wrote, made harmless.
        url: String,
    },
    /// A password in a URL shows in the list of processes.
    #[error(
        "refused a URL with a user in it: give a file with USER:PASSWORD by --push-…-auth-file"
    )]
    User,
    /// The network could read along.
    #[error(
        "refused to push to {url} by plain HTTP: whoever is on the way could read file names and \
         code lines; use https, or allow it with --push-plain-http"
    )]
    Plain {
        /// The URL.
        url: String,
    },
    /// The credentials cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// A receiver.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// Without the brackets of an address.
    pub(super) host: String,
    pub(super) port: u16,
    /// For the `Host` header.
    pub(super) authority: String,
    /// Of the requests, without what a format adds.
    pub(super) path: String,
    /// Plain HTTP to other hosts is allowed.
    pub(super) plain: bool,
    pub(super) credentials: Option<PathBuf>,
}

impl Target {
    /// Requests go to `path` below the URL, unless it ends in that already.
    pub(super) fn new(
        destination: &Destination,
        path: &str,
        plain: bool,
    ) -> Result<Self, TargetError> {
        let url = visible(&destination.url, 200);
        let malformed = || TargetError::Malformed { url: url.clone() };
        let uri: Uri = destination.url.parse().map_err(|_| malformed())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(malformed()),
        };
        let authority = uri.authority().ok_or_else(malformed)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::User);
        }
        if uri.query().is_some() || authority.host().is_empty() {
            return Err(malformed());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if !tls && !plain && !may_be_loopback(&host) {
            return Err(TargetError::Plain { url });
        }
        if let Some(file) = &destination.credentials {
            credentials::read(file)?;
        }
        let base = uri.path().trim_end_matches('/');
        let base = base.strip_suffix(path).unwrap_or(base);
        Ok(Self {
            tls,
            host,
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: format!("{base}{path}"),
            plain,
            credentials: destination.credentials.clone(),
        })
    }

    /// Whether a request may go to this address, which the name led to.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        self.tls || self.plain || address.to_canonical().is_loopback()
    }
}

/// What `localhost` leads to is looked at when it is connected to.
fn may_be_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical().is_loopback());
    address.unwrap_or_else(|_| host.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, plain: bool) -> Result<Target, TargetError> {
        Target::new(&Destination { url: url.into(), credentials: None }, "/ingest", plain)
    }

    /// Exercise what people write.
    #[test]
    fn urls_are_understood() {
        for (url, host, port, path) in [
            ("http://127.0.0.1:4040", "127.0.0.1", 4040, "/ingest"),
            ("http://localhost:4040/", "localhost", 4040, "/ingest"),
            ("http://[::1]:4040", "::1", 4040, "/ingest"),
            ("https://profiles.example", "profiles.example", 443, "/ingest"),
            ("https://profiles.example/a/ingest/", "profiles.example", 443, "/a/ingest"),
        ] {
            let found = target(url, false).expect(url);
            assert_eq!((&*found.host, found.port, &*found.path), (host, port, path), "{url}");
        }
        assert!(target("http://192.0.2.1", true).expect("allowed").allows([192, 0, 2, 1].into()));
    }

    /// Exercise what shows too much, and what is no URL.
    #[test]
    fn bad_urls_are_told() {
        for url in ["http://192.0.2.1:4040", "http://profiles.example", "http://localhost.evil"] {
            assert!(matches!(target(url, false), Err(TargetError::Plain { .. })), "{url}");
        }
        for url in ["", "profiles", "/ingest", "ftp://x", "http://", "http://x?y=z", "http://a b"] {
            assert!(matches!(target(url, true), Err(TargetError::Malformed { .. })), "{url}");
        }
        assert!(matches!(target("https://a:b@x", true), Err(TargetError::User)));
        let local = target("http://localhost", false).expect("loopback");
        assert!(!local.allows([192, 0, 2, 1].into()), "a name that leads elsewhere");
    }
}
