//! The file: exporter-toolkit's `web-config.yml`. What this server cannot do is refused by name, so
//! that nobody believes in a protection that is not there.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use axum::http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use axum::http::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::login::Users;
use super::rate::{Bucket, RateLimit};
use super::{AccessError, Policy, tls};

/// Bytes of the file, a certificate chain or a key.
const MOST: u64 = 1 << 20;

/// All of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WebConfig {
    tls_server_config: Option<TlsServerConfig>,
    http_server_config: Option<HttpServerConfig>,
    basic_auth_users: Option<BTreeMap<String, String>>,
    rate_limit: Option<RateLimit>,
}

/// `tls_server_config`, with Go's names for versions, suites and curves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsServerConfig {
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) client_ca_file: Option<PathBuf>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
    pub(super) curve_preferences: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpServerConfig {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

/// Reads the file and what it names, relative to its folder; `named` gets the paths of those.
pub(super) fn read(path: &Path, named: &mut Vec<PathBuf>) -> Result<Policy, AccessError> {
    let bad = |what: String| AccessError::Bad { path: path.to_owned(), what };
    let text = String::from_utf8(content(path)?).map_err(|_| bad("it is not UTF-8".into()))?;
    // An empty file has no rules: so it is in the toolkit.
    let config = match text.lines().all(|line| line.trim().is_empty()) {
        true => WebConfig::default(),
        false => serde_yaml_ng::from_str::<Option<WebConfig>>(&text)
            .map_err(|error| bad(error.to_string().replace('\n', " ")))?
            .unwrap_or_default(),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut open = |name: &Path| {
        let place = folder.join(name);
        named.push(place.clone());
        content(&place)
    };
    let http = config.http_server_config.unwrap_or_default();
    let mut notes = Vec::new();
    if http.http2 == Some(true) {
        notes.push("http2: true has no effect: the web server speaks HTTP/1.1".into());
    }
    let tls = config.tls_server_config.as_ref();
    Ok(Policy {
        tls: tls.map(|tls| tls::config(tls, path, &mut open)).transpose()?.flatten(),
        rate: Bucket::new(&config.rate_limit.unwrap_or_default()).map_err(bad)?,
        users: Users::new(config.basic_auth_users.unwrap_or_default()).map_err(bad)?,
        headers: headers(http.headers.unwrap_or_default()).map_err(bad)?,
        notes,
    })
}

/// A pipe could keep the server waiting, and a device never end.
fn content(path: &Path) -> Result<Vec<u8>, AccessError> {
    let read = || {
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let mut content = Vec::new();
        std::fs::File::open(path)?.take(MOST + 1).read_to_end(&mut content)?;
        match content.len() as u64 > MOST {
            true => Err(std::io::Error::other("it is larger than 1 MiB")),
            false => Ok(content),
        }
    };
    read().map_err(|cause| AccessError::Read { path: path.to_owned(), cause })
}

/// The headers that the toolkit allows, and the values that it allows them; empty means not set.
fn headers(wanted: BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let known: [(&str, HeaderName, &[&str]); 5] = [
        ("Content-Security-Policy", CONTENT_SECURITY_POLICY, &[]),
        ("X-Frame-Options", X_FRAME_OPTIONS, &["deny", "sameorigin"]),
        ("X-Content-Type-Options", X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
        ("X-XSS-Protection", X_XSS_PROTECTION, &[]),
        ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY, &[]),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        let Some((_, header, values)) = known.iter().find(|(known, ..)| *known == name) else {
            let all = known.map(|(name, ..)| name).join(", ");
            return Err(format!("the header {name:?} cannot be set; those that can are {all}"));
        };
        if value.is_empty() {
            continue;
        }
        if !values.is_empty() && !values.contains(&value.as_str()) {
            return Err(format!("{name} cannot be {value:?}; it can be {}", values.join(" or ")));
        }
        let value = HeaderValue::from_str(&value)
            .map_err(|_| format!("{name} has characters that no header may have"))?;
        headers.insert(header.clone(), value);
    }
    Ok(headers)
}
