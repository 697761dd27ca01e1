//! What the server answers.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HOST, HeaderName, HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::host::AllowedHosts;
use super::negotiation::{wants_gzip, wants_openmetrics};
use super::published::Published;
use super::{api, assets, profile};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const NOT_FOUND: &str = "There is /, /metrics, /api/v1, /debug/pprof, /-/healthy and /-/ready.\n";
const NOT_READY: (StatusCode, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "Nothing has been looked at yet.\n");

/// Headers of every answer: nothing here is to be kept, sniffed, or told to others.
const GUARDS: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Of every answer that does not say more of itself: it runs and loads nothing.
const INERT: HeaderValue = HeaderValue::from_static("default-src 'none'");

/// Whether an answer takes as long as its question says: a profile's window, and events.
pub(super) fn takes_long(path: &str) -> bool {
    matches!(path, "/api/v1/profile" | "/api/v1/events") || path.starts_with("/debug/pprof/")
}

/// All routes.
pub(super) fn router(published: Published, hosts: AllowedHosts) -> Router {
    Router::new()
        .route("/", get(assets::page))
        .route("/assets/{name}", get(assets::asset))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "The server answers.\n" }))
        .route("/-/ready", get(ready))
        .merge(api::routes())
        .merge(profile::routes())
        .fallback(|| async { (StatusCode::NOT_FOUND, NOT_FOUND) })
        .layer(from_fn_with_state(hosts, guard))
        .with_state(published)
}

async fn ready(State(published): State<Published>) -> Response {
    match published.current() {
        Some(_) => "There is something to scrape.\n".into_response(),
        None => NOT_READY.into_response(),
    }
}

async fn metrics(State(published): State<Published>, headers: HeaderMap) -> Response {
    let Some(scrape) = published.current() else { return NOT_READY.into_response() };
    let (media_type, text) = if wants_openmetrics(&list(&headers, ACCEPT)) {
        (OPENMETRICS, &scrape.openmetrics)
    } else {
        (CLASSIC, &scrape.classic)
    };
    let head = [(CONTENT_TYPE, media_type), (VARY, "Accept, Accept-Encoding")];
    let gzipped = wants_gzip(&list(&headers, ACCEPT_ENCODING)).then(|| text.gzipped()).flatten();
    match gzipped {
        Some(gzipped) => (head, [(CONTENT_ENCODING, "gzip")], gzipped).into_response(),
        None => (head, text.plain()).into_response(),
    }
}

/// All lines of a header that is a list, as one. A line that is no text is left out.
fn list(headers: &HeaderMap, name: HeaderName) -> String {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|l| l.to_str().ok()).collect();
    lines.join(",")
}

async fn guard(State(hosts): State<AllowedHosts>, request: Request, next: Next) -> Response {
    let mut named = request.headers().get_all(HOST).iter();
    let host = named.next().and_then(|host| host.to_str().ok());
    let mut response = match (host, named.next()) {
        (Some(host), None) if hosts.allows(host) => next.run(request).await,
        (Some(_), None) => {
            let why = "This server does not go by that name; ask it by its address.\n";
            (StatusCode::FORBIDDEN, why).into_response()
        }
        _ => (StatusCode::BAD_REQUEST, "One Host header, please.\n").into_response(),
    };
    response.headers_mut().extend(GUARDS);
    response.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(INERT);
    response
}

#[cfg(test)]
mod tests;
