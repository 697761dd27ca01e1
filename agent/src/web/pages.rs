//! What the server answers.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use axum::http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::host::AllowedHosts;
use super::server::Published;

const LANDING: &str = concat!(
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>pitviper</title>",
    "</head>\n<body>\n<h1>pitviper ",
    env!("CARGO_PKG_VERSION"),
    "</h1>\n<p>Names the Python line that leaks descriptors in a running process.</p>\n",
    "<p><a href=\"/metrics\">Metrics</a></p>\n</body>\n</html>\n"
);

/// Headers of every answer: nothing here is to be kept, sniffed or run.
const GUARDS: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
];

/// All routes.
pub(super) fn router(published: Published, hosts: AllowedHosts) -> Router {
    Router::new()
        .route("/", get(|| async { Html(LANDING) }))
        .route("/metrics", get(metrics))
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is / and /metrics.\n") })
        .layer(from_fn_with_state(hosts, guard))
        .with_state(published)
}

async fn metrics(State(published): State<Published>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let scrape = published.current();
    let (media_type, text) = scrape.negotiate(accept);
    ([(CONTENT_TYPE, media_type)], text.to_owned()).into_response()
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
    response
}
